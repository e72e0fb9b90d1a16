"""
A backup that is encrypted: pieces of AES-256-GCM, each bound to its place and to the head.

A head of one line names where the key comes from, and holds the key of this file, wrapped. The
pieces are numbered, and the last is marked as the last, so none can be left out, moved or added
(the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clawstate.backup.container import Sink, Source
from clawstate.encryption.ciphertext import new_key, open_text, seal_text
from clawstate.encryption.sources import KeySource
from clawstate.errors import CorruptError
from clawstate.interrupts import load_modules

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"clawstate-encrypted-backup 1\n"
"""How an encrypted backup begins."""

_PIECE = 1 << 16
_TAG = 16
_PLACE = "backup"
_LONGEST_HEAD = 4096
_MOST = 1 << 64  # pieces: the number fills eight bytes of the nonce


class Encrypting:
    """Encrypts what is written to *out* with a new key, which the key *kek* of *source* wraps."""

    def __init__(self, out: Sink, source: KeySource, kek: bytes) -> None:
        self._out = out
        key = new_key()
        wrapped = seal_text(kek, key.hex(), place=_PLACE)
        head = json.dumps({"source": source.document, "key": wrapped}, separators=(",", ":"))
        begin = MAGIC + head.encode() + b"\n"
        out.write(begin)
        self._pieces = _Pieces(key, begin)
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        """Take *data*, of which the last piece waits until `finish`."""
        self._waiting += data
        # Never the last piece: only the end knows which that is.
        while len(self._waiting) > _PIECE:
            piece = bytes(self._waiting[:_PIECE])
            del self._waiting[:_PIECE]
            self._out.write(self._pieces.encrypt(piece, last=False))
        return len(data)

    def finish(self) -> None:
        """Write the last piece."""
        self._out.write(self._pieces.encrypt(bytes(self._waiting), last=True))
        self._waiting.clear()


class Decrypting:
    """
    What is encrypted in *source*, behind its `MAGIC`; *key_of* gives the key of a `KeySource`.

    Raises `CorruptError` that names *path*, and what *key_of* raises.
    """

    def __init__(self, source: Source, path: Path, key_of: Callable[[KeySource], bytes]) -> None:
        self._source = source
        self._path = path
        line, self._waiting = _read_head(source, path)
        try:
            head: Any = json.loads(line)
            found, wrapped = KeySource.read(head["source"], path=path), head["key"]
        except (ValueError, KeyError, TypeError) as error:
            raise _damage_error(path) from error
        if not isinstance(wrapped, dict):
            raise _damage_error(path)
        try:
            key = open_text(key_of(found), wrapped, place=_PLACE)
        except CorruptError as error:
            problem = "is not of this key or passphrase, or was changed"
            raise CorruptError(str(path), problem, "give the one that it was made with") from error
        self._pieces = _Pieces(bytes.fromhex(key), MAGIC + line + b"\n")
        self._ready = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return *size* bytes, fewer only at the end."""
        while len(self._ready) < size and not self._ended:
            self._fill(_PIECE + _TAG + 1)  # one byte more tells whether it is the last
            self._ended = len(self._waiting) <= _PIECE + _TAG
            piece, self._waiting = self._waiting[: _PIECE + _TAG], self._waiting[_PIECE + _TAG :]
            plain = self._pieces.decrypt(piece, last=self._ended)
            if plain is None:
                raise _damage_error(self._path)
            self._ready += plain
        found, self._ready = self._ready[:size], self._ready[size:]
        return found

    def _fill(self, size: int) -> None:
        while len(self._waiting) < size:
            data = self._source.read(_PIECE)
            if not data:
                return
            self._waiting += data


class _Pieces:
    """The pieces of one file, one after the other."""

    def __init__(self, key: bytes, head: bytes) -> None:
        load_modules("cryptography.hazmat.primitives.ciphers.aead")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - slow

        self._cipher: AESGCM = AESGCM(key)
        self._head = hashlib.sha256(head).digest()
        self._number = 0

    def encrypt(self, piece: bytes, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last=last), piece, self._head)

    def decrypt(self, piece: bytes, *, last: bool) -> bytes | None:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - slow

        try:
            return self._cipher.decrypt(self._nonce(last=last), piece, self._head)
        except (InvalidTag, ValueError):  # too short for a tag
            return None

    def _nonce(self, *, last: bool) -> bytes:
        # The key is that of one file, so the number of a piece may be its whole nonce.
        assert self._number < _MOST  # noqa: S101 - exabytes
        nonce = b"\0\0\0" + self._number.to_bytes(8) + (b"\1" if last else b"\0")
        self._number += 1
        return nonce


def _read_head(source: Source, path: Path) -> tuple[bytes, bytes]:
    found = b""
    while b"\n" not in found:
        data = source.read(_LONGEST_HEAD)
        if not data or len(found) > _LONGEST_HEAD:
            raise _damage_error(path)
        found += data
    line, _, rest = found.partition(b"\n")
    return line, rest


def _damage_error(path: Path) -> CorruptError:
    return CorruptError(
        str(path), "the encrypted backup is cut off, or was changed", "take an older one"
    )
