"""All checks of a state, the worst finding first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from clawstate.doctor import beside_openclaw, config, files, owners, writable
from clawstate.doctor.audit.modes import is_secret_place
from clawstate.doctor.audit.tree import Entry, walk, walk_agent
from clawstate.doctor.modes import OTHERS, by_path, is_shut, wide_mode, wide_modes
from clawstate.errors import (
    CorruptWarning,
    ElsewhereWarning,
    StateError,
    UnresolvedWarning,
    silent,
)
from clawstate.health import Finding, repair_all
from clawstate.state import State

_ORDER = {"error": 0, "warning": 1, "info": 2}


def examine(state: State, *, fix: bool = False, deep: bool = True) -> list[Finding]:
    """
    Return what is wrong with *state*, the worst first; with *fix*, mend what loses nothing.

    Nothing is ever deleted but derived indexes, which are built again. *deep* reads every page.
    """
    checks = (
        writable.check(state),
        owners.check(state),  # before what mends: what is not ours cannot be mended
        beside_openclaw.check(state),
        config.check(state),
        files.check(state),
        state.records.check(deep=deep),
        check_secret_files(state),
        *(check_part(state, each, deep=deep) for each in state.health.parts),
    )
    found: list[Finding] = []
    with silent(CorruptWarning, UnresolvedWarning, ElsewhereWarning):  # each is a finding here
        for check in checks:
            # What keeps many checks from looking, such as a broken configuration, is told once.
            told = {each.message for each in found if each.path in each.message}
            new = [each for each in _guard(check, state) if each.message not in told]
            # What is repaired is no longer in the way of the checks behind.
            found += repair_all(new) if fix else new
            if any(each.code == "no-directory" for each in found):
                break  # there is nothing else to look at
    # Several stores look at one directory.
    return sorted(dict.fromkeys(by_path(found)), key=lambda each: _ORDER[each.severity])


def check_part(state: State, part: str, *, deep: bool = True) -> Iterator[Finding]:
    """Give what is wrong with *part*, and with the modes of its files."""
    yield from wide_modes(state, state.health.private_paths(part))
    yield from state.health.check(part, deep=deep)


def _guard(check: Iterable[Finding], state: State) -> Iterator[Finding]:
    """Go on behind a check that cannot: what keeps it from looking is a finding as well."""
    try:
        yield from check
    except StateError as error:
        path = getattr(error, "path", None) or str(state.paths.root)
        yield Finding.of(error, str(path), "see the message")
    except OSError as error:
        path, problem = error.filename or state.paths.root, error.strerror or str(error)
        remedy = "run clawstate as the user that the state belongs to"
        yield Finding("unavailable", "error", str(path), f"{path}: {problem}", remedy)


def check_secret_files(state: State) -> Iterator[Finding]:
    """Look at the modes of what the audit knows as places of secrets, of all agents."""
    if os.name != "posix":
        return
    shut = is_shut(state)
    for entry in _entries(state):
        is_ours = not entry.is_link and (not entry.place or is_secret_place(entry))
        if is_ours and entry.mode & OTHERS:
            is_inside = entry.path.is_relative_to(state.paths.root) and bool(entry.place)
            is_reached = not (shut and entry.is_folder and is_inside)
            yield wide_mode(
                entry.path, entry.mode, follow_link=not entry.place, is_reached=is_reached
            )


def _entries(state: State) -> Iterator[Entry]:
    yield from walk(state.paths.root, on_error=_ignore)
    for agent_id, folder in state.places.agent_dirs().items():
        # Below the state all but the directory itself is known by its name.
        found = walk_agent(folder, agent_id, on_error=_ignore)
        yield from islice(found, 1 if folder.is_relative_to(state.paths.root) else None)


def _ignore(_error: OSError, _path: Path) -> None:
    """Pass over what the system refuses to show."""
