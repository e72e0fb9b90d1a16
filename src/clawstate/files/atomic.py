"""
The durable atomic write: a reader sees the old file or the new one, even after a power cut.

Files are private from the instant they exist: they are created with their mode, never made
private afterwards.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.arguments import require_callable, require_count
from clawstate.errors import InvalidError
from clawstate.files.descriptors import Descriptor
from clawstate.files.json_text import dump_pretty
from clawstate.files.os_errors import os_errors
from clawstate.files.ownership import give_to_owner, make_directory
from clawstate.files.paths import as_file_path
from clawstate.files.regular import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700
_POSIX = os.name == "posix"

# Absent on Windows, where O_BINARY is needed instead.
_GUARDED = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
_ANY_MODE = 0o7777
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _GUARDED
_OPEN_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

_TEMPORARY = re.compile(r".*\.[0-9a-f]{16}\.tmp", re.DOTALL)
# A name has at most 255 bytes, and those of the target may fill them already.
_READABLE_PART = 40  # characters of the target's name that its temporary file shows
_HASHED_PART = 8

_UNCHANGED = "was not written and is unchanged"
_UNKNOWN = "was replaced, but a power cut may still bring the old content back"
_UNSURE = "may have been replaced"
_LOOK = "read it again before you repeat"


def write_atomic(
    path: Path,
    data: bytes,
    *,
    mode: int = _PRIVATE_FILE,
    fence: Callable[[], object] | None = None,
    replaced: Callable[[], object] | None = None,
    aside: Path | None = None,
) -> None:
    """
    Replace *path* with *data*; missing directories are made private, and are durable as well.

    The new file is on disk before it takes the name, and the directory is synced after. Two
    writers are not kept apart here; a lock does that, and *fence*, called just before the new
    file takes the name, can stop it by raising (`FileLock.confirm`). *replaced*, called just after,
    may let the lock go: whoever writes next makes this write durable too, and nobody is told of it
    before it is.

    By root it is made for the owner of *path*, or else of its directory.

    The new file is made in the directory *aside*, by default that of *path*; also there if the two
    are not on one file system, for then nothing can take the name of *path* from there.

    Raises `InvalidError` if *path* is a link or anything but a regular file with one name, and
    `UnavailableError` if the system refuses: then the old content is intact and no temporary file
    is left, unless the error says that the outcome is unknown. Source: rename(2), fsync(2).
    """
    make_private_dir(path.parent)
    # All that follows goes through this descriptor: if somebody renames the directory or puts a
    # link in its place meanwhile, the file still lands in the one that was looked at.
    with os_errors(path, _UNCHANGED), _opened_directory(path.parent) as folder:
        found = _require_replaceable(path, folder)
        _replace_from(aside, path, data, folder=folder, found=found, mode=mode, fence=fence)
        try:
            if replaced is not None:
                replaced()
        # Whatever *replaced* raises, the rename is done and seen by readers, and must last: without
        # this fsync of the directory a power cut may undo it.
        finally:
            with os_errors(path, _UNKNOWN, _LOOK):
                _sync_directory(folder)


def write_json_file_atomically(
    path: str | os.PathLike[str],
    data: Any,
    *,
    mode: int = _PRIVATE_FILE,
    fence: Callable[[], object] | None = None,
) -> None:
    """Replace *path* with *data* as pretty JSON and a line end, as `write_atomic` does."""
    if not require_count("mode", mode) <= _ANY_MODE:
        raise InvalidError("mode", "is no mode of a file", "give one such as 0o600")
    if fence is not None:
        require_callable("fence", fence)
    write_atomic(
        as_file_path(path, "path"), f"{dump_pretty(data)}\n".encode(), mode=mode, fence=fence
    )


def make_private_dir(path: Path) -> None:
    """
    Create *path* and its missing parents with mode 0700, each durable; leave existing ones alone.

    By root they are made for the owner of the directory that they lie in. Raises `InvalidError` if
    something else has the name, `UnavailableError` if the system refuses.
    """
    if os.path.isdir(path):  # noqa: PTH112 - on the way of every write, and several times faster
        return
    with os_errors(path, "cannot be used as a directory"):
        for level in reversed(_missing_levels(path)):
            # From the top down, each entry synced in its parent: a power cut that took a new
            # directory away would take the file in it as well, however well that was synced.
            with suppress(FileExistsError):  # somebody was faster
                make_directory(level, _PRIVATE_DIRECTORY)
            with _opened_directory(level.parent) as folder:
                _sync_directory(folder)
        if not path.is_dir():
            raise InvalidError(str(path), "is not a directory", "move it away")


def create_private_file(path: Path) -> None:
    """
    Create *path* empty with mode 0600, durable, or leave the regular file of ours that is there.

    An existing file is not opened: closing it would drop the locks that SQLite holds on it in
    this process. Raises `InvalidError` if *path* is anything else, or belongs to another user.
    """
    make_private_dir(path.parent)
    with os_errors(path, "could not be prepared"), _opened_directory(path.parent) as folder:
        try:
            made = Descriptor()
            made.open(_name(path, folder), _CREATE, _PRIVATE_FILE, folder=folder)
            with made as number:
                give_to_owner(number, path.parent if folder is None else folder)
        except FileExistsError:
            _require_ours(path, _require_replaceable(path, folder))
        # Also for a file that was there: whoever made it may have been killed before this line.
        _sync_directory(folder)


def is_temporary(path: Path) -> bool:
    """Tell whether *path* has the name of a file that a killed `write_atomic` leaves behind."""
    return bool(_TEMPORARY.fullmatch(path.name))


def sweep_temporaries(path: Path) -> int:
    """
    Remove what killed writers of *path* left in its directory, and return how many files.

    Only for who holds the lock of *path*: a living writer would lose its file.
    """
    prefix = f"{_temporary_prefix(path.name)}."
    swept = 0
    # A leftover that cannot be removed is clutter, and no reason to fail the write that met it.
    with suppress(OSError):
        for entry in path.parent.iterdir():
            if entry.name.startswith(prefix) and _TEMPORARY.fullmatch(entry.name, len(prefix) - 1):
                entry.unlink()
                swept += 1
    return swept


class _opened_directory:  # noqa: N801 - to be read as a word of a sentence
    """Give a descriptor, so that nobody can exchange the directory meanwhile; none on Windows."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = Descriptor()

    def __enter__(self) -> int | None:
        return self._descriptor.open(self._path, _OPEN_DIRECTORY) if _POSIX else None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._descriptor.close()


def _name(path: Path, folder: int | None) -> str:
    return str(path) if folder is None else path.name


def _require_replaceable(path: Path, folder: int | None) -> os.stat_result | None:
    try:
        found = os.stat(_name(path, folder), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    # A rename would put a file in the place of a link and leave what it leads to as it was.
    if not stat.S_ISREG(found.st_mode):
        raise InvalidError(str(path), f"is {kind_of(found.st_mode)}, not a file", "move it away")
    # After a rename the other names would still show the old content.
    if found.st_nlink > 1:
        raise InvalidError(str(path), "is a file with several names", "remove the other hard links")
    return found


def _require_ours(path: Path, found: os.stat_result | None) -> None:
    # Root may keep its state on a volume of another user, as containers do.
    if found is not None and _POSIX and os.geteuid() not in {0, found.st_uid}:
        raise InvalidError(
            str(path), "belongs to another user", "change its owner, or move it away"
        )


def _temporary_prefix(name: str) -> str:
    if len(name) <= _READABLE_PART:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:_HASHED_PART]
    return f"{name[: _READABLE_PART - _HASHED_PART]}{digest}"


def _replace_from(
    aside: Path | None,
    path: Path,
    data: bytes,
    *,
    folder: int | None,
    found: os.stat_result | None,
    mode: int,
    fence: Callable[[], object] | None,
) -> None:
    """Replace *path* with a file that is made in the directory *aside*, where that can be."""
    # The configuration asks for this where its name is a link: what that leads to may lie in a
    # repository, where no temporary file may be left (decision 11).
    if aside is not None and folder is not None:
        with _opened_directory(aside) as other:
            if other is not None and _on_one_device(other, folder):
                try:
                    _replace(
                        path,
                        data,
                        folder=folder,
                        workshop=other,
                        found=found,
                        mode=mode,
                        fence=fence,
                    )
                except OSError as error:
                    if error.errno != errno.EXDEV:  # two mounts of one device
                        raise
                else:
                    # Such a rename changes two directories; the old name must not come back in this
                    # one.
                    _sync_directory(other)
                    return
    _replace(path, data, folder=folder, workshop=folder, found=found, mode=mode, fence=fence)


def _on_one_device(one: int, other: int) -> bool:
    return os.fstat(one).st_dev == os.fstat(other).st_dev


def _replace(
    path: Path,
    data: bytes,
    *,
    folder: int | None,
    workshop: int | None,
    found: os.stat_result | None,
    mode: int,
    fence: Callable[[], object] | None,
) -> None:
    token = secrets.token_hex(8)
    name = f"{_temporary_prefix(path.name)}.{token}.tmp"
    if folder is None:
        name = str(path.with_name(name))
    descriptor = Descriptor()
    try:
        number = descriptor.open(name, _CREATE, mode, folder=workshop)
    except FileExistsError as error:
        raise InvalidError(str(path.with_name(name)), "is in the way", "move it away") from error
    except OSError:
        _discard(name, workshop)  # the answer may be lost though the file was made
        raise
    try:
        if folder is not None:
            give_to_owner(number, folder, replaced=found)
        _fill(descriptor, data, mode)
        # As late as can be: the fsync may have taken seconds, in which a lock can be lost.
        if fence is not None:
            fence()
        _take_name(name, path, workshop, folder)
    except BaseException:
        _discard(name, workshop)
        raise


def _discard(name: str, folder: int | None) -> None:
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _take_name(name: str, path: Path, workshop: int | None, folder: int | None) -> None:
    try:
        os.replace(name, _name(path, folder), src_dir_fd=workshop, dst_dir_fd=folder)
    except OSError as error:
        # A server's answer may be lost though it renamed: then the old name is gone.
        if _is_there(name, workshop):
            raise
        with os_errors(path, _UNSURE, _LOOK):
            raise OSError(error.errno, error.strerror) from error


def _is_there(name: str, folder: int | None) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _fill(descriptor: Descriptor, data: bytes, mode: int) -> None:
    with descriptor as number:
        _widen(number, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[_write_part(number, rest) :]
        # A failed fsync is final: the kernel forgets the error, so that a second one would lie.
        os.fsync(number)


def _widen(descriptor: int, mode: int) -> None:
    """Give back what the umask took from *mode*."""
    if _POSIX and mode & ~os.fstat(descriptor).st_mode:
        os.fchmod(descriptor, mode)


def _write_part(descriptor: int, rest: memoryview) -> int:
    count = os.write(descriptor, rest)
    # A short write goes on with the rest; one of nothing, without an error, would go on for ever.
    if count == 0:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return count


def _sync_directory(folder: int | None) -> None:
    if folder is None:
        return
    try:
        os.fsync(folder)
    except OSError as error:
        # Some file systems cannot sync a directory at all, and say so in this way.
        if error.errno != errno.EINVAL:
            raise


def _missing_levels(path: Path) -> list[Path]:
    missing = []
    # `lexists`: a link to nothing counts as there, so that no directory is made through it.
    for level in (path, *path.parents):
        if os.path.lexists(level):
            break
        missing.append(level)
    return missing
