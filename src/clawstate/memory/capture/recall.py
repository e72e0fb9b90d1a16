"""What is remembered about a question, as a block of text for the context of a model."""

from __future__ import annotations

from collections.abc import Sequence

from clawstate.clock import to_iso
from clawstate.memory.capture.fence import escape, estimate_tokens, fence
from clawstate.memory.capture.values import Recall
from clawstate.memory.records import Hit, MemoryRecord

_LEAST_OF_LONG = 80
"""Characters of a long text that are worth telling, where all of it does not fit."""


def recall_block(hits: Sequence[Hit], *, budget: int) -> Recall:
    """
    Return the best of *hits* that fit into *budget* tokens, escaped and fenced.

    The last one may be cut short. One that does not fit makes room for a shorter one behind it.
    """
    lines: list[str] = []
    told: list[Hit] = []
    spent = estimate_tokens(fence([""]))
    for hit in hits:
        head, text = _head(len(told) + 1, hit.record), escape(hit.record.text)
        line = f"{head} {text}"
        if spent + _cost(line) > budget:
            line = _shorten(head, text, budget - spent)
        if line:
            lines.append(line)
            told.append(hit)
            spent += _cost(line)
    if not lines:
        return Recall("", (), 0, len(hits))
    block = fence(lines)
    return Recall(block, tuple(told), estimate_tokens(block), len(hits) - len(told))


def _cost(line: str) -> int:
    return estimate_tokens(line) + 1  # and its end


def _head(number: int, record: MemoryRecord) -> str:
    said = record.metadata.get("captured")
    origin = said.get("origin") if isinstance(said, dict) else None
    parts = [escape(record.category), to_iso(record.created_at)[:10]]
    parts += [f"said by {escape(str(origin))}"] if origin in {"agent", "untrusted"} else []
    parts += [escape(record.title)] if record.title else []
    return f"{number}. [{', '.join(parts)}]"


def _shorten(head: str, text: str, left: int) -> str:
    """Return as much of a line as *left* tokens hold; empty where that tells nothing."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if _cost(f"{head} {text[:middle]}…") <= left:
            low = middle
        else:
            high = middle - 1
    # Not within an entity such as &lt;, which would be read as something else.
    cut = text[:low]
    start = cut.rfind("&", max(0, low - 6))
    if start >= 0 and ";" not in cut[start:]:
        cut = cut[:start]
    return f"{head} {cut.rstrip()}…" if len(cut) >= _LEAST_OF_LONG else ""
