from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

import clawstate
from clawstate.errors import ConflictError, NotFoundError
from clawstate.memory.backends.sqlite import subwords
from clawstate.memory.records import MemoryRecord
from manual_clock import ManualClock
from soundness import damage_of, docnos_with

NAMESPACES = st.sampled_from(["default", "work"])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.lists(st.sampled_from("abc"), max_size=3),
        "metadata": st.dictionaries(st.sampled_from("xy"), st.integers(0, 3), max_size=2),
        "importance": st.sampled_from([0.0, 0.5, 1.0]),
        "category": st.sampled_from(["fact", "other"]),
        "source": st.sampled_from([None, "a.md"]),
        "ttl": st.sampled_from([None, 5, 50]),
    },
)

MODES = st.sampled_from(["words", "vector", "hybrid"])


class MemoryMachine(RuleBasedStateMachine):
    """A memory beside a dict of the records that it must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.root = Path(tempfile.mkdtemp(prefix="clawstate-test-"))
        self.kept: dict[str, MemoryRecord] = {}
        self.serial = 0
        self.open()

    ids = Bundle("ids")

    def open(self) -> None:
        self.state = clawstate.open(self.root / "state", clock=self.clock)
        self.memory = self.state.memory

    def word(self) -> str:
        self.serial += 1
        return f"zq{self.serial}x"

    def live(self) -> dict[str, MemoryRecord]:
        now = self.clock()
        ends = {key: record.expires_at for key, record in self.kept.items()}
        return {
            key: record for key, record in self.kept.items() if ends[key] is None or ends[key] > now
        }

    def expected(self, record_id: str, text: str, given: dict) -> MemoryRecord:
        fields = dict(given)
        ttl = fields.pop("ttl", None)
        fields["tags"] = tuple(sorted(set(fields.get("tags", ()))))
        return MemoryRecord(
            id=record_id,
            text=text,
            created_at=self.clock(),
            updated_at=self.clock(),
            expires_at=None if ttl is None else self.clock() + ttl,
            **fields,
        )

    @rule(target=ids, given=FIELDS, namespace=NAMESPACES)
    def add(self, given, namespace):
        text = f"the lobster {self.word()}"
        record_id = self.memory.add(text, namespace=namespace, **given)
        self.kept[record_id] = self.expected(record_id, text, {**given, "namespace": namespace})
        return record_id

    @rule(target=ids, count=st.integers(0, 5), given=FIELDS, namespace=NAMESPACES)
    def add_many(self, count, given, namespace):
        values = [
            {"text": f"the lobster {self.word()}", "namespace": namespace, **given}
            for _ in range(count)
        ]
        added = self.memory.add_many(values)
        for record_id, each in zip(added, values, strict=True):
            fields = {name: value for name, value in each.items() if name != "text"}
            self.kept[record_id] = self.expected(record_id, each["text"], fields)
        return added[0] if added else "none"

    @rule(record_id=ids, given=FIELDS, changed=st.booleans())
    def upsert(self, record_id, given, changed):
        old = self.live().get(record_id)
        if old is None:
            return
        self.clock.advance(1)
        text = f"the parrot {self.word()}" if changed else old.text
        fields = {**given, "namespace": old.namespace}
        self.memory.add_many([{"id": record_id, "text": text, **fields}])
        new = self.expected(record_id, text, fields)
        self.kept[record_id] = replace(new, created_at=old.created_at)

    @rule(record_id=ids)
    def upsert_elsewhere(self, record_id):
        old = self.live().get(record_id)
        if old is None:
            return
        with pytest.raises(ConflictError):
            self.memory.add_many([{"id": record_id, "text": "x", "namespace": "elsewhere"}])

    @rule(record_id=ids, given=FIELDS, changed=st.booleans())
    def update(self, record_id, given, changed):
        self.clock.advance(1)
        changes = {**given, **({"text": f"the parrot {self.word()}"} if changed else {})}
        old = self.live().get(record_id)
        if old is None:
            with pytest.raises(NotFoundError):
                self.memory.update(record_id, **changes)
            return
        self.memory.update(record_id, **changes)
        if "tags" in changes:
            changes["tags"] = tuple(sorted(set(changes["tags"])))
        if "ttl" in changes:
            ttl = changes.pop("ttl")
            changes["expires_at"] = None if ttl is None else self.clock() + ttl
        self.kept[record_id] = replace(old, **changes, updated_at=self.clock())

    @rule(record_id=ids)
    def delete(self, record_id):
        was_kept = record_id in self.live()
        answer = self.memory.delete(record_id)
        assert answer or not was_kept
        self.kept.pop(record_id, None)

    @rule(seconds=st.sampled_from([1, 5, 60]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def reopen(self):
        self.state.close()
        self.open()

    @rule()
    def optimize(self):
        self.memory.optimize()
        self.kept = self.live()
        assert self.memory.stats()["expired"] == 0

    @rule()
    def rebuild(self):
        self.memory.rebuild()
        self.kept = self.live()

    @rule(record_id=ids)
    def get(self, record_id):
        assert self.memory.get(record_id) == self.live().get(record_id)

    @rule(namespace=st.none() | NAMESPACES, limit=st.integers(1, 7))
    def list_in_pages(self, namespace, limit):
        seen, after = [], None
        while page := self.memory.records(namespace=namespace, after=after, limit=limit):
            assert len(page) <= limit
            seen += page
            after = page[-1].id
        live = self.live()
        wanted = sorted(k for k, each in live.items() if namespace in {None, each.namespace})
        assert seen == [live[key] for key in wanted]

    @rule(record_id=ids)
    def search_a_unique_word(self, record_id):
        record = self.kept.get(record_id)
        if record is None:
            return
        word = record.text.split()[-1]
        hits = self.memory.search(word, mode="words", namespace=None)
        live = self.live().get(record_id)
        assert [hit.record for hit in hits] == ([] if live is None else [live])

    @rule(mode=MODES, namespace=st.none() | NAMESPACES, tag=st.none() | st.sampled_from("abc"))
    def search_a_common_word(self, mode, namespace, tag):
        tags = None if tag is None else [tag]
        hits = self.memory.search("lobster", mode=mode, namespace=namespace, tags=tags, k=1000)
        live = self.live()
        found = {hit.record.id for hit in hits}
        wanted = {
            key
            for key, each in live.items()
            if namespace in {None, each.namespace} and (tag is None or tag in each.tags)
        }
        assert len(found) == len(hits)
        assert all(hit.record == live[hit.record.id] for hit in hits)
        assert found <= wanted
        assert found >= {key for key in wanted if "lobster" in live[key].text}

    @precondition(lambda self: self.serial)
    @invariant()
    def counts_agree(self):
        stats = self.memory.stats()
        assert stats["records"] - stats["expired"] == len(self.live())
        assert stats["waiting"] == 0

    def teardown(self):
        try:
            assert damage_of(self.memory) == []
            with self.memory._engine._database.reading() as connection:
                assert_derived_data_agrees(connection)
        finally:
            self.state.close()
            shutil.rmtree(self.root)


def assert_derived_data_agrees(connection) -> None:
    """Compare what is counted and indexed with what the rows say."""
    texts = dict(connection.execute("SELECT docno, content FROM memories"))
    for docno, text in texts.items():
        word = text.split()[-1]
        assert docnos_with(connection, word) == [docno]
    counted = count_subwords(connection)
    noted = "SELECT scope, subwords FROM scopes WHERE subwords <> 0"
    held = "SELECT scope, sum(length(subwords) / 2) FROM memories GROUP BY scope"
    assert counted == dict(connection.execute(noted)) == dict(connection.execute(held))
    assert min(subwords.occurrences(connection).values(), default=0) >= 0


def count_subwords(connection) -> dict[int, int]:
    """Return how many subwords are counted in each scope."""
    counted = Counter()
    for (scope, _), count in subwords.occurrences(connection).items():
        counted[scope] += count
    return +counted


MemoryMachine.TestCase.settings = hypothesis.settings(
    max_examples=hypothesis.settings().max_examples // 5,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
)


class TestMemory(MemoryMachine.TestCase):
    """A memory answers every call as a dict of its records would."""
