"""Two texts as people read them side by side: briefly, with what differs marked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from clawstate.cli.printing import inline, style

_AROUND = 6  # words that stay on either side of what differs
_MOST = 60  # words of a side that are shown
_COMPARED = 600  # words of a side that are compared; the time grows with their product
_WORD = re.compile(r"\S+")


def mark_differences(first: str, second: str) -> tuple[str, str]:
    """
    Return both texts in one line each, with `[-...-]` and `{+...+}` around what differs.

    Of long texts what is around the differences is left, and of many the first.
    """
    olds, news = _words(first), _words(second)
    steps = SequenceMatcher(None, olds, news, autojunk=False).get_opcodes()
    left = [(olds[low:high], kind == "equal") for kind, low, high, _, _ in steps]
    right = [(news[low:high], kind == "equal") for kind, _, _, low, high in steps]
    return _line(left, "[-", "-]", "red"), _line(right, "{+", "+}", "green")


def _words(text: str) -> list[str]:
    return [each[0] for _, each in zip(range(_COMPARED), _WORD.finditer(text), strict=False)]


def _line(parts: list[tuple[list[str], bool]], before: str, after: str, colour: str) -> str:
    shown: list[str] = []
    room = _MOST
    for place, (words, is_same) in enumerate(parts):
        if room <= 0:
            break
        if is_same:
            kept = list(_shorten(words, is_first=not place, is_last=place == len(parts) - 1))
            room -= len(kept)
            shown.append(inline(" ".join(kept)))
        elif words:
            kept = words[:room]
            cut = ["..."] if len(kept) < len(words) else []
            room -= len(kept)
            text = inline(" ".join([*kept, *cut]))
            shown.append(style(f"{before}{text}{after}", fg=colour))
    else:
        return " ".join(shown)
    return " ".join([*shown, "..."])


def _shorten(words: list[str], *, is_first: bool, is_last: bool) -> Iterator[str]:
    """Yield *words* that are the same, without those that are far from what differs."""
    if is_first and is_last:
        yield from words[:_MOST]
        if len(words) > _MOST:
            yield "..."
    elif is_first:
        yield from ["..."] * (len(words) > _AROUND)
        yield from words[-_AROUND:]
    elif is_last:
        yield from words[:_AROUND]
        yield from ["..."] * (len(words) > _AROUND)
    elif len(words) > 2 * _AROUND:
        yield from [*words[:_AROUND], "...", *words[-_AROUND:]]
    else:
        yield from words
