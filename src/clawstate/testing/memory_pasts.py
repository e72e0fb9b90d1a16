"""`require_pasts`: many moments of a memory beside copies of then."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.moves import MemoryChange
from clawstate.memory.questions import Mode
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import HashEmbedder
from clawstate.testing.memory_machine import require_alike

_WORDS = ("tea", "kettle", "running", "red", "blue", "harbour", "nine", "lobster")


def require_pasts(
    engine: MemoryEngine,
    time: ManualTime,
    *,
    changes: int,
    moments: int,
    reembedded: HashEmbedder | None = None,
) -> None:
    """
    Require so many random moments of a memory to equal a shadow copy of then.

    All vectors are made anew by *reembedded* before that, if given, and those of the copies too.
    """
    chance = Random(8)  # noqa: S311 - no secret
    memory = Memory(engine, embedder=HashEmbedder(), clock=time)
    story = _Story(memory, time, chance)
    for _ in range(changes):
        story.change()
    if reembedded is not None:
        memory.reembed(reembedded)
    embedder = reembedded or HashEmbedder()
    modes: tuple[Mode, ...] = ("words", "vector", "hybrid")
    for _ in range(moments):
        moment, kept = chance.choice(story.told)
        shadow = Memory(InMemoryMemory(clock=time), embedder=embedder, clock=time)
        shadow.add_many(list(kept.values()))
        query, mode = " ".join(chance.choices(_WORDS, k=3)), chance.choice(modes)
        found = memory.search(query, mode=mode, k=50, as_of=moment)
        require_alike(found, shadow.search(query, mode=mode, k=50))


def require_listed_pasts(
    engine: MemoryEngine, time: ManualTime, *, changes: int, moments: int
) -> None:
    """
    Require so many random moments to list what was kept then, and changes to tell the rest.

    What was listed at one moment is what was listed at another before, with the changes between.
    """
    chance = Random(9)  # noqa: S311 - no secret
    memory = Memory(engine, embedder=HashEmbedder(), clock=time)
    story = _Story(memory, time, chance)
    for _ in range(changes):
        story.change()
    for _ in range(moments):
        (moment, kept), (later, there) = sorted(
            chance.choices(story.told, k=2), key=lambda each: each[0]
        )
        listed = _list_all(memory, moment)
        assert listed == kept
        one = chance.choice([*kept, "nobody"])
        assert memory.get(one, as_of=moment) == kept.get(one)
        for each in reversed(_moves(memory, moment, later)):
            if each.kind in {"superseded", "archived"}:
                listed.pop(each.record_id or "", None)
            elif each.after is not None:
                listed[each.after.id] = each.after
        assert listed == there


def _list_all(memory: Memory, moment: float) -> dict[str, MemoryRecord]:
    found: list[MemoryRecord] = []
    after: str | None = None
    while True:
        page = memory.page(7, after, as_of=moment)
        found += page.items
        if (after := page.after) is None:
            return {each.id: each for each in found}


def _moves(memory: Memory, since: float, until: float) -> list[MemoryChange]:
    found: list[MemoryChange] = []
    after: str | None = None
    while True:
        page = memory.changes(since, until, limit=5, after=after)
        found += page.items
        if (after := page.after) is None:
            return found


class _Story:
    """Changes of a memory, and what was known after each, as far as it is not forgotten since."""

    def __init__(self, memory: Memory, time: ManualTime, chance: Random) -> None:
        self._memory = memory
        self._time = time
        self._chance = chance
        self._versions: dict[str, int] = {}
        self._before: dict[str, list[str]] = {}
        self._kept: dict[str, MemoryRecord] = {}
        self.told: list[tuple[float, dict[str, MemoryRecord]]] = []

    def change(self) -> None:
        """Change something, some seconds after the last change."""
        self._time.now += self._chance.choice([1, 5, 100])
        call = self._chance.choice([self._add, self._add, self._update, self._replace])
        call = self._chance.choice([call, call, self._supersede, self._delete])
        call()
        self.told.append((self._time.now, dict(self._kept)))

    def _text(self) -> str:
        return " ".join(self._chance.choices(_WORDS, k=self._chance.randint(1, 6)))

    def _values(self) -> dict[str, Any]:
        choices: tuple[dict[str, Any], ...] = (
            {},
            {"tags": ["a"]},
            {"title": "red tea"},
            {"thread": f"t{len(self._versions)}"},
        )
        return self._chance.choice(choices)

    def _some(self) -> Iterator[str]:
        few = [each for each in self._kept if self._versions.get(each, 0) < 8]
        if few:
            yield self._chance.choice(few)

    def _note(self, record_id: str) -> None:
        self._versions[record_id] = self._versions.get(record_id, 0) + 1
        self._kept[record_id] = self._memory.require(record_id)

    def _add(self) -> None:
        self._note(self._memory.add(self._text(), **self._values()))

    def _update(self) -> None:
        for each in self._some():
            choices: list[dict[str, Any]] = [{"text": self._text()}, {"tags": ["b"]}]
            changes = self._chance.choice(choices)
            self._memory.update(each, **changes)
            self._note(each)

    def _replace(self) -> None:
        for each in self._some():
            self._memory.add_many([{"id": each, "text": self._text(), **self._values()}])
            self._note(each)

    def _supersede(self) -> None:
        for each in self._some():
            new = self._memory.supersede(each, self._text())
            self._before[new.id] = [each, *self._before.get(each, ())]
            del self._kept[each]
            self._note(new.id)

    def _delete(self) -> None:
        for each in self._some():
            self._memory.delete(each)
            gone = {each, *self._before.get(each, ())}
            del self._kept[each]
            self.told = [
                (moment, {key: kept for key, kept in then.items() if key not in gone})
                for moment, then in self.told
            ]
