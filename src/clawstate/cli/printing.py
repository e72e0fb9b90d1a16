"""Text that somebody else wrote, as it may be printed."""

from __future__ import annotations

import re
import sys

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def printed(text: str) -> str:
    """Return *text* as it may be printed: on a terminal without what would steer that."""
    text = text.encode(errors="replace").decode()
    return printable(text) if sys.stdout.isatty() else text


def printable(text: str) -> str:
    """Return *text* without what would steer a terminal: control characters become U+FFFD."""
    return _CONTROL.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return *text* such as a key as a part of one line: escaped, and quoted if blanks hide."""
    shown = _BREAKING.sub(lambda found: repr(found[0])[1:-1], text)
    return shown if text and text == text.strip() else repr(text)
