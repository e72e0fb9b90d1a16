"""Files that others may read, and taking that right from them."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from clawstate.errors import UnavailableError
from clawstate.health import Finding, Severity
from clawstate.state import State

OTHERS = 0o077
"""The rights of everybody but the owner."""

_RANKS: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


def wide_modes(state: State, paths: Iterable[Path]) -> Iterator[Finding]:
    """Look at *paths*, which are all private; links are passed over."""
    shut = is_shut(state)
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if mode & OTHERS and not stat.S_ISLNK(mode):
            is_reached = not (shut and stat.S_ISDIR(mode))
            yield wide_mode(path, stat.S_IMODE(mode), is_reached=is_reached)


def is_shut(state: State) -> bool:
    """Tell whether it is an OpenClaw's directory that nobody else gets into, as it makes them."""
    try:
        return state.owner.is_openclaw and not state.paths.root.stat().st_mode & OTHERS
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class WideMode(Finding):
    """
    That a path has the too wide *mode*, from which *rights* have to go; see `by_path`.

    With a `fix` of its own it is not repaired. A repair follows a link only with *follow_link*.
    """

    mode: int = 0
    rights: int = OTHERS
    follow_link: bool = False
    is_done: bool = False
    problem: str = ""

    def try_repair(self) -> tuple[Self, bool]:
        """Take the rights away, and tell whether that was done."""
        if self.fix:
            return self, False
        try:
            # By its path: opening a live database file would drop SQLite's locks.
            os.chmod(  # noqa: PTH101 - links stay
                self.path, self.mode & ~self.rights, follow_symlinks=self.follow_link
            )
        except (OSError, NotImplementedError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            return replace(self, problem=problem or str(error)), False
        return replace(self, is_done=True), True


def wide_mode(
    path: Path, mode: int, *, follow_link: bool = False, is_reached: bool = True
) -> WideMode:
    """
    Return that others may read *path*, which has *mode*.

    What is not reached by others, for a directory above it is shut, is told without a warning.
    """
    message = "others may read it"
    if not is_reached:
        message += ", but do not get there: the directory of the state is shut to them"
    severity: Severity = "warning" if is_reached else "info"
    return WideMode(
        "wide-mode", severity, str(path), message, "", mode=mode, follow_link=follow_link
    )


def by_path(findings: Iterable[Finding]) -> list[Finding]:
    """
    Return *findings* with one for all that is wrong with the mode of a path.

    It has the worst severity, and the remedy that takes all the rights away: two remedies for one
    path would each undo, or fall short of, the other.
    """
    found: dict[object, Finding] = {}
    for each in findings:
        key: object = os.path.realpath(each.path) if isinstance(each, WideMode) else each
        past = found.get(key)
        both = isinstance(past, WideMode) and isinstance(each, WideMode)
        found[key] = _join(past, each) if both else each  # type: ignore[arg-type]
    return [_finding(each) if isinstance(each, WideMode) else each for each in found.values()]


def _join(one: WideMode, other: WideMode) -> WideMode:
    worst, rest = sorted((one, other), key=lambda each: _RANKS[each.severity])
    messages = dict.fromkeys((*worst.message.split("; "), *rest.message.split("; ")))
    return replace(
        worst,
        message="; ".join(messages),
        mode=one.mode | other.mode,
        rights=one.rights | other.rights,
        follow_link=one.follow_link or other.follow_link,
        is_done=one.is_done and other.is_done,
        problem=one.problem or other.problem,
    )


def _finding(found: WideMode) -> Finding:
    """Return *found* with its mode in the message, and what to do, or what was done."""
    narrow = found.mode & ~found.rights
    fix = f"chmod {narrow:o} {shlex.quote(found.path)}"
    if found.is_done:
        fix = f"made {narrow:04o}"
    elif found.problem:
        fix += f" ({found.problem})"
    message = f"{found.message} (mode {found.mode:04o})"
    is_open = not (found.fix or found.is_done or found.problem)
    repair = partial(_take_rights, found) if is_open else None
    return Finding(found.code, found.severity, found.path, message, found.fix or fix, repair=repair)


def _take_rights(found: WideMode) -> str:
    told, is_done = found.try_repair()
    if not is_done:
        raise UnavailableError(found.path, "keeps its mode", told.problem)
    return _finding(told).fix
