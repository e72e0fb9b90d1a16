"""Texts that are not UTF-8: UTF-16, UTF-32, and the code pages of before."""

from __future__ import annotations

import codecs
import io
import re
from typing import BinaryIO

from clawstate.interrupts import load_modules

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Read as a whole to be told; what is larger is no note, and its lines are taken one by one.
_LARGEST = 32 << 20
_LOOKED_AT = 256 << 10
_HIGH = re.compile(rb"[\x80-\xff]")
_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
# Letters and marks of western European texts in Windows-1252: what few high bytes most likely are.
_WESTERN = re.compile(rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e-\xd6\xd8-\xf6\xf8-\xfc]")
_FEW = 12


def as_utf8(stream: BinaryIO) -> BinaryIO:
    """
    Return *stream*, read from its start, or what it says in UTF-8 where it is in another encoding.

    A text is taken to be in another one if it begins with its mark, is UTF-16 by its zeros, or has
    high bytes of which most are no UTF-8. What is UTF-8 but for damage stays as it is.
    """
    head = stream.read(_LOOKED_AT)
    encoding = _encoding(head)
    if encoding is None:  # of a long text the first high byte may come later: it is damage then
        stream.seek(0)
        return stream
    data = head + stream.read(_LARGEST - len(head))
    if stream.read(1):
        stream.seek(0)
        return stream
    try:
        return io.BytesIO(data.decode(encoding).encode())
    except (UnicodeError, LookupError):
        stream.seek(0)
        return stream


def _encoding(head: bytes) -> str | None:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if b"\0" in head:
        return _by_zeros(head)
    high = _HIGH.findall(head)
    # In other encodings some pairs look like UTF-8 by chance; in damaged UTF-8 most are.
    if 2 * sum(map(len, _MULTIBYTE.findall(head))) >= len(high):
        return None
    if len(high) <= _FEW:
        return "cp1252" if all(map(_WESTERN.match, high)) else None
    load_modules("charset_normalizer")
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only texts that are not UTF-8

    best = from_bytes(head).best()
    return None if best is None else best.encoding


def _by_zeros(head: bytes) -> str | None:
    """Return which UTF-16 *head* is in, if every second byte of most of it is zero."""
    pairs = len(head) // 2
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = head[first : 2 * pairs : 2].count(0)
        others = head[1 - first : 2 * pairs : 2].count(0)
        if pairs and others == 0 and 2 * zeros > pairs:
            return name
    return None
