"""
What is captured of conversations: how much of it answers a question, and how much is junk, by kind.

A text that no question of the set is answered by counts as junk, which is strict: it may be worth
keeping for a question that nobody wrote down. The rival keeps all that a person says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from clawstate.memory.capture.judgement import judge
from clawstate.memory.capture.messages import said_in
from retrieval import TestSet, read_set
from timing import Figures
from workbench import Workbench

TITLE = "Capture (share of the texts of a set)"
LONGEST = 500
_SPEAKER = re.compile(r"\A[A-Z]\w{0,30}: ")
_PICTURE = re.compile(r"\[shared image:[^\]]*\]")


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return by set what became of its texts, and how many of those answer a question."""
    return {folder.name: _measured(read_set(folder)) for folder in bench.sets}


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the tables to print."""
    if not result:
        yield "SKIPPED: no sets were given. Name folders with --sets DIR [DIR ...]; see README.md."
    for name, found in result.items():
        yield f"{name}: {found['texts']} texts, {found['asked']} of them answer a question"
        yield f"  {'became':<28}{'texts':>7}{'asked for':>11}{'junk':>7}"
        for kind, (texts, asked) in found["kinds"].items():
            yield f"  {kind:<28}{texts:>7}{asked:>11}{1 - asked / texts:>7.2f}"
        kept, asked = found["kept"]
        if kept:
            yield f"  {'kept in all':<28}{kept:>7}{asked:>11}{1 - asked / kept:>7.2f}"
            share = f"{asked / max(1, found['asked']):.2f}"
            yield f"  of what is asked for, kept: {share}"
        junk = 1 - found["asked"] / found["texts"]
        yield f"  {'(all that is said)':<28}{found['texts']:>7}{found['asked']:>11}{junk:>7.2f}"


def _measured(found: TestSet) -> Figures:
    answers = {(group, each) for (group, _), ids in found.relevant.items() for each in ids}
    texts: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for entry in found.corpus:
        # A text without a speaker is a document: nobody of the conversation wrote it.
        is_said = _SPEAKER.match(entry["text"]) is not None
        text = _PICTURE.sub("", _SPEAKER.sub("", entry["text"])).strip()
        message = {"role": "user", "content": text, "origin": "owner" if is_said else "untrusted"}
        passages = said_in(
            [message], who="x", session="s", origin=None, longest=LONGEST, skipped=Counter()
        )
        fates = [judge(each, longest=LONGEST) for each in passages]
        judgement = min(fates, key=lambda each: ("keep", "inbox", "skip").index(each.fate))
        kind = f"{judgement.fate}: {judgement.reason or judgement.category}"
        texts[kind] += 1
        asked[kind] += (entry["group"], entry["id"]) in answers
    kept = [kind for kind in texts if kind.startswith("keep")]
    return {
        "texts": sum(texts.values()),
        "asked": sum(asked.values()),
        "kept": (sum(texts[each] for each in kept), sum(asked[each] for each in kept)),
        "kinds": {kind: (texts[kind], asked[kind]) for kind in sorted(texts)},
    }
