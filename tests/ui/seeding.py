"""States for the pages to show: small ones of every kind, and large ones."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import clawstate

HOSTILE = {
    "markup": "<img src=x onerror=\"document.title='owned'\"><script>alert('owned')</script>",
    "terminal": "\x1b[31mred\x1b[0m and \x1b]0;title\x07 a bell \x07",
    "direction": "the file is called \u202egpj.exe and \u2066so\u2069 on",
    "long line": "x" * 1_000_000,
    "languages": "مرحبا بالعالم، الشاي الأخضر • שלום עולם • 日本の緑茶は京都で作られる • ភាសាខ្មែរ",
}

_PEOPLE = ("Ada", "Grace", "Linus", "Margaret", "Alan", "Barbara", "Edsger", "Katherine")
_THINGS = ("green tea", "the boat", "a violin", "the garden", "chess", "the old house", "rye bread")
_VERBS = ("prefers", "sold", "wants", "mended", "forgot", "praised", "bought")
_PLACES = ("Lisbon", "Kyoto", "Oslo", "Lagos", "Quito", "Tallinn", "Hanoi")


def sentences(count: int, seed: int = 1) -> list[str]:
    """Return *count* sentences, each another one."""
    chance = random.Random(seed)
    parts = [chance.sample(each, len(each)) for each in (_PEOPLE, _VERBS, _THINGS, _PLACES)]
    found = itertools.cycle(itertools.product(*parts))
    return [
        f"{a} {b} {c} in {d} (note {number}).".replace("  ", " ")
        for number, (a, b, c, d) in zip(range(count), found, strict=False)
    ]


def seed_small(root: Path) -> None:
    """Make a state with some of everything."""
    with clawstate.open(root) as state:
        for number, text in enumerate(sentences(40)):
            state.memory.add(
                text, tags=("people", f"part-{number % 4}"), source=f"notes/{number % 5}.md"
            )
        for name, text in HOSTILE.items():
            state.memory.add(text, tags=("hostile", name), source=f"{name}.txt")
        for number in range(6):
            key = f"agent:main:chat-{number}"
            session = state.sessions.resolve(key).session_id
            state.transcripts.append(
                session,
                [
                    {"role": "user", "content": f"Which tea, for the {number}th time?"},
                    {"role": "assistant", "content": "Green tea, without sugar."},
                ],
            )


def seed_memories(root: Path, count: int) -> None:
    """Make a state with *count* memories."""
    with clawstate.open(root) as state:
        state.memory.add_many({"text": text, "tags": ["people"]} for text in sentences(count))
        state.memory.optimize()
