"""Records in the engine that is not the chosen one: found and named, not silently passed over."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawstate.errors import CorruptWarning, ElsewhereWarning, StateError, silent, warn
from clawstate.interrupts import load_modules
from clawstate.openclaw.owner import Era
from clawstate.state.backends import engine_of
from clawstate.state.taken_over import sentence, taken_over

if TYPE_CHECKING:
    from clawstate.state.backends import Engine
    from clawstate.state.context import Context


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """How many records of each store lie in *engine*, while the state keeps them in *chosen*."""

    engine: str
    chosen: str
    counts: Mapping[str, int] = field(default_factory=dict)
    is_shared: bool = False
    """Whether they lie in files that are OpenClaw's as well, and stay there."""

    @property
    def in_files(self) -> bool:
        """Whether they lie in files, each at a place of its own."""
        return engine_of(self.engine).in_files

    @property
    def command(self) -> str:
        """What brings all records together."""
        return f"clawstate store migrate --to {self.engine if self.is_shared else self.chosen}"

    def sentence(self, store: str) -> str:
        """Return what is left of *store*, and what to do."""
        where = f"{engine_of(self.engine).words}, where this state does not look for them"
        what = "moves the others there" if self.is_shared else "moves them"
        return f"{store} ({self.counts[store]}) lie in {where}; '{self.command}' {what}"


def elsewhere(context: Context) -> str:
    """Return how records come into rows whose files an OpenClaw of the file era needs."""
    home = f"clawstate --state-dir DIR import openclaw {context.paths.root}"
    return f"keep 'file' here, or have a directory DIR of your own: '{home}'"


def left_behind(context: Context) -> LeftBehind:
    """
    Return what lies in an engine that is not the one that keeps the records of the state.

    Only looks; what cannot be read is left out.
    """
    chosen = context.backends.engine
    for engine in context.backends.others(chosen):
        if counts := count_records(context, engine):
            is_shared = engine.in_files and context.owner.era is Era.FILES
            return LeftBehind(engine.name, context.backends.choice, counts, is_shared)
    return LeftBehind(chosen.name, chosen.name)


def count_records(context: Context, engine: Engine) -> dict[str, int]:
    """Return how many records of each store lie in *engine*; what cannot be read is left out."""
    if not engine.is_there(context.backends):
        return {}
    # They know all stores, and every open state would load those.
    load_modules("clawstate.state.record_places", "clawstate.state.set_aside")
    from clawstate.state.record_places import record_places  # noqa: PLC0415
    from clawstate.state.set_aside import source_of  # noqa: PLC0415

    counts: dict[str, int] = {}
    seen: set[str] = set()
    with silent(CorruptWarning):  # the doctor tells of damage
        for place in record_places(context):
            if not engine.in_files and place.kind in seen:
                continue  # several files, one kind of rows
            seen.add(place.kind)
            source = source_of(place, context, in_files=engine.in_files)
            with suppress(StateError, OSError):
                if source.exists() and source.refusal() is None and (count := source.count()):
                    counts[place.store] = counts.get(place.store, 0) + count
    return counts


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
