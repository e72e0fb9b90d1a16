"""Text that a memory recalled into a conversation, and how to take it out again."""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)relevant-memories(?:\s[^<>]{0,200})?>", re.IGNORECASE)


def without_recalled_text(text: str) -> str:
    """
    Return *text* without its `<relevant-memories>` blocks.

    Blocks may hold others. One that is never closed reaches to the last end of an inner block,
    or else to the end of the text: rather lose a sentence than remember a memory as news.
    """
    kept: list[str] = []
    depth, start, opened = 0, 0, -1
    for tag in _TAG.finditer(text):
        if tag.group(1):
            if depth == 0:
                kept.append(text[start : tag.start()])
            depth, start = max(depth - 1, 0), tag.end()
        else:
            if depth == 0:
                kept.append(text[start : tag.start()])
                opened = start = tag.end()
            depth += 1
    if depth == 0 or start > opened:
        kept.append(text[start:])
    return "".join(kept).strip()
