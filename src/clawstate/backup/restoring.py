"""`restore`: a backup becomes a state directory, in one step, and what was there is kept."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clawstate.backup.held import end_leases
from clawstate.backup.manifest import Manifest
from clawstate.backup.unpacking import Tell, unpack
from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.atomic import make_private_dir
from clawstate.files.os_errors import os_errors

_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_HERE = -100  # AT_FDCWD
_BESIDE = re.compile(r"\.(?P<name>.+)\.restoring-(?P<pid>\d+)-[0-9a-f]{8}")
_OPEN = "end what uses it (see 'clawstate gateway status'), and repeat"


@dataclass(frozen=True, slots=True)
class Restored:
    """
    A state that was restored at *path*, as it was at *created* (seconds since the epoch).

    *kept* is where the state lies that was there before, `None` if nothing was.
    """

    path: Path
    created: float
    files: int
    size: int
    kept: Path | None
    moved: tuple[str, ...] = ()


def restore(file: Path, to: Path, *, tell: Tell = lambda *_: None) -> Restored:
    """
    Put the state in the backup *file* at the directory *to*, and return what was done.

    It is unpacked beside *to* and compared byte by byte; then the two change places in one step, so
    that a kill leaves the one or the other, whole, and never a database with the log of another.
    What was there is kept beside it until you remove it. Raises `UnavailableError`, with nothing
    changed, while somebody has the state open, `InvalidError`, and what `verify` raises for a file
    that is not as it was written.
    """
    target = Path(os.path.abspath(to))  # noqa: PTH100 - a link to a state stays one
    real = Path(os.path.realpath(target))
    if real.exists() and not real.is_dir():
        raise InvalidError(str(to), "is no directory", "name the directory of a state")
    require_closed(real)
    make_private_dir(real.parent)
    _sweep(real)
    fresh = real.with_name(f".{real.name}.restoring-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        manifest = unpack(file, fresh, tell=tell).manifest
        end_leases(fresh)
        kept = _switch(fresh, real)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return _result(target, manifest, kept)


def _result(target: Path, manifest: Manifest, kept: Path | None) -> Restored:
    files = sum(each.kind in {"file", "database"} for each in manifest.items)
    return Restored(target, manifest.created, files, manifest.size, kept, manifest.moved)


def _switch(fresh: Path, target: Path) -> Path | None:
    with os_errors(target, "was not restored, and is as it was"):
        if not os.path.lexists(target):
            fresh.rename(target)
            _sync(target.parent)
            return None
        if not any(target.iterdir()):
            # Over an empty directory a rename is one step too.
            fresh.rename(target)
            _sync(target.parent)
            return None
        require_closed(target)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        kept = _free(target.with_name(f"{target.name}.before-restore-{stamp}"))
        # Under this name first: from the exchange on it is that of the state that was there, and
        # nobody takes it for a leftover.
        fresh.rename(kept)
        try:
            _exchange(kept, target)
        except BaseException:
            kept.rename(fresh)
            raise
        _sync(target.parent)
        return kept


def _exchange(one: Path, other: Path) -> None:
    """Let *one* and *other* change their names in one step; raises `OSError`."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        done = renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
        if done == 0:
            return
        number = ctypes.get_errno()
        if number not in {errno.ENOSYS, errno.EINVAL}:
            raise OSError(number, os.strerror(number))
    # Some network file systems know no exchange: for a moment nothing has the name, and whatever a
    # kill leaves is whole under its own.
    between = other.with_name(f".{other.name}.exchanged-{secrets.token_hex(4)}")
    other.rename(between)
    try:
        one.rename(other)
    except OSError:
        between.rename(other)
        raise
    between.rename(one)


def _free(path: Path) -> Path:
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def require_closed(root: Path) -> None:
    """Raise `UnavailableError` while a process has a file of the state in *root* open."""
    users = open_by(root)
    if users:
        named = ", ".join(f"{name} (process {pid})" for pid, name in users[:3])
        raise UnavailableError(str(root), f"is in use by {named}", _OPEN)


def open_by(root: Path) -> list[tuple[int, str]]:
    """Return which processes have a file below *root* open, as far as the system shows."""
    found = []
    with suppress(OSError):
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and _has_open(folder / "fd", root):
                name = "a program"
                with suppress(OSError):
                    name = (folder / "comm").read_text().strip()
                found.append((int(folder.name), name))
    return found


def _has_open(folder: Path, root: Path) -> bool:
    prefix = f"{root}{os.sep}"
    with suppress(OSError):
        for each in folder.iterdir():
            with suppress(OSError):
                if str(each.readlink()).startswith(prefix):
                    return True
    return False


def _sweep(target: Path) -> None:
    """Remove what restores to *target* left that were killed before they changed anything."""
    with suppress(OSError):
        for path in target.parent.iterdir():
            match = _BESIDE.fullmatch(path.name)
            is_ours = match is not None and match["name"] == target.name
            if match and is_ours and not Path(f"/proc/{match['pid']}").exists():
                shutil.rmtree(path, ignore_errors=True)
