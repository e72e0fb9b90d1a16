"""What is wrong with the sessions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from clawstate.doctor.modes import wide_modes
from clawstate.errors import StateError
from clawstate.health import Finding, Severity
from clawstate.state import State
from clawstate.stores.sessions.problems import Problem

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


def check(state: State) -> Iterator[Finding]:
    """Look for lost and damaged entries, profiles without one, and files that others may read."""
    yield from wide_modes(state, _private_paths(state))
    try:
        problems = state.sessions.problems()
    except StateError as error:
        path = str(state.paths.sessions_index)
        yield Finding.of(error, path, "see the message")
        return
    healing = _Healing(state)
    for each in problems:
        code, severity = f"session-{each.code}", _SEVERITIES[each.code]
        repair = partial(healing.told, each) if each.heals else None
        yield Finding(code, severity, each.path, each.message, each.remedy, repair=repair)


class _Healing:
    """What was mended of the sessions, all at once when it is first asked for."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._mended: set[Problem] | None = None

    def told(self, problem: Problem) -> str:
        """Return whether *problem* was mended, or what to do about it."""
        if self._mended is None:
            self._mended = set(self._state.sessions.heal())
        return "mended" if problem in self._mended else problem.remedy


def _private_paths(state: State) -> Iterator[Path]:
    for folder in (state.paths.sessions_dir, *sorted(state.paths.root.glob("agents/*/sessions"))):
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            yield from sorted(folder.rglob("*"))
