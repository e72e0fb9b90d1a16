"""What this state shared with OpenClaw in files, until OpenClaw took them into SQLite."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from clawstate.errors import StateError
from clawstate.openclaw.owner import Era
from clawstate.records.last_good import copy_path

if TYPE_CHECKING:
    from clawstate.openclaw.state_database import StateDatabase
    from clawstate.state.context import Context

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


def taken_over(context: Context, stores: Collection[str] = tuple(_SHARED)) -> tuple[str, ...]:
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
    kept = context.backends.rows().kinds() if context.backends.has_rows else ()
    left = [each for each in gone if not any(kind.startswith(_SHARED[each][2]) for kind in kept)]
    return tuple(_kept_there(context, left))


def sentence(context: Context, stores: tuple[str, ...]) -> str:
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


def _kept_there(context: Context, stores: list[str]) -> list[str]:
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
