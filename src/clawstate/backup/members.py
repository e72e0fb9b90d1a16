"""The members of an archive of a backup: files whose digest is known, folders and links."""

from __future__ import annotations

import hashlib
import stat
import tarfile
from collections.abc import Iterator
from typing import IO

from clawstate.backup.content import Found
from clawstate.backup.manifest import ROOT, Item


class Hashing:
    """A file whose digest is known when it was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._stream.read(size)
        self.digest.update(data)
        return data


def add_folder(tar: tarfile.TarFile, found: Found) -> Item:
    """Add a directory."""
    head = tarfile.TarInfo(f"{ROOT}/{found.place}")
    head.type, head.mode = tarfile.DIRTYPE, stat.S_IMODE(found.status.st_mode)
    tar.addfile(head)
    return Item(found.place, "directory", found.whose, mode=head.mode)


def add_link(tar: tarfile.TarFile, found: Found, left_out: dict[str, str]) -> Iterator[Item]:
    """Add a symbolic link; one that is gone is noted in *left_out*."""
    try:
        target = str(found.path.readlink())
    except OSError:
        left_out[found.place] = "is gone"
        return
    head = tarfile.TarInfo(f"{ROOT}/{found.place}")
    head.type, head.linkname = tarfile.SYMTYPE, target
    tar.addfile(head)
    yield Item(found.place, "link", found.whose, target=target)
