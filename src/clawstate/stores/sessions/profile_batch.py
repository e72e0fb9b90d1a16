"""Writing many profiles at once, with one wait for the disk instead of two for each."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from clawstate.files.atomic import make_private_dir, write_atomic
from clawstate.files.descriptors import Descriptor
from clawstate.files.ownership import give_to_owner
from clawstate.files.refusals import translated

_FEW = 16  # files, up to which each is rather synced by itself than all that the machine wrote
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


def write_batch(folder: Path, files: Mapping[Path, bytes], *, fence: Callable[[], object]) -> None:
    """
    Replace all of *files* in *folder*, each by its bytes; for the holder of the lock.

    As with `write_atomic` each file is the old or the new one whenever the power fails, and a
    killed writer leaves temporary files only. *fence* is called before each takes its name. Unlike
    there, a disk that fails while it writes in the background is not noticed: this is for copies.
    """
    if len(files) <= _FEW or not hasattr(os, "sync"):
        for path, data in files.items():
            write_atomic(path, data, fence=fence)
        return
    make_private_dir(folder)
    staged: dict[Path, Path] = {}
    try:
        with translated(folder, "was not written to"):
            for path, data in files.items():
                staged[path] = _staged(folder, data)
            os.sync()
            for path in files:
                fence()
                staged[path].replace(path)
                del staged[path]
            _sync(folder)
    finally:
        for each in staged.values():
            with contextlib.suppress(OSError):
                each.unlink()


def _staged(folder: Path, data: bytes) -> Path:
    path = folder / f"batch.{secrets.token_hex(8)}.tmp"
    descriptor = Descriptor()
    descriptor.open(path, _CREATE, 0o600)
    with descriptor as number, os.fdopen(number, "wb", closefd=False) as file:
        give_to_owner(number, folder)
        file.write(data)
    return path


def _sync(folder: Path) -> None:
    descriptor = Descriptor()
    descriptor.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    with descriptor as number:
        os.fsync(number)
