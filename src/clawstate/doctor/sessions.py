"""What is wrong with the sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clawstate.doctor.finding import Finding, Severity
from clawstate.doctor.modes import wide_modes
from clawstate.errors import StateError
from clawstate.state import State

_SEVERITIES: dict[str, Severity] = {
    "damaged": "error",
    "unusable": "error",
    "ahead": "error",
    "orphan": "error",
    "outside": "warning",
    "missing": "info",
    "stale": "info",
    "leftover": "info",
}


def check(state: State, *, fix: bool) -> Iterator[Finding]:
    """Look for lost and damaged entries, profiles without one, and files that others may read."""
    yield from wide_modes(state, _private_paths(state), fix=fix)
    try:
        problems = state.sessions.problems()
        mended = set(state.sessions.heal()) if fix else set()
    except StateError as error:
        path = str(state.paths.sessions_index)
        yield Finding.of(error, path, "see the message")
        return
    for each in problems:
        remedy = "mended" if each in mended else each.remedy
        code = f"session-{each.code}"
        yield Finding(code, _SEVERITIES[each.code], each.path, each.message, remedy)


def _private_paths(state: State) -> Iterator[Path]:
    for folder in (state.paths.sessions_dir, *sorted(state.paths.root.glob("agents/*/sessions"))):
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            yield from sorted(folder.rglob("*"))
