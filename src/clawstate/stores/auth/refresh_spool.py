"""
A provider's answer on disk before anything else is done with it.

A refresh token that can be used once is gone when the provider has answered. Between that and the
change of the profile lie other programs' locks and full disks; so the answer is written at once,
unjudged, to a file whose room was reserved before the request was sent. What cannot be written even
so stays in this process.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clawstate.clock import from_ms, to_ms
from clawstate.errors import InvalidError, StateError
from clawstate.files.atomic import make_private_dir
from clawstate.files.descriptors import Descriptor
from clawstate.files.json_text import dump_compact
from clawstate.files.ownership import give_to_owner
from clawstate.files.refusals import translated
from clawstate.files.regular import read_regular
from clawstate.interrupts import Mutex
from clawstate.records.contract import Json
from clawstate.stores.auth.pending import Pending, generation_of
from clawstate.stores.auth.refresh_room import reserve

SPOOLED: Final = ".answer"
"""How the names of the files end."""
ASIDE: Final = ".kept"
"""How the names of answers end in which no token was found; for a person to look at."""

_ROOM = ".room"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
_LARGEST = 1 << 20
_MOST_ASIDE = 16  # of one profile, and in memory: a provider may repeat nonsense for ever


@dataclass(frozen=True, slots=True)
class Kept:
    """
    An answer as it came: its *document*, in which secrets are sealed where the profile's are.

    *generation* is the digest of the refresh token that it was given for, with *nonce*; *received*
    the moment it came, in seconds since the epoch. Without a *path* it is on no disk.
    """

    nonce: str
    generation: str
    document: Json = field(repr=False)
    received: float | None = None
    path: Path | None = None

    def answers(self, refresh: str | None) -> bool:
        """Tell whether it was given for the token *refresh*."""
        return self.generation == generation_of(refresh, self.nonce)

    @property
    def data(self) -> bytes:
        """The content of its file."""
        came = {} if self.received is None else {"receivedAt": to_ms(self.received)}
        known = self.document if isinstance(self.document, dict) else {}
        return dump_compact({"generation": self.generation, **came, **known}).encode()


class Spool:
    """
    The file for the answer to one request, empty until it comes, with room for it.

    A nameless file beside it holds the room that the profile needs afterwards.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = Descriptor()
        self._spare = Descriptor()

    def open(self, flags: int) -> None:
        """Open the file, private; raises `OSError`."""
        give_to_owner(self._file.open(self.path, flags, 0o600), self.path.parent)

    def reserve(self, answer: int, spare: int) -> None:
        """Reserve the bytes for the answer, and those to *spare*; raises `OSError`."""
        reserve(self._file.number, answer)
        name = self.path.with_suffix(_ROOM)
        self._spare.open(name, _CREATE, 0o600)
        name.unlink(missing_ok=True)
        reserve(self._spare.number, spare)

    def keep(self, data: bytes) -> bool:
        """Write the answer down, durably; False if the disk refuses."""
        kept = self._written(data)
        self._spare.close()
        return kept or self._written(data)  # once more, into the room that is free now

    def remove(self) -> None:
        """Remove the file: no answer will come."""
        self.close()
        with suppress(OSError):  # what stays is recognised as empty, and removed later
            self.path.unlink()

    def close(self) -> None:
        """Leave the file to whoever comes next."""
        self._spare.close()
        self._file.close()

    def _written(self, data: bytes) -> bool:
        with suppress(OSError):
            done = 0
            while done < len(data):
                done += os.pwrite(self._file.number, data[done:], done)
            os.ftruncate(self._file.number, len(data))
            os.fsync(self._file.number)
            return True
        return False


class Spools:
    """
    The files for the answers to the requests of one profile, in *folder*, and those in memory.

    No directory from *above* down to it may be a link: what is written here is a secret.
    """

    def __init__(self, folder: Path, *, above: Path | None = None) -> None:
        self._folder = folder
        self._above = above or folder

    @property
    def are_waiting(self) -> bool:
        """Whether this process holds an answer that is not in the profile yet."""
        return bool(_held.get(self._folder))

    def open(self, pending: Pending, *, answer: int, spare: int) -> Spool:
        """
        Make the file for the answer to *pending*, private, with room for *answer* bytes.

        So much to *spare* is reserved as well. Raises `UnavailableError` if there is no room.
        """
        make_private_dir(self._folder)
        self._require_real_folders()
        path = self._folder / f"{pending.nonce}{SPOOLED}"
        with translated(path, "could not be prepared, and nothing was sent"):
            spool = Spool(path)
            try:
                spool.open(_CREATE)
                spool.reserve(answer, spare)
                _sync(self._folder)
            except BaseException:
                spool.remove()
                raise
        return spool

    def hold(self, kept: Kept) -> None:
        """Keep an answer in this process until `discard`, in the place of what it held of it."""
        with _mutex:
            held = _held.setdefault(self._folder, {})
            if kept.nonce in held or len(held) < _MOST_ASIDE:
                held[kept.nonce] = kept

    def rescue(self, kept: Kept) -> Kept:
        """Return *kept* as it is on disk, once more tried if it is on none."""
        if kept.path is not None:
            return kept
        path = self._folder / f"{kept.nonce}{SPOOLED}"
        if not self._written(path, kept.data):
            return kept
        there = Kept(kept.nonce, kept.generation, kept.document, kept.received, path)
        self.hold(there)
        return there

    def found(self) -> list[Kept]:
        """Return the answers that lie there, each whole, and those that this process holds."""
        answers = {each.nonce: each for each in map(self._read, self.paths()) if each is not None}
        return [*({**{each.nonce: each for each in self.held()}, **answers}).values()]

    def held(self) -> list[Kept]:
        """Return the answers that this process holds."""
        with _mutex:
            return [*_held.get(self._folder, {}).values()]

    def paths(self) -> list[Path]:
        """Return the files that lie there, also those without an answer."""
        return self._files(SPOOLED)

    def discard(self, kept: Kept) -> None:
        """Forget an answer: what it brought is in the profile, or it brought nothing."""
        discard([self._folder / f"{kept.nonce}{SPOOLED}"])
        self._let_go(kept)

    def put_aside(self, kept: Kept) -> Path | None:
        """
        Keep an answer in which no token was found, for a person to look at; return its place.

        So many of one profile are kept, the first ones: of a token that can be used once, those
        that came later bring nothing.
        """
        with suppress(OSError):
            aside = self._aside()
            if aside is None:
                self.discard(kept)
                return None
            there = self.rescue(kept)
            if there.path is not None:
                there.path.rename(aside)
                self._let_go(kept)
                return aside
        return None

    def sweep(self, outdated: Iterable[Path]) -> None:
        """Remove files of earlier requests; what cannot be read of them is put aside."""
        discard(self._files(_ROOM))
        for path in outdated:
            with suppress(OSError, StateError):
                aside = None if self._read(path) is not None else self._aside()
                if aside is not None and read_regular(path, limit=_LARGEST).strip():
                    path.rename(aside)
                else:
                    path.unlink()

    def forget(self) -> None:
        """Remove all that was kept of this profile."""
        discard([*self.paths(), *self._files(ASIDE), *self._files(_ROOM)])
        with _mutex:
            _held.pop(self._folder, None)

    def _let_go(self, kept: Kept) -> None:
        with _mutex:
            held = _held.get(self._folder, {})
            held.pop(kept.nonce, None)
            if not held:
                _held.pop(self._folder, None)

    def _aside(self) -> Path | None:
        """Return a name for one more answer without a token, or `None` if there are many."""
        if len(self._files(ASIDE)) >= _MOST_ASIDE:
            return None
        return self._folder / f"{secrets.token_hex(8)}{ASIDE}"

    def _written(self, path: Path, data: bytes) -> bool:
        spool = Spool(path)
        try:
            spool.open(_CREATE & ~os.O_EXCL)
            return spool.keep(data)
        except OSError:
            return False
        finally:
            spool.close()

    def _read(self, path: Path) -> Kept | None:
        with suppress(StateError, ValueError, RecursionError, KeyError):
            said = json.loads(read_regular(path, limit=_LARGEST))
            if not isinstance(said, dict):
                return None
            generation, came = said.pop("generation"), said.pop("receivedAt", None)
            is_moment = isinstance(came, int | float) and not isinstance(came, bool)
            received = from_ms(came) if is_moment else None
            if isinstance(generation, str) and said.keys() & _FORMS:
                return Kept(path.stem, generation, said, received, path)
        return None

    def _files(self, suffix: str) -> list[Path]:
        with suppress(OSError, StateError):
            self._require_real_folders()
            return sorted(each for each in self._folder.iterdir() if each.suffix == suffix)
        return []

    def _require_real_folders(self) -> None:
        for level in (self._folder, *self._folder.parents):
            with translated(level, "could not be looked at, and nothing was sent"):
                is_link = level.is_symlink()
            if is_link:
                raise InvalidError(str(level), "is a link", "put a real directory in its place")
            if level == self._above:
                return


_FORMS: Final = frozenset({"answer", "answerSealed", "record"})
_held: dict[Path, dict[str, Kept]] = {}
_mutex = Mutex()


def _unlock() -> None:
    global _mutex  # noqa: PLW0603 - a thread that is missing in the child may have held it
    _mutex = Mutex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def discard(paths: Iterable[Path]) -> None:
    """Remove *paths*, as far as that can be done."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _sync(folder: Path) -> None:
    descriptor = Descriptor()
    descriptor.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | os.O_CLOEXEC)
    with descriptor as number:
        os.fsync(number)
