"""All checks of a state, the worst finding first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from clawstate.doctor import backups, beside_openclaw, config, files, owners, writable
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
from clawstate.health import SALVAGE, Finding
from clawstate.state import State

_ROUNDS = 5  # of looking and mending; two are enough for all that is known to wait for another
_ORDER = {"error": 0, "warning": 1, "info": 2}


def examine(state: State, *, fix: bool = False, deep: bool = True) -> list[Finding]:
    """
    Return what is wrong with *state*, the worst first; with *fix*, mend what loses nothing.

    Nothing is ever deleted but derived indexes, which are built again. *deep* reads every page.
    """
    return mend(state, deep=deep)[0] if fix else _in_order(_look(state, list, deep=deep))


def mend(
    state: State, *, deep: bool = True, wanted: Callable[[Finding], bool] | None = None
) -> tuple[list[Finding], list[Finding]]:
    """
    Mend what loses nothing; return what was mended or is left, and what is left, as `examine` does.

    With *wanted* only the findings for which it is true. One repair may give another one work, as
    new vectors leave bytes of old ones in the file. So it is looked again, until nothing is left
    that can be mended.
    """
    mending = _Mending(wanted or (lambda _: True))
    for _ in range(_ROUNDS):
        before = len(mending.done)
        left = _look(state, mending.repair_all, deep=deep)
        if len(mending.done) == before:
            break
    else:
        left = _look(state, list, deep=deep)
    return _in_order([*mending.done, *left]), _in_order(left)


def salvage(state: State) -> tuple[list[Finding], list[Finding]]:
    """
    Keep what can be read of the damaged databases of *state*, and mend nothing else.

    Returns what `mend` returns. Each database is read around its damage, or by its pages where its
    header or its list of tables is lost; the damaged file is kept beside it, in `.quarantine`.
    """
    return mend(state, wanted=lambda each: each.fix == SALVAGE)


class _Mending:
    """What was `done` by repairs, in their order; one that failed is not tried again."""

    def __init__(self, wanted: Callable[[Finding], bool]) -> None:
        self._wanted = wanted
        self.done: list[Finding] = []
        self._failed: dict[Finding, Finding] = {}

    def repair_all(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return what is left of *findings*, each tried after all of them were found."""
        left: list[Finding] = []
        for each in list(findings):
            told, is_done = self._failed.get(each, each), False
            if told is each and self._wanted(each):
                told, is_done = each.try_repair()
            if is_done:
                self.done.append(told)
                continue
            if told is not each:
                self._failed[each] = told
            left.append(told)
        return left


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    # Several stores look at one directory.
    return sorted(dict.fromkeys(by_path(findings)), key=lambda each: _ORDER[each.severity])


def _look(
    state: State, take: Callable[[Iterable[Finding]], list[Finding]], *, deep: bool
) -> list[Finding]:
    """Return what *take* returns of what each check finds, one after the other."""
    checks = (
        writable.check(state),
        owners.check(state),  # before what mends: what is not ours cannot be mended
        beside_openclaw.check(state),
        config.check(state),
        files.check(state),
        backups.check(state),
        state.records.check(deep=deep),
        check_secret_files(state),
        *(check_part(state, each, deep=deep) for each in state.health.parts),
    )
    found: list[Finding] = []
    with silent(CorruptWarning, UnresolvedWarning, ElsewhereWarning):  # each is a finding here
        for check in checks:
            # What keeps many checks from looking, such as a broken configuration, is told once.
            told = {each.message for each in found if each.path in each.message}
            new = [
                each
                for each in _guard(check, state)
                if each.message not in told or each.repair is not None
            ]
            # Whoever only stumbled over it is told by who can mend it.
            mendable = {each.message for each in new if each.repair is not None}
            found = [each for each in found if each.repair or each.message not in mendable]
            # What is repaired is no longer in the way of the checks behind.
            found += take(new)
            if any(each.code == "no-directory" for each in found):
                break  # there is nothing else to look at
    return found


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
