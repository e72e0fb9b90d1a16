"""
The file of a backup: a tar archive in gzip, with a label before it and a seal behind.

Each of the three is a member of the gzip file (RFC 1952, section 2.2), label and seal without
content, so that `tar xzf` unpacks it as well. The label tells what it is without a read of the
whole; the seal is the SHA-256 of every byte before it, so that no changed or missing byte stays
unseen, not even those that gzip itself does not check (decision 067).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, Protocol, cast

from clawstate.errors import CorruptError, VersionError

FORMAT: Final = 1
"""The format of the file and of its manifest."""

MARK: Final = "clawstate-backup"

_LEVEL = 4
_HEAD = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff"  # with a comment, no time, system unknown
_EMPTY = b"\x03\x00" + struct.pack("<II", 0, 0)  # no content: its CRC and its size
_SEAL = f"{MARK}-sha256 ".encode()
_SEAL_BYTES = len(_HEAD) + len(_SEAL) + 64 + 1 + len(_EMPTY)
_LONGEST_LABEL = 4096
_CHUNK = 1 << 20


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take all of *data*."""


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return *size* bytes at most, fewer only at the end."""


class Writer(io.RawIOBase):
    """The archive as it is written to *out*: begins with *label*, ends with `seal`."""

    def __init__(self, out: Sink, label: Mapping[str, Any]) -> None:
        super().__init__()
        self._out = out
        self._digest = hashlib.sha256()
        text = json.dumps({MARK: FORMAT, **label}, separators=(",", ":"))
        self._put(_HEAD + text.encode() + b"\0" + _EMPTY)
        self._zip = gzip.GzipFile("", "wb", _LEVEL, cast("IO[bytes]", _Tee(self._put)), mtime=0)

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, data: Any, /) -> int:
        """Add *data* to the archive."""
        return self._zip.write(data)

    def seal(self) -> str:
        """End the file, and return its digest; nothing can be added after."""
        self._zip.close()
        digest = self._digest.hexdigest()
        self._put(_HEAD + _SEAL + digest.encode() + b"\0" + _EMPTY)
        return digest

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._out.write(data)


class _Tee:
    """What `gzip` takes for a file."""

    def __init__(self, put: Any) -> None:
        self._put = put

    def write(self, data: bytes) -> int:
        """Hand *data* on."""
        self._put(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""


def read_label(source: Source, name: str) -> dict[str, Any]:
    """
    Return the label of the file, of which only the beginning is read.

    Raises `CorruptError` that names *name* for what is no backup, `VersionError`.
    """
    head = source.read(len(_HEAD) + _LONGEST_LABEL)
    label, _ = _split_label(head, name)
    return label


class Reader(io.RawIOBase):
    """
    The archive in *source*, to be read once from its beginning to its end.

    Only `require_seal` tells whether what was read is what was written. Raises `CorruptError` that
    names *name*.
    """

    def __init__(self, source: Source, name: str) -> None:
        super().__init__()
        self._source = source
        self._name = name
        self._digest = hashlib.sha256()
        self._held = b""  # what may be the seal, which is no part of its own digest
        self._inflate = zlib.decompressobj(31)
        self._ready = b""
        self._ended = False
        head = self._read_label_bytes()
        self.label, rest = _split_label(head, name)
        self._digest.update(head[: len(head) - len(rest)])
        self._held = rest

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read on into *buffer*."""
        data = self.read_some(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read_some(self, size: int) -> bytes:
        """Return at most *size* bytes of the archive, none at its end."""
        while not self._ready and not self._inflate.eof:
            # Bounded: a few bytes may stand for gigabytes.
            data = self._inflate.unconsumed_tail or self._next()
            if not data:
                raise self._damage_error("ends too early")
            try:
                self._ready = self._inflate.decompress(data, _CHUNK)
            except zlib.error as error:
                raise self._damage_error("is damaged") from error
        found, self._ready = self._ready[:size], self._ready[size:]
        return found

    def require_seal(self) -> str:
        """Read to the end; return the digest, or raise `CorruptError` if any byte was changed."""
        while self.read_some(_CHUNK):
            pass
        while self._next():
            pass
        digest = self._digest.hexdigest()
        if self._held != _HEAD + _SEAL + digest.encode() + b"\0" + _EMPTY:
            raise self._damage_error("is cut off, or was changed")
        return digest

    def _next(self) -> bytes:
        """Return the next bytes that are not of the seal."""
        while not self._ended and len(self._held) < _CHUNK:
            data = self._source.read(_CHUNK)
            self._ended = not data
            self._held += data
        cut = max(len(self._held) - _SEAL_BYTES, 0)
        data, self._held = self._held[:cut], self._held[cut:]
        self._digest.update(data)
        return data

    def _read_label_bytes(self) -> bytes:
        found = b""
        while len(found) < len(_HEAD) + _LONGEST_LABEL:
            data = self._source.read(len(_HEAD) + _LONGEST_LABEL - len(found))
            if not data:
                break
            found += data
        return found

    def _damage_error(self, problem: str) -> CorruptError:
        return CorruptError(self._name, f"the backup {problem}", _HINT)


_HINT = "take an older backup"


def _split_label(head: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    """Return the label at the beginning of *head*, and what follows it."""
    end = head.find(b"\0", len(_HEAD))
    body = head[len(_HEAD) : end] if head.startswith(_HEAD) and end > 0 else b""
    rest = head[end + 1 :]
    try:
        label = json.loads(body)
    except ValueError:
        label = None
    if not isinstance(label, dict) or MARK not in label or not rest.startswith(_EMPTY):
        raise CorruptError(name, "is no backup of clawstate, or its beginning is damaged", _HINT)
    found = label[MARK]
    if type(found) is not int or found < 1:
        raise CorruptError(name, "is no backup of clawstate", _HINT)
    if found > FORMAT:
        raise VersionError(name, found, FORMAT)
    return label, rest[len(_EMPTY) :]


def chunks(source: Source) -> Iterator[bytes]:
    """Yield all of *source* piece by piece."""
    while data := source.read(_CHUNK):
        yield data
