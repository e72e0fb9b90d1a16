"""Whether anything can be written at all: the directory, its file system, its mounts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clawstate.files.mounts import mount_of, mounts_below
from clawstate.health import Finding
from clawstate.quantities import number_of
from clawstate.state import State

_FOLDERS = (
    *("agents/*/agent", "agents/*/sessions", "sessions", "sessions/profile", "state", "memory"),
    *("state/identity", "identity", "dedupe", "logs", "locks", ".locks", ".lastgood"),
    ".config-history",
)
_EFFECTIVE = os.access in os.supports_effective_ids
_LOW = 1 << 20  # bytes: less is left than a few changes need
_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS of Linux on 64 bits (ioctl_iflags(2))
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20


def check(state: State) -> Iterator[Finding]:
    """Look for what would make every write fail; nothing is written to find it out."""
    root = state.paths.root
    if not os.path.lexists(root):
        message = f"{root} does not exist, so nothing is kept there"
        remedy = "check the name; the first write makes it, such as 'clawstate memory add'"
        yield Finding("no-directory", "error", str(root), message, remedy)
        return
    if not root.exists():
        message = f"{root} is a link to nothing"
        remedy = "restore what it leads to, such as a disk that is not mounted, or remove the link"
        yield Finding("no-directory", "error", str(root), message, remedy)
        return
    refused = False
    for folder in _folders(root):
        if refused and folder != root and mount_of(folder) == mount_of(root):
            continue  # one finding for one cause
        for found in _refusals(folder):
            refused = refused or folder == root
            yield found
    if not refused:
        yield from _check_files(root)
    yield from _dead_links(root)
    yield from _single_mounts(root)
    yield from _space(root)


def _folders(root: Path) -> Iterator[Path]:
    yield root
    for pattern in _FOLDERS:
        for found in sorted(root.glob(pattern)):
            with suppress(OSError):
                if stat.S_ISDIR(found.lstat().st_mode):
                    yield found


def _check_files(root: Path) -> Iterator[Finding]:
    """Find the files that cannot be replaced or written, though their directory can be."""
    for folder in _folders(root):
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
            continue
        mounts = set(mounts_below(folder))
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            place = folder / entry.name
            # A file that lacks permission to be written is replaced all the same, but no database.
            if entry.is_file(follow_symlinks=False) and place not in mounts:
                allowed = os.geteuid() == 0 or bool(entry.stat().st_mode & stat.S_IWUSR)
                if allowed or entry.name.endswith(".db"):
                    yield from _check_file(place, allowed=allowed)


def _check_file(place: Path, *, allowed: bool) -> Iterator[Finding]:
    if os.access(place, os.W_OK, effective_ids=_EFFECTIVE):
        return
    if allowed:  # by its mode, and yet it is refused
        message = f"{place} is marked unchangeable (lsattr): it cannot be written or replaced"
        yield Finding("read-only", "error", str(place), message, f"chattr -i -a {place}")
    else:
        message = f"{place} cannot be written by this user"
        yield Finding("not-writable", "error", str(place), message, f"chmod 600 {place}")


def _dead_links(root: Path) -> Iterator[Finding]:
    known = {part for each in _FOLDERS for part in each.split("/")}
    for pattern in ("*", "agents/*", "agents/*/*", "state/*", "sessions/*"):
        for place in sorted(root.glob(pattern)):
            if place.name not in known and place.parent != root / "agents":
                continue
            if place.is_symlink() and not place.exists():
                message = f"{place} is a link to nothing, so what is kept there cannot be read"
                remedy = "restore what it leads to, such as a disk that is not mounted"
                yield Finding("dead-link", "error", str(place), message, remedy)


def _refusals(folder: Path) -> Iterator[Finding]:
    place = str(folder)
    if mount_of(folder).read_only or _is_read_only(folder):
        message = f"{folder} is on a file system that is mounted read-only: nothing can be written"
        yield Finding("read-only", "error", place, message, "remount it writable")
    elif _flags(folder) & (_IMMUTABLE | _APPEND_ONLY):
        message = f"{folder} is marked unchangeable (lsattr): nothing in it can be replaced"
        yield Finding("read-only", "error", place, message, f"chattr -i -a {folder}")
    elif not os.access(folder, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
        message = f"{folder} cannot be written by this user"
        remedy = "run clawstate as the user that the state belongs to, or give it the directory"
        yield Finding("not-writable", "error", place, message, remedy)


def _single_mounts(root: Path) -> Iterator[Finding]:
    for place in mounts_below(root):
        if place.is_dir():
            continue
        message = f"{place} is a mount of this single file, so it can never be replaced (EBUSY)"
        remedy = f"mount the directory {place.parent} instead"
        yield Finding("file-mount", "error", str(place), message, remedy)


def _space(root: Path) -> Iterator[Finding]:
    with suppress(OSError):
        found = os.statvfs(root)
        if found.f_blocks and found.f_bavail * found.f_frsize < _LOW:
            left = number_of(found.f_bavail * found.f_frsize, "byte")
            message = f"the disk of {root} is full: {left} left"
            yield Finding("disk-full", "error", str(root), message, "free some space")
        elif found.f_files and not found.f_favail:
            message = f"the file system of {root} has no room for another file (inodes)"
            yield Finding("disk-full", "error", str(root), message, "remove some files")


def _is_read_only(folder: Path) -> bool:
    with suppress(OSError):
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    return False


def _flags(folder: Path) -> int:
    """Return the attributes of *folder* that chattr(1) sets; 0 where there are none."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 0
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            answer = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))
        finally:
            os.close(descriptor)
        return int.from_bytes(answer[:4], "little")
    return 0
