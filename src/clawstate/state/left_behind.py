"""Records in the engine that is not the chosen one, or that OpenClaw took: found and named."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawstate.errors import CorruptWarning, ElsewhereWarning, StateError, silent, warn
from clawstate.interrupts import load_modules
from clawstate.openclaw.owner import Era
from clawstate.records.last_good import copy_path
from clawstate.state.engines import ENGINES, engine_of, shown_choice

if TYPE_CHECKING:
    from clawstate.openclaw.state_database import StateDatabase
    from clawstate.state.context import Context
    from clawstate.state.engines import Engine

CHANNELS = "channel pairing"
_SHARED = {
    "credentials": ("agents/*/agent", "auth-profiles.json", "auth:"),
    "sessions": ("agents/*/sessions", "sessions.json", "sessions"),
    "devices": ("devices", "paired.json", "devices"),
    "device tokens": ("identity", "device-auth.json", "device-auth"),
    CHANNELS: ("credentials", "*-*.json", "channel:"),
}
"""The folder and name of such files, and what the kinds of rows begin with that hold the same."""

# What OpenClaw leaves of such files.
_REMAINS = {
    "credentials": "agents/*/agent/auth-profiles.json.migrated*",
    "sessions": "agents/*/session-sqlite-import-archive",
    "devices": "devices/paired.json.migrated*",
    # Of these it leaves nothing but their folder.
    "device tokens": "identity",
    CHANNELS: "credentials",
}
# Where remains alone do not tell that there was anything, the database does.
_KEEPS: dict[str, Callable[[StateDatabase], bool]] = {
    "devices": lambda found: bool(found.devices().documents),
    "device tokens": lambda found: bool(found.device_auth()),
    CHANNELS: lambda found: bool(found.pairing() or found.allow_lists()),
}
_OURS = ("state/records.db", "memory/memory.db", "clawstate.json", ".config-history", "dedupe")


def find_taken_over(context: Context, stores: Collection[str] = tuple(_SHARED)) -> tuple[str, ...]:
    """
    Return those of *stores* that were shared in files, and of which there are no records since.

    A last good copy of ours whose document is gone shows it, and where this program was in use what
    OpenClaw leaves of such a file. Looks at names, and at which kinds of rows there are; the
    database of OpenClaw is only read where these leave it open.
    """
    if context.owner.era is not Era.SQLITE:
        return ()
    gone = [each for each in _SHARED if each in stores and _is_gone(context, each)]
    if not gone:
        return ()
    load_modules("clawstate.state.record_places")
    from clawstate.state.record_places import kinds  # noqa: PLC0415 - it knows all stores

    kept = kinds(context, "")
    left = [each for each in gone if not any(kind.startswith(_SHARED[each][2]) for kind in kept)]
    return tuple(_held_by_openclaw(context, left))


def taken_over_sentence(context: Context, stores: tuple[str, ...]) -> str:
    """Return what became of *stores*, and what to do."""
    *others, last = stores
    named = f"{', '.join(others)} and {last}" if others else last
    told = f"OpenClaw took the {named} of {context.paths.root} into SQLite"
    return f"{told}; 'clawstate import openclaw {context.paths.root}' has them here as well"


def has_key_pair_there(context: Context) -> bool:
    """Tell whether OpenClaw took the key pair of this device along; it is used from there."""
    root = context.paths.root
    if context.owner.era is not Era.SQLITE or not (root / "identity").is_dir():
        return False
    if os.path.lexists(context.paths.device_identity) or not _is_in_use(context):
        return False
    from clawstate.openclaw.reading import read_identity  # noqa: PLC0415 - rarely needed

    with suppress(StateError):
        return read_identity(root) is not None
    return False


def _is_in_use(context: Context) -> bool:
    return any(os.path.lexists(context.paths.root / each) for each in _OURS)


def _is_gone(context: Context, store: str) -> bool:
    root = context.paths.root
    folder, name, _ = _SHARED[store]
    copies = root.glob(f"{folder}/{copy_path(root / 'x').parent.name}/{name}")
    if any(each.is_file() and not (each.parents[1] / each.name).exists() for each in copies):
        return True
    if next(root.glob(_REMAINS[store]), None) is None:
        return False
    # A file that is still there is read, or waits for OpenClaw.
    is_there = "*" not in f"{folder}{name}" and os.path.lexists(root / folder / name)
    return not is_there and _is_in_use(context)


def _held_by_openclaw(context: Context, stores: list[str]) -> list[str]:
    """Return those of *stores* of which OpenClaw has records, as far as that can be asked."""
    asked = [each for each in stores if each in _KEEPS]
    if not asked:
        return stores
    from clawstate.openclaw.owner import state_database  # noqa: PLC0415 - rarely needed
    from clawstate.openclaw.schema import Role  # noqa: PLC0415
    from clawstate.openclaw.snapshot import snapshot  # noqa: PLC0415
    from clawstate.openclaw.state_database import StateDatabase  # noqa: PLC0415

    kept: set[str] = set()
    with suppress(StateError), snapshot(state_database(context.paths.root), Role.STATE) as found:
        kept = {each for each in asked if _KEEPS[each](StateDatabase(found))}
    return [each for each in stores if each not in _KEEPS or each in kept]


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


def find_left_behind(context: Context) -> LeftBehind:
    """
    Return what lies in an engine that is not the one that keeps the records of the state.

    Only looks; what cannot be read is left out.
    """
    chosen = context.backends.engine
    for engine in context.backends.others(chosen):
        if counts := count_records(context, engine):
            is_shared = engine.in_files and context.owner.era is Era.FILES
            chosen_now = shown_choice(context.backends.choice)
            return LeftBehind(engine.name, chosen_now, counts, is_shared)
    other = next(each for each in ENGINES if each is not chosen and not each.schemes)
    return LeftBehind(other.name, shown_choice(context.backends.choice))


def count_records(context: Context, engine: Engine) -> dict[str, int]:
    """Return how many records of each store lie in *engine*; what cannot be read is left out."""
    is_chosen = engine is context.backends.engine
    if not is_chosen and not engine.is_there(context.backends):
        return {}
    # They know all stores, and every open state would load those.
    load_modules("clawstate.state.record_places", "clawstate.state.record_sources")
    from clawstate.state.record_places import PAST, record_places  # noqa: PLC0415
    from clawstate.state.record_sources import source_of  # noqa: PLC0415

    counts: dict[str, int] = {}
    seen: set[str] = set()
    with silent(CorruptWarning):  # the doctor tells of damage
        for place in record_places(context):
            if place.store == PAST:  # it is nothing without the sessions, which are told
                continue
            if not engine.in_files and place.kind in seen:
                continue  # several files, one kind of rows
            seen.add(place.kind)
            source = source_of(place, context, engine)
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

    def warn_once(self, *stores: str) -> None:
        """Warn if records of *stores* are left behind; a look that fails says nothing."""
        with suppress(StateError, OSError):
            if self._found is None:
                self._found = find_left_behind(self._context)
            gone = find_taken_over(self._context, set(stores) - self._told)
            for each in {*self._found.counts, *gone} & set(stores) - self._told:
                self._told.add(each)
                is_left = each in self._found.counts
                message = (
                    self._found.sentence(each)
                    if is_left
                    else taken_over_sentence(self._context, (each,))
                )
                warn(ElsewhereWarning(message), stacklevel=4)
