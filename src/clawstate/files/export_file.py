"""A private file that is written piece by piece, and there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.descriptors import Descriptor
from clawstate.files.ownership import give_to_owner
from clawstate.files.paths import is_nameable

_FLAGS = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)
_CREATE = _FLAGS | os.O_CREAT | os.O_EXCL


@contextmanager
def export_file(path: Path) -> Iterator[BinaryIO]:
    """
    Lend a new file that takes the name *path* when the block succeeds; 0600 from birth.

    By root it is made for the owner of the file that it replaces, or else of its directory. A link
    stays, and what it leads to is replaced; a pipe or a device is written to. Raises
    `UnavailableError` when the system refuses, and `InvalidError` for a directory; then *path* is
    as it was.
    """
    if not is_nameable(str(path)):
        raise InvalidError("file", "is no name that a file can have", "give another one")
    try:
        found = path.stat() if path.exists() else None
        # Told now and not by the rename, which comes after everything was written.
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise InvalidError(str(path), "is a directory", "name a file in it")
        if found is not None and not stat.S_ISREG(found.st_mode):
            made = _in_place(path)
        else:
            made = _beside(Path(os.path.realpath(path)), found)
        with made as out:
            yield out
    except OSError as error:
        hint = "check the directory and the free space"
        problem = f"cannot be written ({error.strerror})"
        raise UnavailableError(str(path), problem, hint) from error


@contextmanager
def _in_place(path: Path) -> Iterator[BinaryIO]:
    descriptor = Descriptor()
    descriptor.open(path, _FLAGS)
    with descriptor as number, os.fdopen(number, "wb", closefd=False) as out:
        yield out


@contextmanager
def _beside(path: Path, found: os.stat_result | None) -> Iterator[BinaryIO]:
    temporary = path.with_name(f"{path.name[:40]}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = Descriptor()
        descriptor.open(temporary, _CREATE, 0o600)
        with descriptor as number, os.fdopen(number, "wb", closefd=False) as out:
            give_to_owner(number, path.parent, replaced=found)
            yield out
            out.flush()
            # Before the name is given: a power cut could leave an empty file under it otherwise.
            os.fsync(number)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
