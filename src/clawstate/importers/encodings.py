"""Texts that are not UTF-8: UTF-16, UTF-32, and the code pages of before."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from clawstate.files.json_text import is_utf16
from clawstate.importers.passages import Problem
from clawstate.interrupts import load_modules
from clawstate.quantities import number_of

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Read as a whole to be told; what is larger is no note, and its lines are taken one by one.
_LARGEST = 32 << 20
_LOOKED_AT = 256 << 10
_CHUNK = 1 << 20
_HIGH = re.compile(rb"[\x80-\xff]")
_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
# Letters and marks of western European texts in Windows-1252: what few high bytes most likely are.
_WESTERN = re.compile(rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e-\xd6\xd8-\xf6\xf8-\xfc]")
_FEW = 12
_RARE = 20
_REPLACEMENT = "\ufffd"


def as_utf8(stream: BinaryIO) -> BinaryIO:
    """
    Return *stream*, read from its start, or what it says in UTF-8 where it is in another encoding.

    A text is taken to be in another one if it begins with its mark, is UTF-16 by its zeros, or has
    high bytes of which most are no UTF-8. What is UTF-8 but for damage stays as it is.
    """
    head = stream.read(_LOOKED_AT)
    if (wide := wide_encoding(head)) is not None:
        return _recode(stream, wide)
    encoding = code_page(head)
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


def unicode_as_utf8(stream: BinaryIO) -> BinaryIO:
    """
    Return *stream*, read from its start, or what it says in UTF-8 where it is UTF-16 or UTF-32.

    Bytes in a code page stay: in files of records they are damage of a line, which is told.
    """
    wide = _wide_encoding_of_records(stream.read(_LOOKED_AT))
    if wide is not None:
        return _recode(stream, wide)
    stream.seek(0)
    return stream


def head_as_utf8(head: bytes) -> bytes:
    """Return *head*, the first bytes of a file of records, as `unicode_as_utf8` gives them."""
    wide = _wide_encoding_of_records(head)
    if wide is None:
        return head
    return codecs.getincrementaldecoder(wide)("replace").decode(head).encode("utf-8", "replace")


def damage_of(path: Path, stream: BinaryIO) -> Iterator[Problem]:
    """Yield a problem if some of *stream*, which was read to its end, could not be decoded."""
    raw = stream.raw if isinstance(stream, io.BufferedReader) else None
    if isinstance(raw, _Recoded) and raw.replaced:
        name = raw.encoding.upper()
        places = number_of(raw.replaced, "place")
        message = f"from here on U+FFFD stands for what is no {name}, in {places}"
        yield Problem(path, raw.first_replaced, message)


def _recode(stream: BinaryIO, encoding: str) -> BinaryIO:
    stream.seek(0)
    return io.BufferedReader(_Recoded(stream, encoding), _CHUNK)


class _Recoded(io.RawIOBase):
    """
    A file in UTF-16 or UTF-32 as one in UTF-8, of which only a chunk is in memory.

    What is damaged comes as U+FFFD. It can be read again from its start, and from nowhere else.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self.encoding = encoding
        self.replaced = self.first_replaced = 0
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._at, self._line, self._is_read, self._pending = 0, 1, False, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if (offset, whence) == (0, io.SEEK_CUR):
            return self._at
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("can be read again from its start alone")
        self._stream.seek(0)
        self._decoder.reset()
        self.replaced = self.first_replaced = 0
        self._at, self._line, self._is_read, self._pending = 0, 1, False, b""
        return 0

    def readinto(self, buffer: Any, /) -> int:
        while not self._pending and not self._is_read:
            data = self._stream.read(_CHUNK)
            self._is_read = not data
            text = self._decoder.decode(data, final=self._is_read)
            if (at := text.find(_REPLACEMENT)) >= 0:
                self.first_replaced = self.first_replaced or self._line + text.count("\n", 0, at)
                self.replaced += text.count(_REPLACEMENT)
            self._line += text.count("\n")
            self._pending = text.encode()
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        self._at += count
        return count


def wide_encoding(head: bytes) -> str | None:
    """Return which UTF-16 or UTF-32 a text is in that begins with *head*; None for neither."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    return _by_zeros(head) if b"\0" in head else None


def _wide_encoding_of_records(head: bytes) -> str | None:
    # JSON has signs of ASCII, so zeros: a mark without any is noise before lines that can be read.
    if b"\0" not in head:
        return None
    if (found := wide_encoding(head)) is not None or not is_utf16(head):
        return found
    return "utf-16-be" if head[0] == 0 else "utf-16-le"


def code_page(head: bytes) -> str | None:
    """Return which code page a text is in that begins with *head*; None where UTF-8 fits better."""
    if b"\0" in head:
        return None
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
        # Some letters have their zero on the other side, such as the wide space of Chinese.
        if pairs and 2 * zeros > pairs and _RARE * others < zeros:
            return name
    return None
