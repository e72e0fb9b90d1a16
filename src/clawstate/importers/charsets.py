"""The charset of a page of HTML: what it declares, and what its bytes say."""

from __future__ import annotations

import codecs
import re

from clawstate.importers.encodings import code_page, wide_encoding

_DECLARED_WITHIN = 16 << 10
_DECLARED = re.compile(
    rb"""<(?:meta\b[^<>]{0,400}?\bcharset|\?xml\b[^<>]{0,200}?\bencoding)\s*=\s*["']?\s*([\w:.-]+)""",
    re.IGNORECASE,
)
_PAGES = re.compile(
    r"utf-?8|cp\d+|windows-\d+|iso-?8859-\d+|koi8-[rtu]|gb18030|big5(?:-?hkscs)?|euc[-_](?:jp|kr)"
    r"|iso-?2022-(?:jp|kr)|shift_jis|mac-?\w+|tis-?620|hz-gb-2312"
)
_LARGER = {
    **dict.fromkeys(("ascii", "us-ascii", "latin1", "latin-1", "iso-8859-1"), "windows-1252"),
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "x-gbk", "chinese"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "korean", "ksc5601"), "cp949"),
    **dict.fromkeys(("big5", "x-x-big5", "big5-hkscs"), "big5-hkscs"),
    **dict.fromkeys(("iso-8859-9", "latin5"), "windows-1254"),
    **dict.fromkeys(("tis-620", "iso-8859-11", "windows-874"), "cp874"),
    **dict.fromkeys(("macintosh", "x-mac-roman"), "mac-roman"),
    **dict.fromkeys(("koi8", "koi"), "koi8-r"),
    **dict.fromkeys(("ibm866", "866"), "cp866"),
}
_MANY = 8
_WESTERN_NAME = re.compile(r"cp125\d|iso8859-\d+|mac-roman")


def charset_of(head: bytes) -> str:
    """
    Return the encoding of the page of HTML that begins with *head*.

    That of its mark or its zeros; else the one that it declares, unless its bytes say otherwise;
    else UTF-8, or the code page that fits.
    """
    if (wide := wide_encoding(head)) is not None:
        return wide
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    told = _DECLARED.search(head, 0, _DECLARED_WITHIN)
    name = _codec(told[1].decode().lower()) if told else None
    if name in {None, "utf-8"}:
        return code_page(head) or "utf-8"
    # A page that was saved anew declares what it was before. A few letters of the larger sets may
    # look like UTF-8 by chance, but not many.
    fewest = 1 if _WESTERN_NAME.fullmatch(name) else _MANY
    return "utf-8" if _count_of_utf8(head) >= fewest else name


def _codec(label: str) -> str | None:
    """Return Python's name for what a page calls *label*; None for no encoding of pages."""
    # As browsers take them (Encoding standard, section 4.2): the smaller sets as the larger ones.
    name = _LARGER.get(label, label)
    if _PAGES.fullmatch(name) is None:
        return None
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def _count_of_utf8(head: bytes) -> int:
    """Return how many letters of *head* are more than one byte of UTF-8; 0 if it is no UTF-8."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return 0
    return sum(letter > "\x7f" for letter in text)
