"""
Text for people: colours that only this program can write, nothing else that steers a terminal.

`Output` prints lines through `render_line`, so that what somebody else wrote (a name, a message, an
error that repeats one) cannot move the cursor, hide, turn the order of letters around, or begin a
line that looks like one of ours.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click

# A text that was kept cannot hold it: it is drawn anew by each process.
_MARK = f"\ufdd0{os.urandom(8).hex()}"
_STYLE = re.compile(rf"{_MARK}((?:\[[0-9;]*m)?)")
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, and C1
    "\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
    # Joiners are a part of emoji and of scripts such as Persian or Hindi, and of nothing else.
    "|(?<![\u0600-\u1fff\u2600-\u27bf\ua800-\uabff\ufe0f\U0001f000-\U0001ffff])[\u200c\u200d]"
)
"""What moves the cursor, hides, or turns the order of letters around."""

_LINE_END = re.compile(r"\r\n")
_NEWLINE = re.compile(r"\n")
_BREAKING = re.compile(r"[\t\n]")


def style(
    text: object,
    *,
    fg: str | None = None,
    bold: bool | None = None,
    dim: bool | None = None,
) -> str:
    """Return *text* in a colour or weight, which `Output` shows where colours are wanted."""
    codes = click.style("", fg=fg, bold=bold, dim=dim, reset=False)  # noqa: TID251 - the one place
    codes = codes.replace("\x1b", _MARK)
    return f"{codes}{text}{_MARK}[0m" if codes else str(text)


def strip_styles(line: str) -> str:
    """Return *line* without what `style` added."""
    return _STYLE.sub("", line)


def render_line(line: str, *, colour: bool) -> str:
    r"""Return *line* as `render` does, its line ends written out as `\n`: nobody adds a line."""
    return _NEWLINE.sub(_escape, render(line, colour=colour))


def render(line: str, *, colour: bool) -> str:
    """Return *line* as it may be printed, with the colours of `style` or without."""
    pieces = _STYLE.split(line)
    pieces[0::2] = map(printable, pieces[0::2])
    pieces[1::2] = [f"\x1b{code}" if colour and code else "" for code in pieces[1::2]]
    return "".join(pieces)


def printable(text: str) -> str:
    r"""
    Return *text* with what would steer a terminal written out, such as `\x1b`.

    That is: control characters but tab and line feed, marks that turn the direction of writing,
    characters without width, and halves of surrogate pairs.
    """
    return STEERING.sub(_escape, _LINE_END.sub("\n", text))


def inline(text: str) -> str:
    """Return *text* as a part of one line: `printable`, and its line ends and tabs written out."""
    return _BREAKING.sub(_escape, printable(text))


def one_line(text: str) -> str:
    """Return *text* such as a key as a part of one line: `inline`, quoted if blanks hide."""
    shown = inline(text)
    return shown if text and text == text.strip() else repr(text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode-escape").decode()


LABELS = {
    "waiting": "without a vector yet",
    "cached_vectors": "vectors kept for reuse",
    "vector_index_bytes": "index of vectors",
    "query_cache": "cache of searches",
    "bytes": "size of the file",
    "sources": "imported sources",
    "expired": "expired, not removed yet",
    "embedder": "embedding model",
    "dimensions": "numbers in a vector",
    "reembedding": "being embedded anew by",
    "reembedded": "embedded anew so far",
}
"""What people read in the place of a name that programs read."""


def counts_of_memory(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return *counts* of a memory without what they tell of a replacement that is not begun."""
    left = () if counts.get("reembedding") else ("reembedding", "reembedded")
    return {name: value for name, value in counts.items() if name not in left}


def table_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each of *values*, the names in one column; sizes in readable units."""
    labels = {name: LABELS.get(name, name.replace("_", " ")) for name in values}
    width = max(map(len, labels.values()), default=0)
    for name, value in values.items():
        told = style(labels[name].ljust(width), dim=True)
        yield f"{told}  {inline(readable(name, value))}"


def readable(name: str, value: Any) -> str:
    """Return *value* as people read it; a *name* with "bytes" makes it a size."""
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {readable(name, each)}" for key, each in value.items()) or "-"
    if "bytes" in name:
        return size(int(value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def size(count: float) -> str:
    """Return *count* bytes as `1.5 MB`."""
    if count < 1000:
        return f"{count:.0f} B"
    scaled = count / 1000
    for unit in ("kB", "MB"):
        if scaled < 1000:
            return f"{scaled:.1f} {unit}"
        scaled /= 1000
    return f"{scaled:.1f} GB"
