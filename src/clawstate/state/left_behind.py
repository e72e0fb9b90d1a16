"""Records in the engine that is not the chosen one: found and named, not silently passed over."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawstate.errors import CorruptWarning, ElsewhereWarning, StateError, silent, warn
from clawstate.interrupts import load_modules
from clawstate.openclaw.owner import Era
from clawstate.state.backends import FILE, SQLITE
from clawstate.state.taken_over import sentence, taken_over

if TYPE_CHECKING:
    from clawstate.state.context import Context
    from clawstate.state.set_aside import Source

WORDS = {FILE: "files", SQLITE: "rows of state/records.db"}
"""Where the records of an engine lie, for people."""


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """How many records of each store lie in *engine*, while the state keeps them in *chosen*."""

    engine: str
    chosen: str
    counts: Mapping[str, int] = field(default_factory=dict)
    is_shared: bool = False
    """Whether they lie in files that are OpenClaw's as well, and stay there."""

    @property
    def command(self) -> str:
        """What brings all records together."""
        return f"clawstate store migrate --to {self.engine if self.is_shared else self.chosen}"

    def sentence(self, store: str) -> str:
        """Return what is left of *store*, and what to do."""
        where = f"{WORDS[self.engine]}, where this state does not look for them"
        what = "moves the others there" if self.is_shared else "moves them"
        return f"{store} ({self.counts[store]}) lie in {where}; '{self.command}' {what}"


def elsewhere(context: Context) -> str:
    """Return how records come into rows whose files an OpenClaw of the file era needs."""
    home = f"clawstate --state-dir DIR import openclaw {context.paths.root}"
    return f"keep 'file' here, or have a directory DIR of your own: '{home}'"


def left_behind(context: Context, *, chosen: str | None = None) -> LeftBehind:
    """
    Return what lies in the engine that is not *chosen*, by default the one that is.

    Only looks; what cannot be read is left out.
    """
    engine = context.backends.choice if chosen is None else chosen
    other = FILE if engine != FILE else SQLITE
    found = LeftBehind(other, engine)
    if engine not in {FILE, SQLITE} or (other == SQLITE and not context.backends.has_rows):
        return found
    # They know all stores, and every open state would load those.
    load_modules("clawstate.state.record_places", "clawstate.state.set_aside")
    from clawstate.state.record_places import record_places  # noqa: PLC0415
    from clawstate.state.set_aside import FileSource, RowSource  # noqa: PLC0415

    counts: dict[str, int] = {}
    seen: set[str] = set()
    with silent(CorruptWarning):  # the doctor tells of damage
        for place in record_places(context):
            if other == SQLITE and place.kind in seen:
                continue  # several files, one kind of rows
            seen.add(place.kind)
            source: Source = (FileSource if other == FILE else RowSource)(place, context)
            with suppress(StateError, OSError):
                if source.exists() and source.refusal() is None and (count := source.count()):
                    counts[place.store] = counts.get(place.store, 0) + count
    is_shared = other == FILE and context.owner.era is Era.FILES
    return LeftBehind(other, engine, counts, is_shared)


class Notice:
    """Warns once, of each store that is opened, of its records that lie elsewhere by now."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._found: LeftBehind | None = None
        self._told: set[str] = set()

    def opened(self, *stores: str) -> None:
        """Warn if records of *stores* are left behind; a look that fails says nothing."""
        with suppress(StateError, OSError):
            if self._found is None:
                self._found = left_behind(self._context)
            gone = taken_over(self._context, set(stores) - self._told)
            for each in {*self._found.counts, *gone} & set(stores) - self._told:
                self._told.add(each)
                is_left = each in self._found.counts
                message = (
                    self._found.sentence(each) if is_left else sentence(self._context, (each,))
                )
                warn(ElsewhereWarning(message), stacklevel=4)
