"""All checks of a state, the worst finding first."""

from __future__ import annotations

from clawstate.doctor import config, files, memory
from clawstate.doctor.finding import Finding
from clawstate.state import State

_ORDER = {"error": 0, "warning": 1, "info": 2}


def examine(state: State, *, fix: bool = False, deep: bool = True) -> list[Finding]:
    """
    Return what is wrong with *state*, the worst first; with *fix*, mend what loses nothing.

    Nothing is ever deleted but derived indexes, which are built again. *deep* reads every page.
    """
    found = [
        *config.check(state, fix=fix),
        *files.check(state, fix=fix),
        *memory.check(state, fix=fix, deep=deep),
    ]
    return sorted(found, key=lambda finding: _ORDER[finding.severity])
