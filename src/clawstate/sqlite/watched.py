"""`WatchedPart`: a part of a database each use of which is told before it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from clawstate.sqlite.blocks import Alone, Reading, Writing
from clawstate.sqlite.part import Part


class WatchedPart(Part):
    """
    *part*, used as before; *before* is called before each use, and told whether that may write.

    It may raise: the use does not begin then.
    """

    def __init__(self, part: Part, before: Callable[[bool], object]) -> None:
        vars(self).update(vars(part))  # it stands for that one, whose maker alone can make it
        self._before = before

    def exists(self) -> bool:
        """Tell whether a write has made the database."""
        self._before(False)
        return super().exists()

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of one statement that only reads."""
        self._before(False)
        return super().rows(sql, bindings)

    def reading(self) -> Reading:
        """Lend a connection that sees one unchanging state of the database."""
        self._before(False)
        return super().reading()

    def writing(self) -> Writing:
        """Lend the writing connection inside a transaction."""
        self._before(True)
        return super().writing()

    def alone(self) -> Alone:
        """Keep other writers out for a `with` block."""
        self._before(True)
        return super().alone()
