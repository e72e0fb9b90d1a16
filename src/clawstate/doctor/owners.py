"""Files of a state that belong to somebody else than the state, as after a command under `sudo`."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clawstate.doctor.finding import Finding
from clawstate.files.ownership import is_root
from clawstate.state import State
from clawstate.state.agent_dirs import agent_dirs

_MOST = 200  # findings: the first ones tell enough
# A descriptor that opens nothing, so that closing it drops no lock that SQLite holds on the file.
_LOOK = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC if os.name == "posix" else 0


def check(state: State, *, fix: bool) -> Iterator[Finding]:
    """Look at all owners; with *fix*, root gives each file to the owner of its state."""
    if os.name != "posix":
        return
    root = state.paths.root
    outside = (each for each in agent_dirs(state.ground).values() if not each.is_relative_to(root))
    for place in (root, *outside):
        yield from _below(place, fix=fix)


def _below(place: Path, *, fix: bool) -> Iterator[Finding]:
    try:
        place = Path(os.path.realpath(place))
        owner, above = place.stat(), place.parent.stat()
    except OSError:
        return
    if owner.st_uid == 0 and above.st_uid:  # root made it in somebody's home
        with _opened(place.parent) as descriptor:
            yield _finding(place, descriptor, owner, above, fix=fix)
        owner = above
    count = 0
    # By descriptors, so that no name on the way can be exchanged for a link.
    for folder, names, files, descriptor in os.fwalk(place, follow_symlinks=False):
        for name in (*names, *files):
            with suppress(OSError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if found.st_uid == owner.st_uid or stat.S_ISLNK(found.st_mode):
                    continue
                count += 1
                if count <= _MOST or fix:
                    yield _finding(Path(folder, name), descriptor, found, owner, fix=fix)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _finding(
    path: Path, folder: int, found: os.stat_result, owner: os.stat_result, *, fix: bool
) -> Finding:
    wanted = f"{owner.st_uid}:{owner.st_gid}"
    remedy = f"sudo chown {wanted} {shlex.quote(str(path))}, or 'sudo clawstate doctor --fix'"
    if fix and is_root():
        given = _given(path.name, folder, owner)
        remedy = f"given to user {owner.st_uid}" if given is None else f"{given}; {remedy}"
    message = f"belongs to user {found.st_uid}, and the state to user {owner.st_uid}"
    return Finding("foreign-owner", "warning", str(path), message, remedy)


def _given(name: str, folder: int, owner: os.stat_result) -> str | None:
    """Give a file to *owner*; return why not."""
    try:
        descriptor = os.open(name, _LOOK, dir_fd=folder)
        try:
            now = os.fstat(descriptor)
            if not (stat.S_ISDIR(now.st_mode) or (stat.S_ISREG(now.st_mode) and now.st_nlink == 1)):
                return "is no file of its own"  # with a second name it may be anybody's
            target = f"/proc/self/fd/{descriptor}"
            os.chown(target, owner.st_uid, owner.st_gid)
        finally:
            os.close(descriptor)
    except OSError as error:
        return f"refused ({error.strerror})"
    return None
