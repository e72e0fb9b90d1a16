"""`memory_machine`: an engine of memory beside that in one process, under any calls."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clawstate.clock import Clock
from clawstate.errors import StateError
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.contract import Capability, MemoryEngine
from clawstate.memory.records import Hit
from clawstate.memory.service import Memory
from clawstate.memory.service.listing import LISTING
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import HashEmbedder

Factory = Callable[[Path, Clock], MemoryEngine]
"""Opens the engine under test over the state in a directory, with a clock."""

_IDS = st.sampled_from([f"r{number}" for number in range(12)])
_EACH = ("default", "work")
_NAMESPACES = st.sampled_from(_EACH)
_WORDS = ["tea", "kettle", "running", "runs", "red", "\u5bd2\u3044", "Ada:", "caf\u00e9"]
_TEXTS = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=7).map(" ".join)
_SOURCES = st.sampled_from(["a.md", "b.md"])
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.lists(st.sampled_from("xy"), max_size=2),
        "metadata": st.dictionaries(
            st.sampled_from("ab"), st.integers(0, 2) | st.none(), max_size=2
        ),
        "importance": st.sampled_from([0, 0.5, 1]),
        "category": st.sampled_from(["fact", "other"]),
        "source": _SOURCES,
        "ttl": st.sampled_from([5, 50]),
        "thread": st.sampled_from(["chat", "talk"]),
        "title": st.sampled_from(["red", "tea"]),
        "headings": st.sampled_from([["red"], ["tea", "red"]]),
        "names": st.sampled_from([["kettle"], []]),
        "position": st.integers(0, 4),
    },
)
_WHERE = st.sampled_from(
    [
        None,
        {"a": 1},
        {"$or": [{"a": {"gte": 1}}, {"$tags": "x"}]},
        {"$not": {"$source": "a.md"}, "b": {"exists": False}},
        {"$thread": {"exists": True}, "$category": {"ne": "fact"}},
        {"$importance": {"lt": 1}, "$expires_at": None},
    ]
)
_COUNTED = (
    *("records", "namespaces", "tags", "sources", "expired", "waiting", "cached_vectors"),
    *("embedder", "dimensions", "reembedding", "reembedded"),
)
_CLOSE = 1e-4  # between two scores that were summed in another order


def memory_machine(factory: Factory, *, steps: int = 30) -> type[MemoryMachine]:
    """
    Return a state machine that compares the engine that *factory* opens with `InMemoryMemory`.

    Its `TestCase` is for pytest; *steps* is the greatest number of calls in one run, of which
    there are a fifth of the examples of the hypothesis profile.

    .. code-block:: python

        class TestMyMachine(memory_machine(lambda path, clock: MyMemory(path, clock)).TestCase):
            pass
    """

    class Machine(MemoryMachine):
        def make(self, path: Path, clock: Clock) -> MemoryEngine:
            return factory(path, clock)

    case = Machine.TestCase
    case.settings = settings(
        max_examples=max(settings().max_examples // 5, 1),
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
    )
    return Machine


class MemoryMachine(RuleBasedStateMachine):
    """The engine under test beside the reference; see `memory_machine`."""

    def __init__(self) -> None:
        super().__init__()
        self._root = Path(tempfile.mkdtemp(prefix="clawstate-test-"))
        self._time = ManualTime()
        self._embedder = HashEmbedder()
        self._reference = self._open_both(InMemoryMemory(clock=self._time))
        self._open()

    def make(self, path: Path, clock: Clock) -> MemoryEngine:
        """Open the engine under test over the state in the directory *path*."""
        raise NotImplementedError(path, clock)

    @rule(
        ids=st.lists(_IDS, min_size=1, max_size=4),
        text=_TEXTS,
        namespace=_NAMESPACES,
        fields=_FIELDS,
        embed=st.booleans(),
    )
    def add(
        self,
        ids: list[str],
        text: str,
        namespace: str,
        fields: dict[str, Any],
        embed: bool,  # noqa: FBT001
    ) -> None:
        """Add records, with vectors or without, some of which may be there."""
        values = [{"id": each, "text": text, "namespace": namespace, **fields} for each in ids]
        self._same(lambda pair: pair[embed].add_many(values))

    @rule(record_id=_IDS, fields=_FIELDS, text=st.none() | _TEXTS)
    def update(self, record_id: str, fields: dict[str, Any], text: str | None) -> None:
        """Change a record, or its text."""
        changes = fields if text is None else {**fields, "text": text}
        self._same(lambda pair: pair[1].update(record_id, **changes))

    @rule(ids=st.lists(_IDS, max_size=3))
    def delete(self, ids: list[str]) -> None:
        """Forget records."""
        self._same(lambda pair: pair[1].delete_many(ids))

    @rule(old=_IDS, new=_IDS)
    def supersede(self, old: str, new: str) -> None:
        """Put a record in the place of another."""
        self._same(lambda pair: pair[1].supersede(old, new) if pair[1].get(new) else None)

    @rule(ids=st.lists(_IDS, max_size=3))
    def archive(self, ids: list[str]) -> None:
        """Take records out of the way."""
        self._same(lambda pair: pair[1].archive(ids))

    @rule(ids=st.lists(_IDS, max_size=3))
    def restore(self, ids: list[str]) -> None:
        """Put archived records back."""
        self._same(lambda pair: pair[1].restore(ids))

    @rule(namespace=st.none() | _NAMESPACES)
    def conflicts(self, namespace: str | None) -> None:
        """Tell what contradicts itself, and what is archived."""
        self._same(lambda pair: pair[1].conflicts(namespace=namespace))
        self._same(lambda pair: pair[1].archived())

    @rule(record_id=_IDS)
    def history(self, record_id: str) -> None:
        """Tell what a record was."""
        self._same(lambda pair: pair[1].history(record_id))

    @rule(record_id=_IDS)
    def forget_history(self, record_id: str) -> None:
        """Forget what a record was."""
        self._same(lambda pair: pair[1].forget_history(record_id))

    @rule(seconds=st.sampled_from([0.001, 1, 5, 60]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._time.now += seconds

    @rule(rebuild=st.booleans())
    def optimize(self, rebuild: bool) -> None:  # noqa: FBT001
        """Drop what has expired and embed what waits."""
        self._same(lambda pair: pair[1].rebuild() if rebuild else pair[1].optimize())

    @rule(dimensions=st.sampled_from([16, 24]), cut=st.booleans())
    def reembed(self, dimensions: int, cut: bool) -> None:  # noqa: FBT001
        """Replace all vectors, or begin to, or go on."""
        embedder = HashEmbedder(dimensions)

        def replace(memory: Memory) -> Any:
            calls = iter([False, True])
            done = memory.reembed(embedder, cancelled=(lambda: next(calls)) if cut else None)
            return done.before, done.records, done.done, done.texts, done.complete

        self._same(lambda pair: replace(pair[1]))
        if self._engine.embedder() == embedder.identity:
            self._embedder = embedder

    @rule()
    def discard_reembedding(self) -> None:
        """Drop what was begun."""
        self._same(lambda pair: pair[1].discard_reembedding())

    @rule(source=_SOURCES, namespace=_NAMESPACES, ids=st.lists(_IDS, max_size=3), text=_TEXTS)
    def import_source(self, source: str, namespace: str, ids: list[str], text: str) -> None:
        """Import a source, and forget what it gives no more."""

        def import_texts(memory: Memory) -> Any:
            before = memory.imports.begin(source, namespace=namespace)
            memory.imports.note(source, ids, namespace=namespace)
            memory.add_many({"id": each, "text": text, "namespace": namespace} for each in ids)
            vanished = sorted(before.known - set(ids))
            forgotten = memory.imports.finish(
                source, fingerprint=text, vanished=vanished, namespace=namespace
            )
            return before, forgotten

        self._same(lambda pair: import_texts(pair[1]))

    @rule(source=_SOURCES, namespace=_NAMESPACES)
    def forget_source(self, source: str, namespace: str) -> None:
        """Forget what came from a source."""
        self._same(lambda pair: pair[1].forget_source(source, namespace=namespace))

    @rule(source=_SOURCES, namespace=_NAMESPACES, ids=st.lists(_IDS, max_size=3))
    def begin_import(self, source: str, namespace: str, ids: list[str]) -> None:
        """Begin an import that is cut off."""
        self._same(lambda pair: pair[1].imports.begin(source, namespace=namespace))
        self._same(lambda pair: pair[1].imports.note(source, ids, namespace=namespace))

    @rule(
        namespace=st.none() | _NAMESPACES,
        where=_WHERE,
        after=st.none() | _IDS,
        limit=st.integers(1, 5),
    )
    def page(
        self, namespace: str | None, where: dict[str, Any] | None, after: str | None, limit: int
    ) -> None:
        """List a page."""
        self._same(
            lambda pair: pair[1].records(namespace=namespace, where=where, after=after, limit=limit)
        )

    @rule(
        namespace=st.none() | _NAMESPACES,
        where=_WHERE,
        after=st.none() | st.tuples(st.integers(0, 3), _IDS),
        limit=st.integers(1, 5),
    )
    def latest(
        self,
        namespace: str | None,
        where: dict[str, Any] | None,
        after: tuple[int, str] | None,
        limit: int,
    ) -> None:
        """List what was made last, behind a place some seconds ago."""
        cursor = None
        if after is not None:
            cursor = LISTING.encode_cursor((1000.0 * (after[0] - self._time.now), after[1]))
        self._same(lambda pair: pair[1].page(limit, cursor, namespace=namespace, where=where).items)

    @rule(
        query=_TEXTS,
        mode=st.sampled_from(["words", "vector", "hybrid"]),
        namespace=st.none() | _NAMESPACES,
        where=_WHERE,
        k=st.integers(1, 8),
    )
    def search(
        self, query: str, mode: Any, namespace: str | None, where: dict[str, Any] | None, k: int
    ) -> None:
        """Search in any mode."""
        found, wanted = (
            pair[1].search(query, mode=mode, namespace=namespace, where=where, k=20)
            for pair in (self._memories, self._reference)
        )
        require_alike(found, wanted)
        first = self._memories[1].search(query, mode=mode, namespace=namespace, where=where, k=k)
        # A search by meaning alone asks its leg for fewer where it wants fewer.
        if mode != "vector":
            require_alike(first, wanted[: len(first)], whole=False)

    @rule(
        query=_TEXTS,
        mode=st.sampled_from(["words", "vector", "hybrid"]),
        namespace=st.none() | _NAMESPACES,
        where=_WHERE,
        ago=st.sampled_from([0, 0.001, 1, 3, 10]),
    )
    def search_the_past(
        self,
        query: str,
        mode: Any,
        namespace: str | None,
        where: dict[str, Any] | None,
        ago: float,
    ) -> None:
        """Search as of an earlier moment."""
        moment = self._time.now - ago
        found, wanted = (
            pair[1].search(query, mode=mode, namespace=namespace, where=where, k=20, as_of=moment)
            for pair in (self._memories, self._reference)
        )
        require_alike(found, wanted)

    @rule()
    def open_again(self) -> None:
        """Close the engine and open it over the same state."""
        if Capability.DURABLE in self._engine.capabilities:
            # An engine may clear what was forgotten when it is closed, so both do it before.
            for pair in (self._memories, self._reference):
                pair[1].compact()
            self._engine.close()
            self._open()

    @invariant()
    def is_the_same(self) -> None:
        """All records, counts and notes of imports are the same."""
        self._same(lambda pair: pair[1].records(namespace=None, limit=1000))
        self._same(lambda pair: [pair[1].imports.fingerprints(each) for each in _EACH])
        self._same(lambda pair: {name: pair[1].stats()[name] for name in _COUNTED})
        assert not [each for each in self._memories[1].check() if each.severity != "info"]

    def teardown(self) -> None:
        """Remove the state."""
        for pair in (self._memories, self._reference):
            pair[1].close()
        shutil.rmtree(self._root, ignore_errors=True)

    def _open(self) -> None:
        self._engine = self.make(self._root, self._time)
        self._memories = self._open_both(self._engine)

    def _open_both(self, engine: MemoryEngine) -> tuple[Memory, Memory]:
        """Return a memory on *engine* without vectors, and one with."""
        return (
            Memory(engine, clock=self._time, by_meaning=False),
            Memory(engine, clock=self._time, embedder=self._embedder),
        )

    def _same(self, call: Callable[[tuple[Memory, Memory]], Any]) -> None:
        assert _outcome(call, self._memories) == _outcome(call, self._reference)


def _outcome(call: Callable[[tuple[Memory, Memory]], Any], pair: tuple[Memory, Memory]) -> Any:
    try:
        return call(pair)
    except StateError as error:
        return type(error), str(error)


def require_alike(found: list[Hit], wanted: list[Hit], *, whole: bool = True) -> None:
    """Require equal scores at each place, and of each record where *whole* lists are compared."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert _close(one.score, other.score), (one, other)
    if not whole:
        return
    scores = {hit.record.id: hit for hit in wanted}
    for hit in found:
        other = scores[hit.record.id]
        assert hit.record == other.record
        assert _close(hit.score, other.score)
        assert _close(hit.words_score, other.words_score)
        assert _close(hit.vector_score, other.vector_score)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < _CLOSE
