"""What this state shared with OpenClaw in files, until OpenClaw took them into SQLite."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.openclaw.owner import Era
from clawstate.records.last_good import copy_path

if TYPE_CHECKING:
    from clawstate.state.ground import Ground

_SHARED = {
    "credentials": ("agents/*/agent/auth-profiles.json", "auth:"),
    "sessions": ("agents/*/sessions/sessions.json", "sessions"),
}
# What OpenClaw leaves of such files.
_REMAINS = {
    "credentials": "agents/*/agent/auth-profiles.json.migrated*",
    "sessions": "agents/*/session-sqlite-import-archive",
}
_OURS = ("state/records.db", "memory/memory.db", "clawstate.json", ".config-history", "dedupe")


def taken_over(ground: Ground) -> tuple[str, ...]:
    """
    Return the stores that were shared in files, and of which there are no records here since.

    A last good copy of ours whose document is gone shows it, and where this program was in use what
    OpenClaw leaves of such a file. Only looks at names, and at which kinds of rows there are.
    """
    if ground.owner.era is not Era.SQLITE:
        return ()
    gone = {
        store: kind
        for store, (files, kind) in _SHARED.items()
        if _was_shared(ground, files) or _remains(ground, store)
    }
    if not gone:
        return ()
    kept = ground.engines.rows().kinds() if ground.engines.has_rows else ()
    return tuple(
        store for store, kind in gone.items() if not any(each.startswith(kind) for each in kept)
    )


def sentence(ground: Ground, stores: tuple[str, ...]) -> str:
    """Return what became of *stores*, and what to do."""
    told = f"OpenClaw took the {' and '.join(stores)} of {ground.paths.root} into SQLite"
    return f"{told}; 'clawstate import openclaw {ground.paths.root}' has them here as well"


def _was_shared(ground: Ground, pattern: str) -> bool:
    folder, _, name = pattern.rpartition("/")
    places = (Path(each) / name for each in ground.paths.root.glob(folder))
    return any(copy_path(each).is_file() and not each.exists() for each in places)


def _remains(ground: Ground, store: str) -> bool:
    root = ground.paths.root
    if next(root.glob(_REMAINS[store]), None) is None:
        return False
    return any(os.path.lexists(root / each) for each in _OURS)
