"""
Safe file names: any key becomes one name that every file system keeps apart from all others.

A name is percent-encoded UTF-8 (RFC 3986) with lower-case digits. Only `a-z`, `0-9`, `-`, `_` and
an inner `.` stand for themselves, so that neither case, nor Unicode normalisation, nor a separator
can make two keys meet. `agent:main:main` becomes `agent%3amain%3amain`.
"""

from __future__ import annotations

import hashlib
import re

from clawstate.errors import InvalidError

MAX_NAME_BYTES = 120
"""No name is longer, which leaves room for suffixes below the usual 255 bytes."""

_EMPTY = "%"
_HASH_MARK = "="  # stands in no plain name, so a hashed name cannot meet one
_DIGEST_LENGTH = 64
_PREFIX_LENGTH = MAX_NAME_BYTES - _DIGEST_LENGTH - len(_HASH_MARK)
_ESCAPE_LENGTH = 3

_UNSAFE = re.compile(rb"[^a-z0-9._-]")
_ESCAPE = re.compile(rb"%([0-9a-f]{2})")
_HASHED = re.compile(r"[a-z0-9._%-]{0,55}=[0-9a-f]{64}")
# Windows keeps these for devices, with any extension.
_DEVICE = re.compile(rb"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


def encode_name(key: str) -> str:
    """
    Return the file name of *key*: ASCII, at most `MAX_NAME_BYTES` long, one for each key.

    A key whose name would be longer gets the start of that name, `=` and its SHA-256.
    """
    # A key from JSON may hold half a surrogate pair. Replaced, it would meet another such key.
    raw = key.encode("utf-8", "surrogatepass")
    plain = _percent_encode(raw).decode("ascii")
    if len(plain) <= MAX_NAME_BYTES:
        return plain or _EMPTY
    return _readable_start(plain) + _HASH_MARK + hashlib.sha256(raw).hexdigest()


def decode_name(name: str) -> str | None:
    """
    Return the key behind *name*; `None` for a hashed name, which does not hold its key.

    Raises `InvalidError` for a name that `encode_name` never gives.
    """
    if _HASHED.fullmatch(name):
        return None
    key = "" if name == _EMPTY else _percent_decode(name)
    if key is None or encode_name(key) != name:
        raise InvalidError("file name", f"{name!r} is not the name of a key", "move the file away")
    return key


def _percent_encode(raw: bytes) -> bytes:
    escaped = _UNSAFE.sub(_escape, raw)
    # A leading dot would hide the file or mean a directory.
    if escaped.startswith(b".") or _DEVICE.match(escaped):
        escaped = _hex(escaped[0]) + escaped[1:]
    # Windows leaves a dot at the end out, so that two names would be one file.
    if escaped.endswith(b"."):
        escaped = escaped[:-1] + _hex(escaped[-1])
    return escaped


def _escape(match: re.Match[bytes]) -> bytes:
    return _hex(match[0][0])


def _hex(byte: int) -> bytes:
    return b"%%%02x" % byte


def _readable_start(plain: str) -> str:
    cut = plain[:_PREFIX_LENGTH]
    escape = cut.rfind("%")
    return cut[:escape] if escape > len(cut) - _ESCAPE_LENGTH else cut


def _percent_decode(name: str) -> str | None:
    try:
        raw = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), name.encode("ascii"))
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeError:
        return None
