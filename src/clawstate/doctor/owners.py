"""Files of a state that belong to somebody else than the state, as after a command under `sudo`."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from clawstate.files.ownership import is_root
from clawstate.health import Finding
from clawstate.quantities import number_of
from clawstate.state import State

_MOST = 200  # findings of their own: the first ones tell enough
_SUDO = "'sudo clawstate doctor --fix'"
# A descriptor that opens nothing, so that closing it drops no lock that SQLite holds on the file.
_LOOK = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC if os.name == "posix" else 0
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_DIRECTORY", 0)


def check(state: State) -> Iterator[Finding]:
    """Look at all owners; as root, a repair gives each file to the owner of its state."""
    if os.name != "posix":
        return
    root = state.paths.root
    outside = (each for each in state.places.agent_dirs().values() if not each.is_relative_to(root))
    for place in (root, *outside):
        yield from _below(place)


def _below(place: Path) -> Iterator[Finding]:
    try:
        place = Path(os.path.realpath(place))
        owner, above = place.stat(), place.parent.stat()
    except OSError:
        return
    if owner.st_uid == 0 and above.st_uid:  # root made it in somebody's home
        yield _finding(place.parent, (place.name,), owner, above)
        owner = above
    rest: list[tuple[str, ...]] = []
    for count, (path, found) in enumerate(_foreign(place, owner)):
        if count < _MOST:
            yield _finding(place, path, found, owner)
        else:
            rest.append(path)
    if rest:
        more = number_of(len(rest), "more file belongs", "more files and directories belong")
        message = f"{more} to other users than the state"
        remedy = f"sudo chown -R -h {_owner_text(owner)} {shlex.quote(str(place))}, or {_SUDO}"
        yield Finding(
            *("foreign-owner", "warning", str(place), message, remedy),
            repair=partial(_give, place, rest, owner) if is_root() else None,
        )


def _foreign(
    place: Path, owner: os.stat_result
) -> Iterator[tuple[tuple[str, ...], os.stat_result]]:
    """Give what is below *place* and not *owner*'s, as names from there on."""
    # By descriptors, so that no name on the way can be exchanged for a link.
    for folder, names, files, descriptor in os.fwalk(place, follow_symlinks=False):
        for name in (*names, *files):
            with suppress(OSError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if found.st_uid != owner.st_uid and not stat.S_ISLNK(found.st_mode):
                    yield Path(folder, name).relative_to(place).parts, found


def _finding(
    place: Path, path: tuple[str, ...], found: os.stat_result, owner: os.stat_result
) -> Finding:
    named = str(Path(place, *path))
    remedy = f"sudo chown {_owner_text(owner)} {shlex.quote(named)}, or {_SUDO}"
    message = f"belongs to user {found.st_uid}, and the state to user {owner.st_uid}"
    repair = partial(_give, place, [path], owner) if is_root() else None
    return Finding("foreign-owner", "warning", named, message, remedy, repair=repair)


def _owner_text(owner: os.stat_result) -> str:
    return f"{owner.st_uid}:{owner.st_gid}"


def _give(place: Path, paths: list[tuple[str, ...]], owner: os.stat_result) -> str:
    """Give what is below *place* to *owner*; raises `OSError` for what is no file of its own."""
    for path in paths:
        with _open_directory(place, path[:-1]) as folder:
            descriptor = os.open(path[-1], _LOOK, dir_fd=folder)
            try:
                now = os.fstat(descriptor)
                is_own = stat.S_ISREG(now.st_mode) and now.st_nlink == 1
                if not (stat.S_ISDIR(now.st_mode) or is_own):
                    # With a second name it may be anybody's.
                    raise OSError(errno.EPERM, "it is no file of its own")
                target = f"/proc/self/fd/{descriptor}"
                os.chown(target, owner.st_uid, owner.st_gid)
            finally:
                os.close(descriptor)
    return f"given to user {owner.st_uid}"


@contextmanager
def _open_directory(place: Path, path: tuple[str, ...]) -> Iterator[int]:
    """Open the directory *path* below *place*, and give its descriptor; no link is followed."""
    descriptor = os.open(place, _FOLDER)
    try:
        for name in path:
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)
