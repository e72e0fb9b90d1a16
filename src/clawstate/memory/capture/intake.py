"""From messages to records: what is judged worth keeping, once, and never again once forgotten."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from clawstate.memory.capture.judgement import Judgement, judge
from clawstate.memory.capture.rules import normalise
from clawstate.memory.capture.values import InboxItem, Said
from clawstate.memory.records import MemoryRecord, content_hash

SAME = 0.95
"""The cosine from which on a text says what another one says (OpenClaw's bound)."""


_CAPTURED = uuid.UUID("5f0f2d5e-6a3b-4c39-9d57-3f6f2e0a8b11")


class Intake:
    """What *judged* texts become: records to keep, items for the inbox, and what was skipped."""

    def __init__(self, namespace: str, now: float) -> None:
        self._namespace = namespace
        self._now = now
        self.records: list[MemoryRecord] = []
        self.items: list[InboxItem] = []
        self.skipped: Counter[str] = Counter()
        self._seen: set[str] = set()

    def take(self, said: Said, *, longest: int) -> None:
        """Judge *said* and note what it becomes."""
        judgement = judge(said, longest=longest)
        if judgement.fate == "skip":
            self.skipped[judgement.reason] += 1
            return
        key = normalise(said.text)
        if key in self._seen:
            self.skipped["duplicate"] += 1
            return
        self._seen.add(key)
        if judgement.fate == "inbox":
            self.items.append(self._item(said, judgement))
        else:
            self.records.append(self._record(said, judgement))

    def leave_out(self, ids: AbstractSet[str], reason: str) -> None:
        """Skip those of *ids* for *reason*."""
        kept = [each for each in self.records if each.id not in ids]
        waiting = [each for each in self.items if each.id not in ids]
        self.skipped[reason] += len(self.records) + len(self.items) - len(kept) - len(waiting)
        self.records, self.items = kept, waiting

    def given(self) -> list[tuple[str, bytes]]:
        """Return the ids of all, with the hashes of their texts."""
        texts = {each.id: each.text for each in self.records}
        texts |= {each.id: each.text for each in self.items}
        return [(key, content_hash(text)) for key, text in texts.items()]

    def _record(self, said: Said, judgement: Judgement) -> MemoryRecord:
        return MemoryRecord(
            text=said.text,
            id=id_of(self._namespace, said),
            category=judgement.category,
            importance=judgement.importance,
            namespace=self._namespace,
            metadata=said.provenance.metadata(),
            created_at=self._now,
        )

    def _item(self, said: Said, judgement: Judgement) -> InboxItem:
        return InboxItem(
            id_of(self._namespace, said),
            said.text,
            judgement.reason,
            judgement.category,
            judgement.importance,
            self._namespace,
            said.provenance,
            self._now,
        )


def says_the_same(text: str, others: Iterable[tuple[str, float]]) -> bool:
    """Tell whether one of *others*, texts with their cosines to *text*, says the same."""
    return any(cosine >= SAME or normalise(other) == normalise(text) for other, cosine in others)


def id_of(namespace: str, said: Said) -> str:
    """
    Return the id of what is made of *said*, the same each time.

    So a conversation that is captured again after each answer makes nothing twice, and nothing of
    what a person forgot or rejected.
    """
    told = said.provenance
    parts = (namespace, told.session, told.message, normalise(said.text))
    return str(uuid.uuid5(_CAPTURED, "\0".join(parts)))


def judge_all(said: Iterable[Said], *, namespace: str, now: float, longest: int) -> Intake:
    """Return what all of *said* become."""
    intake = Intake(namespace, now)
    for each in said:
        intake.take(each, longest=longest)
    return intake
