"""
A journal of the responses of a provider: each is written before anything else is done with it.

A refresh token that can be used once is spent when the provider has answered. Before the profile is
changed, another program's lock or a full disk can come between; so the response is written at once,
as it came, to a file whose space was reserved before the request was sent (decision 13). What
cannot be written even so stays in this process.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clawstate.clock import from_ms, to_ms
from clawstate.errors import InvalidError, StateError
from clawstate.files.atomic import make_private_dir
from clawstate.files.descriptors import Descriptor
from clawstate.files.json_text import dump_compact
from clawstate.files.os_errors import os_errors
from clawstate.files.ownership import give_to_owner
from clawstate.files.regular import read_regular
from clawstate.interrupts import Mutex, load_modules
from clawstate.records.contract import Json
from clawstate.stores.auth.refresh_marks import Pending, generation_of

RESPONSE_SUFFIX: Final = ".answer"
"""The suffix of files with a response."""
ASIDE_SUFFIX: Final = ".kept"
"""The suffix of responses in which no token was found, kept for a person to look at."""

_SPACE = ".room"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
_LARGEST = 1 << 20
_MOST_ASIDE = 16  # of one profile, and in memory: a broken provider may answer so for ever

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE: an empty file stays an empty file
_CANNOT: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV})
_FILLING = b" " * 4096  # blanks cannot be taken for JSON, and leave no hole in the file

_FORMS: Final = frozenset({"answer", "answerSealed", "record"})
_held: dict[Path, dict[str, Response]] = {}
_mutex = Mutex()


@dataclass(frozen=True, slots=True)
class Response:
    """
    A response as it came: its *document* is encrypted if the secrets of the profile are.

    *generation* is the digest of the refresh token that it was given for, with *nonce*; *received*
    is in seconds since the epoch. Without a *path* it is in memory alone.
    """

    nonce: str
    generation: str
    document: Json = field(repr=False)
    received: float | None = None
    path: Path | None = None

    def answers(self, refresh: str | None) -> bool:
        """Tell whether it was given for the refresh token *refresh*."""
        return self.generation == generation_of(refresh, self.nonce)

    @property
    def data(self) -> bytes:
        """The content of its file."""
        came = {} if self.received is None else {"receivedAt": to_ms(self.received)}
        known = self.document if isinstance(self.document, dict) else {}
        return dump_compact({"generation": self.generation, **came, **known}).encode()


class ResponseFile:
    """
    The file for the response to one request: empty until that comes, with its space reserved.

    A file without a name beside it reserves the space that the change of the profile needs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = Descriptor()
        self._spare = Descriptor()

    def open(self, flags: int) -> None:
        """Open the file, private; raises `OSError`."""
        give_to_owner(self._file.open(self.path, flags, 0o600), self.path.parent)

    def reserve(self, answer: int, spare: int) -> None:
        """Reserve bytes for the response, and *spare* for the profile; raises `OSError`."""
        reserve(self._file.number, answer)
        name = self.path.with_suffix(_SPACE)
        self._spare.open(name, _CREATE, 0o600)
        name.unlink(missing_ok=True)
        reserve(self._spare.number, spare)

    def write(self, data: bytes) -> bool:
        """Write the response durably; False if the disk refuses."""
        is_written = self._write(data)
        self._spare.close()
        return is_written or self._write(data)  # once more, into the space that is free now

    def remove(self) -> None:
        """Remove the file, since no response will come."""
        self.close()
        with suppress(OSError):  # a file that stays is empty, and the next refresh removes it
            self.path.unlink()

    def close(self) -> None:
        """Close the file, which stays."""
        self._spare.close()
        self._file.close()

    def _write(self, data: bytes) -> bool:
        with suppress(OSError):
            done = 0
            while done < len(data):
                done += os.pwrite(self._file.number, data[done:], done)
            os.ftruncate(self._file.number, len(data))
            os.fsync(self._file.number)
            return True
        return False


class ResponseJournal:
    """
    The responses to the requests of one profile: files in *folder*, and those in memory.

    No directory from *above* down to it may be a symbolic link: what is written here is a secret.
    """

    def __init__(self, folder: Path, *, above: Path | None = None) -> None:
        self.folder = folder
        self._above = above or folder

    @property
    def has_unsaved(self) -> bool:
        """Whether this process holds a response that is not in the profile yet."""
        return bool(_held.get(self.folder))

    def open(self, pending: Pending, *, answer: int, spare: int) -> ResponseFile:
        """
        Make the private file for the response to *pending*, with space for *answer* bytes.

        The *spare* bytes are reserved as well. Raises `UnavailableError` if there is no space.
        """
        make_private_dir(self.folder)
        self._require_real_folders()
        path = self.folder / f"{pending.nonce}{RESPONSE_SUFFIX}"
        with os_errors(path, "could not be prepared, and nothing was sent"):
            file = ResponseFile(path)
            try:
                file.open(_CREATE)
                file.reserve(answer, spare)
                _sync(self.folder)
            except BaseException:
                file.remove()
                raise
        return file

    def hold(self, kept: Response) -> None:
        """Keep a response in this process until `discard`; it replaces what is held of it."""
        with _mutex:
            held = _held.setdefault(self.folder, {})
            if kept.nonce in held or len(held) < _MOST_ASIDE:
                held[kept.nonce] = kept

    def save(self, kept: Response) -> Response:
        """Return *kept* with its path, after another try to write it if it has none."""
        if kept.path is not None:
            return kept
        path = self.folder / f"{kept.nonce}{RESPONSE_SUFFIX}"
        if not self._write(path, kept.data):
            return kept
        there = Response(kept.nonce, kept.generation, kept.document, kept.received, path)
        self.hold(there)
        return there

    def responses(self) -> list[Response]:
        """Return the whole responses on disk, and those that this process holds."""
        answers = {each.nonce: each for each in map(self._read, self.paths()) if each is not None}
        return [*({**{each.nonce: each for each in self.in_memory()}, **answers}).values()]

    def in_memory(self) -> list[Response]:
        """Return the responses that this process holds."""
        with _mutex:
            return [*_held.get(self.folder, {}).values()]

    def paths(self) -> list[Path]:
        """Return the files of responses, those that are empty included."""
        return self._files(RESPONSE_SUFFIX)

    def discard(self, kept: Response) -> None:
        """Remove a response: its tokens are in the profile, or it has none."""
        discard([self.folder / f"{kept.nonce}{RESPONSE_SUFFIX}"])
        self._release(kept)

    def put_aside(self, kept: Response) -> Path | None:
        """
        Keep a response in which no token was found, for a person to look at; return its path.

        The first 16 of one profile are kept: where a refresh token can be used once, only the first
        response can hold its successor.
        """
        with suppress(OSError):
            aside = self._path_aside()
            if aside is None:
                self.discard(kept)
                return None
            there = self.save(kept)
            if there.path is not None:
                there.path.rename(aside)
                self._release(kept)
                return aside
        return None

    def sweep(self, outdated: Iterable[Path]) -> None:
        """Remove the files of earlier requests; one that cannot be read is put aside."""
        discard(self._files(_SPACE))
        for path in outdated:
            with suppress(OSError, StateError):
                aside = None if self._read(path) is not None else self._path_aside()
                if aside is not None and read_regular(path, limit=_LARGEST).strip():
                    path.rename(aside)
                else:
                    path.unlink()

    def forget(self) -> None:
        """Remove all files and responses of this profile."""
        discard([*self.paths(), *self._files(ASIDE_SUFFIX), *self._files(_SPACE)])
        with _mutex:
            _held.pop(self.folder, None)

    def _release(self, kept: Response) -> None:
        with _mutex:
            held = _held.get(self.folder, {})
            held.pop(kept.nonce, None)
            if not held:
                _held.pop(self.folder, None)

    def _path_aside(self) -> Path | None:
        """Return a path for one more response without a token, or `None` if there are many."""
        if len(self._files(ASIDE_SUFFIX)) >= _MOST_ASIDE:
            return None
        return self.folder / f"{secrets.token_hex(8)}{ASIDE_SUFFIX}"

    def _write(self, path: Path, data: bytes) -> bool:
        file = ResponseFile(path)
        try:
            file.open(_CREATE & ~os.O_EXCL)
            return file.write(data)
        except OSError:
            return False
        finally:
            file.close()

    def _read(self, path: Path) -> Response | None:
        with suppress(StateError, ValueError, RecursionError, KeyError):
            said = json.loads(read_regular(path, limit=_LARGEST))
            if not isinstance(said, dict):
                return None
            generation, came = said.pop("generation"), said.pop("receivedAt", None)
            is_moment = isinstance(came, int | float) and not isinstance(came, bool)
            received = from_ms(came) if is_moment else None
            if isinstance(generation, str) and said.keys() & _FORMS:
                return Response(path.stem, generation, said, received, path)
        return None

    def _files(self, suffix: str) -> list[Path]:
        with suppress(OSError, StateError):
            self._require_real_folders()
            return sorted(each for each in self.folder.iterdir() if each.suffix == suffix)
        return []

    def _require_real_folders(self) -> None:
        for level in (self.folder, *self.folder.parents):
            with os_errors(level, "could not be looked at, and nothing was sent"):
                is_link = level.is_symlink()
            if is_link:
                raise InvalidError(str(level), "is a link", "put a real directory in its place")
            if level == self._above:
                return


def _renew_mutex() -> None:
    global _mutex  # noqa: PLW0603 - a thread that is not in the child may have held it
    _mutex = Mutex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_mutex)


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


def reserve(descriptor: int, size: int) -> None:
    """
    Reserve *size* bytes for the empty file of *descriptor*, durably; raises `OSError`.

    The kernel allocates blocks and leaves the file empty; where it cannot, blanks are written.
    """
    if not _allocate(descriptor, size):
        _fill(descriptor, size)
    os.fsync(descriptor)


def _allocate(descriptor: int, size: int) -> bool:
    # Not `os.posix_fallocate`: where the kernel has no allocation, the C library writes one byte a
    # block, which reserves nothing where blocks are compressed or copied on write (decision 13).
    load_modules("ctypes")
    import ctypes  # noqa: PLC0415 - needed for this alone

    libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    call: Any = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if call is None:
        return False
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    while call(descriptor, _KEEP_SIZE, 0, size):
        problem = ctypes.get_errno()
        if problem in _CANNOT:
            return False
        if problem != errno.EINTR:
            raise OSError(problem, os.strerror(problem))
    return True


def _fill(descriptor: int, size: int) -> None:
    written = 0
    while written < size:
        written += os.pwrite(descriptor, _FILLING[: size - written], written)
