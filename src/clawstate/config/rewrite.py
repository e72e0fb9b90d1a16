"""What a change is about to write: the whole new texts of files, and their order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawstate.config.sources import Source


@dataclass(frozen=True, slots=True)
class Rewrite:
    """
    The whole new *text* of *file*, which may be a link; *source* is what it held, if it was there.

    *value* is what the file then says with all that belongs to it, its `${VAR}` as written: it
    tells whether the file has to be private.
    """

    file: Path
    source: Source | None
    text: str = field(repr=False)
    value: Any = field(repr=False)

    @property
    def real(self) -> Path:
        """The file itself, without links."""
        return Path(os.path.realpath(self.file)) if self.source is None else self.source.file.real

    @property
    def before(self) -> bytes | None:
        """What the file held."""
        return None if self.source is None else self.source.text.encode()

    @property
    def after(self) -> bytes:
        """What the file shall hold."""
        return self.text.encode()


@dataclass(frozen=True, slots=True)
class EditPlan:
    """
    What shall be written, in this order, and what the configuration then says.

    Each file is replaced as a whole, and a kill may come between two of them: the order has to be
    one that loses nothing then. *templates* is the whole new tree with its `${VAR}`; *paths* are
    the key paths that move.
    """

    rewrites: tuple[Rewrite, ...]
    templates: Any = field(repr=False)
    paths: Sequence[str]
    undoes: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files to be written, by the names that the configuration has for them."""
        return tuple(rewrite.file for rewrite in self.rewrites)
