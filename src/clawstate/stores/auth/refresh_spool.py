"""
A provider's answer on disk before anything else is done with it.

A refresh token that can be used once is gone when the provider has answered. Between that and the
change of the profile lie other programs' locks and full disks; so the answer is written at once to
a file that was opened before the request was sent: one system call after it came.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clawstate.errors import InvalidError, StateError
from clawstate.files.atomic import make_private_dir
from clawstate.files.json_text import dump_compact
from clawstate.files.refusals import translated
from clawstate.files.regular import read_regular
from clawstate.records.contract import Json
from clawstate.stores.auth.pending import Pending, generation_of

SPOOLED: Final = ".answer"
"""How the names of the files end."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Spooled:
    """
    An answer that was found: the credential as a *record*, sealed where the profile is.

    *generation* is the digest of the refresh token that it was given for, with *nonce*.
    """

    path: Path
    nonce: str
    generation: str
    record: Json = field(repr=False)

    def answers(self, refresh: str | None) -> bool:
        """Tell whether it was given for the token *refresh*."""
        return self.generation == generation_of(refresh, self.nonce)


class Spool:
    """The file for the answer to one request, empty until it comes."""

    def __init__(self, path: Path, descriptor: int, pending: Pending) -> None:
        self._path = path
        self._descriptor = descriptor
        self._pending = pending

    def keep(self, record: Json) -> bool:
        """Write the answer down; False if the disk refuses, which the profile may still take."""
        said = {"generation": self._pending.generation, "record": record}
        data = dump_compact(said).encode()
        with suppress(OSError):
            if os.write(self._descriptor, data) == len(data):
                os.fsync(self._descriptor)
                return True
        return False

    def remove(self) -> None:
        """Remove the file: its answer is in the profile, or none will come."""
        self.close()
        with suppress(OSError):  # what stays is recognised as used up, and removed later
            self._path.unlink()

    def close(self) -> None:
        """Leave the file to whoever comes next."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


class Spools:
    """
    The files for the answers to the requests of one profile, in *folder*.

    No directory from *above* down to it may be a link: what is written here is a secret.
    """

    def __init__(self, folder: Path, *, above: Path | None = None) -> None:
        self._folder = folder
        self._above = above or folder

    def open(self, pending: Pending) -> Spool:
        """Make the file for the answer to *pending*, private; raises `UnavailableError`."""
        make_private_dir(self._folder)
        self._require_real_folders()
        path = self._folder / f"{pending.nonce}{SPOOLED}"
        with translated(path, "could not be prepared, and nothing was sent"):
            spool = Spool(path, os.open(path, _CREATE, 0o600), pending)
            try:
                _sync(self._folder)
            except BaseException:
                spool.remove()
                raise
        return spool

    def found(self) -> Iterator[Spooled]:
        """Give the answers that lie there, each whole."""
        for path in self.paths():
            with suppress(StateError, ValueError, TypeError, KeyError, RecursionError):
                said = json.loads(read_regular(path, limit=_LARGEST))
                yield Spooled(path, path.stem, said["generation"], said["record"])

    def paths(self) -> list[Path]:
        """Return the files that lie there, also those without an answer."""
        with suppress(OSError, StateError):
            self._require_real_folders()
            return sorted(each for each in self._folder.iterdir() if each.suffix == SPOOLED)
        return []

    def _require_real_folders(self) -> None:
        for level in (self._folder, *self._folder.parents):
            with translated(level, "could not be looked at, and nothing was sent"):
                is_link = level.is_symlink()
            if is_link:
                raise InvalidError(str(level), "is a link", "put a real directory in its place")
            if level == self._above:
                return


def discard(paths: list[Path]) -> None:
    """Remove *paths*, as far as that can be done."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
