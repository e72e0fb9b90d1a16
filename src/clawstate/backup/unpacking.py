"""Unpacking a backup into a new directory, each byte compared with what the manifest says."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from clawstate.backup.cipher import MAGIC, Decrypting
from clawstate.backup.container import Reader, read_label
from clawstate.backup.manifest import NAME, ROOT, Backup, Item, Manifest
from clawstate.encryption.sources import KeySource
from clawstate.errors import CorruptError, InvalidError
from clawstate.files.atomic import make_private_dir
from clawstate.files.os_errors import os_errors
from clawstate.files.regular import regular_stream

_CHUNK = 1 << 20
_LONGEST_MANIFEST = 1 << 30
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_HINT = "take an older backup"

Tell = Callable[[int, int, str], object]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a backup held, and the digest of its archive."""

    manifest: Manifest
    digest: str


def describe(file: Path) -> Backup:
    """
    Return what *file* says of itself, of which only the beginning is read.

    Raises `NotFoundError`, `CorruptError`, `VersionError`. Of an encrypted one nothing but its size
    is known.
    """
    with os_errors(file, "was not read"), regular_stream(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        if stream.read(len(MAGIC)) == MAGIC:
            modified = os.fstat(stream.fileno()).st_mtime
            return Backup(file, modified, "", size, encrypted=True)
        stream.seek(0)
        label = read_label(stream, str(file))
    try:
        created, state = float(label["created"]), str(label["state"])
        return Backup(file, created, state, size, False, bool(label.get("secrets", True)))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptError(str(file), "has a label that says nothing", _HINT) from error


def require_replaceable(file: Path) -> None:
    """Raise `InvalidError` if *file* holds what is no backup: only an older one gives way."""
    if file.is_file() and file.stat().st_size:
        try:
            describe(file)
        except CorruptError as error:
            problem = "is there, and is no backup that one could replace"
            raise InvalidError(str(file), problem, "name another file") from error


def unpack(file: Path, folder: Path, *, tell: Tell = lambda *_: None) -> Unpacked:
    """
    Unpack the backup *file* into the new, private directory *folder*.

    Nothing is believed before all of it was compared: raises `CorruptError` for any byte that is
    not as it was written, `VersionError`, `NotFoundError`, `InvalidError`, `UnavailableError` for a
    key that is not to be had, or a disk that is full. What was unpacked by then is left to the
    caller.
    """
    make_private_dir(folder)
    with ExitStack() as opened:
        with os_errors(file, "was not read"):
            stream = opened.enter_context(regular_stream(file))
            size = os.fstat(stream.fileno()).st_size
        counted = _Counting(stream, size, tell)
        reader = Reader(_plain(counted, file), str(file))
        try:
            written, raw = _extract(reader, folder, file)
        except tarfile.TarError as error:
            raise CorruptError(str(file), "the backup is damaged", _HINT) from error
        digest = reader.require_seal()
    manifest = Manifest.read(raw, name=str(file))
    _finish(manifest, written, folder, file)
    return Unpacked(manifest, digest)


def _plain(stream: _Counting, file: Path) -> _Counting | Decrypting:
    if stream.peek(len(MAGIC)) != MAGIC:
        return stream
    stream.read(len(MAGIC))
    return Decrypting(stream, file, _key_of)


def _key_of(source: KeySource) -> bytes:
    return source.key(lambda: None)


class _Counting:
    """A stream that tells how much of it was read."""

    def __init__(self, stream: BinaryIO, size: int, tell: Tell) -> None:
        self._stream = stream
        self._size = size
        self._tell = tell
        self._done = 0
        self._name = Path(str(stream.name)).name if isinstance(stream.name, str) else ""

    def peek(self, size: int) -> bytes:
        """Return the first bytes, which stay to be read."""
        found = self._stream.read(size)
        self._stream.seek(0)
        return found

    def read(self, size: int) -> bytes:
        """Return *size* bytes, fewer at the end."""
        data = self._stream.read(size)
        self._done += len(data)
        self._tell(self._done, self._size, self._name)
        return data


def _extract(reader: Reader, folder: Path, file: Path) -> tuple[dict[str, str], bytes]:
    """Write all files below *folder*; return their digests by place, and the manifest."""
    written: dict[str, str] = {}
    raw = b""
    stream = cast("IO[bytes]", reader)
    with tarfile.open(mode="r|", fileobj=stream) as tar:
        for member in tar:
            if member.name == NAME:
                found = tar.extractfile(member)
                raw = b"" if found is None else found.read(_LONGEST_MANIFEST)
                continue
            if not member.isreg():
                continue  # directories and links come from the manifest, when it is believed
            place = _place_of(member.name, file)
            source = tar.extractfile(member)
            if source is not None:
                written[place] = _write(source, folder / place)
    if not raw:
        raise CorruptError(str(file), "has no manifest", _HINT)
    return written, raw


def _place_of(name: str, file: Path) -> str:
    root, _, place = name.partition("/")
    parts = place.split("/")
    if root != ROOT or not place or {"", ".", ".."} & set(parts) or "\0" in place:
        raise CorruptError(str(file), "names a file outside of the state", _HINT)
    return place


def _write(source: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with os_errors(target, "was not restored"):
        make_private_dir(target.parent)
        with open(os.open(target, _CREATE, 0o600), "wb") as out:  # noqa: PTH123 - a descriptor
            while data := source.read(_CHUNK):
                digest.update(data)
                out.write(data)
            out.flush()
            os.fsync(out.fileno())
    return digest.hexdigest()


def _finish(manifest: Manifest, written: dict[str, str], folder: Path, file: Path) -> None:
    """Compare what was *written* with *manifest*; make directories, links, modes and times."""
    expected = {each.path: each for each in manifest.items if each.kind in {"file", "database"}}
    if expected.keys() != written.keys():
        raise CorruptError(str(file), "does not hold the files that its manifest names", _HINT)
    for place, item in expected.items():
        if written[place] != item.sha256 or (folder / place).stat().st_size != item.size:
            raise CorruptError(str(file), f"holds another {place} than was written", _HINT)
    with os_errors(folder, "was not restored"):
        for item in manifest.items:
            if item.kind == "directory":
                make_private_dir(folder / item.path)
        for item in manifest.items:
            if item.kind == "link":
                make_private_dir((folder / item.path).parent)
                (folder / item.path).symlink_to(item.target)
        _set_modes(manifest.items, folder)
        _sync_all(folder)


def _set_modes(items: tuple[Item, ...], folder: Path) -> None:
    # From within: a directory that nobody may write would refuse what is below it.
    for item in sorted(items, key=lambda each: each.path, reverse=True):
        path = folder / item.path
        if item.kind == "link" or _leads_away(path, folder):
            continue
        if item.kind != "directory":
            os.utime(path, ns=(item.modified * 1_000_000, item.modified * 1_000_000))
        path.chmod(item.mode & 0o777)


def _leads_away(path: Path, folder: Path) -> bool:
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _sync_all(folder: Path) -> None:
    """Let all names below *folder* survive a power cut."""
    for each, _, _ in os.walk(folder):
        with suppress(PermissionError):
            number = os.open(each, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
