"""Which records a filter lets through: known of all, or asked of the candidates of a search."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import apsw

from clawstate.memory.backends.sqlite.conditions import Bound
from clawstate.memory.backends.sqlite.reading_statements import NEXT_END
from clawstate.memory.filters import And, Condition, Filter, Node, Or

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.caches.ttl import TTLCache

AT_ONCE = 10_000
"""How many records a filter is asked of at once when it is new: to read so many takes 10 ms."""

STEP = 50_000
"""How many more when it comes again."""

_INDEXED = frozenset({"id", "source", "thread"})


class Selected(NamedTuple):
    """What a filter let through of the records up to `newest`, while the time is in `times`."""

    written: tuple[int, int]
    newest: int
    times: range
    docnos: NDArray[np.int64]


Selections: TypeAlias = "TTLCache[Filter, Selected]"


class Selector:
    """
    Filters inside one transaction that sees the docnos up to *newest*, at the time *now_ms*.

    *written* tells how often records were changed in place; *kept* is shared by all transactions.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        kept: Selections,
        *,
        written: tuple[int, int],
        newest: int,
        now_ms: int,
    ) -> None:
        self._connection = connection
        self._kept = kept
        self._written = written
        self._newest = newest
        self._now_ms = now_ms
        self._known: dict[Filter, NDArray[np.int64] | None] = {}

    def known(
        self,
        chosen: Filter,
        condition: Bound,
        by_marks: Callable[[], NDArray[np.int64] | None],
    ) -> NDArray[np.int64] | None:
        """
        Return the docnos that *chosen* lets through, ascending, and some that are deleted.

        *by_marks* knows them by tags, or not. None while more records than a search shall ask have
        not been asked so far: then candidates are asked (`let_through`). A filter that comes again
        is asked of some more each time.
        """
        # Once for each reading: both legs of a search shall see the same.
        if chosen not in self._known:
            self._known[chosen] = self._found(chosen, condition, by_marks)
        return self._known[chosen]

    def every(self, chosen: Filter, condition: Bound) -> NDArray[np.int64]:
        """Return the docnos that *chosen* lets through, whatever that takes."""
        known = self._start(chosen) or self._empty()
        found = self._extend(chosen, condition, known, self._newest).docnos
        self._known[chosen] = found
        return found

    def let_through(self, condition: Bound, docnos: Iterable[int]) -> NDArray[np.int64]:
        """Return those of *docnos* that meet *condition*, in their order."""
        import numpy as np  # noqa: PLC0415 - its callers have it loaded

        text, values = condition
        sql = (
            "SELECT m.docno FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value "
            f"WHERE {text}"
        )
        rows = self._connection.execute(sql, (json.dumps([*docnos]), *values))
        return np.fromiter((row[0] for row in rows), np.int64)

    def _found(
        self,
        chosen: Filter,
        condition: Bound,
        by_marks: Callable[[], NDArray[np.int64] | None],
    ) -> NDArray[np.int64] | None:
        known = self._start(chosen)
        left = self._newest - (0 if known is None else known.newest)
        if known is None or left > AT_ONCE:
            marked = by_marks()
            if marked is not None:
                return self._keep(chosen, marked, self._newest).docnos
        if left <= AT_ONCE or _is_indexed(chosen):
            return self._extend(chosen, condition, known or self._empty(), self._newest).docnos
        if known is None:
            # Who asks once, as a command does, pays for the candidates alone.
            self._kept.put(chosen, self._empty()._replace(times=self._times()))
        else:
            upto = min(known.newest + STEP, self._newest)
            found = self._extend(chosen, condition, known, upto)
            return found.docnos if upto == self._newest else None
        return None

    def _start(self, chosen: Filter) -> Selected | None:
        known = self._kept.get(chosen)
        if known is None or known.written != self._written or self._now_ms not in known.times:
            return None
        return known

    def _empty(self) -> Selected:
        import numpy as np  # noqa: PLC0415 - as above

        return Selected(self._written, 0, range(0), np.empty(0, np.int64))

    def _extend(self, chosen: Filter, condition: Bound, known: Selected, upto: int) -> Selected:
        """Return *known* with those up to the docno *upto*, and keep it."""
        import numpy as np  # noqa: PLC0415 - as above

        # A docno's values change by a `_rewrite` alone, so only what is newer is asked.
        if known.newest >= upto:
            return known
        text, values = condition
        # A part of them by their numbers: an index of the namespace would lead through all.
        how = "NOT INDEXED" if upto < self._newest else ""
        sql = f"SELECT m.docno FROM memories m {how} WHERE m.docno > ? AND m.docno <= ? AND {text}"
        rows = self._connection.execute(sql, (known.newest, upto, *values))
        fresh = np.sort(np.fromiter((row[0] for row in rows), np.int64))
        return self._keep(chosen, np.concatenate([known.docnos, fresh]), upto)

    def _keep(self, chosen: Filter, docnos: NDArray[np.int64], newest: int) -> Selected:
        found = Selected(self._written, newest, self._times(), docnos)
        self._kept.put(chosen, found)
        return found

    def _times(self) -> range:
        end = self._connection.execute(NEXT_END, (self._now_ms,)).get
        return range(self._now_ms, 1 << 62 if end is None else end)


def _is_indexed(chosen: Filter) -> bool:
    """Tell whether an index leads to those that *chosen* lets through."""
    return chosen.namespace is not None and _leads(chosen.tree)


def _leads(node: Node | None) -> bool:
    match node:
        case And(parts):
            return any(map(_leads, parts))
        case Or(parts):
            return all(map(_leads, parts))
        case Condition(field=field, operator=operator):
            return field in _INDEXED and operator in {"eq", "in", "below"}
        case _:
            return False
