"""Forgetting: what is left of what was forgotten, byte by byte."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import clawstate
from clawstate.importers.sync import import_paths
from clawstate.memory.analysis import analyse
from clawstate.memory.backends.sqlite import compactor
from clawstate.memory.embedders import default_embedder
from clawstate.memory.forgetting import text_digest

_LETTERS = "bcdfghklmnprstvwxzäéøß"


@dataclass
class Planted:
    """Secrets that were forgotten, and the words that a living record holds."""

    random: random.Random
    words: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def word(self) -> str:
        """Return a new word that must leave no trace."""
        letters = self.random.choices(_LETTERS, k=12)
        word = "".join(letters) + self.random.choice(["ing", "ed", "ly", "Öl", ""])
        self.words.append(word)
        return word

    def text(self) -> str:
        """Return a new text that must leave no trace, of any length."""
        text = " ".join(self.word() for _ in range(self.random.choice([1, 3, 3, 8, 200])))
        self.texts.append(text)
        return text

    def record(self) -> dict[str, object]:
        """Return a record that is secret in all its fields."""
        return {
            "text": self.text(),
            "title": self.word(),
            "headings": [self.word(), self.word()],
            "names": [self.word()],
            "tags": [self.word()],
            "metadata": {self.word(): self.word(), "list": [self.word()]},
            "source": self.word(),
            "category": self.word(),
            "thread": self.word(),
            "namespace": self.random.choice([self.word(), "default"]),
        }


def _forms(planted: Planted) -> set[bytes]:
    embedder = default_embedder()
    found: set[bytes] = set()
    for word in planted.words:
        stems, _ = analyse(word)
        for each in {word, word.lower(), word.casefold(), word.upper(), *stems}:
            if len(each) >= 9:
                found |= {each.encode(), json.dumps(each)[1:-1].encode()}
    texts = [*planted.texts, *planted.words]
    for numbers in embedder.subwords(texts):
        if len(numbers) >= 5:
            found.add(numbers.astype("<u2").tobytes())
    for vector in embedder.embed(planted.texts):
        found |= {vector.astype("<f4").tobytes()[:64], vector.astype("<f2").tobytes()[:64]}
    return found


def _traces(root: Path, planted: Planted) -> list[tuple[str, bytes]]:
    files = [(each, each.read_bytes()) for each in root.rglob("*") if each.is_file()]
    return [(path.name, form) for form in _forms(planted) for path, data in files if form in data]


def _namespaces(memory) -> dict[str, int]:
    return memory.stats()["namespaces"]


def _delete(memory, planted: Planted, folder: Path) -> None:
    memory.delete(memory.add(**planted.record()))


def _delete_many(memory, planted: Planted, folder: Path) -> None:
    memory.delete_many(memory.add_many([planted.record() for _ in range(3)]))


def _forget(memory, planted: Planted, folder: Path) -> None:
    memory.forget(memory.add_many([planted.record() for _ in range(2)]), compact=False)


def _edit(memory, planted: Planted, folder: Path) -> None:
    plain = {"title": None, "headings": [], "names": [], "tags": [], "metadata": {}}
    kept = memory.add(**{**planted.record(), "namespace": "default"})
    memory.update(
        kept, text="the parrot talks", source=None, category="other", thread=None, **plain
    )


def _retag(memory, planted: Planted, folder: Path) -> None:
    kept = memory.add("the parrot sings", tags=[planted.word()], metadata={"k": planted.word()})
    memory.update(kept, tags=["bird"], metadata={"k": 1})


def _replace(memory, planted: Planted, folder: Path) -> None:
    (kept,) = memory.add_many([{**planted.record(), "namespace": "default"}])
    memory.add_many([{"id": kept, "text": "the parrot sleeps"}])


def _supersede(memory, planted: Planted, folder: Path) -> None:
    old = memory.add(**planted.record())
    memory.update(old, text=planted.text(), tags=[planted.word()])
    new = memory.supersede(old, planted.text(), metadata={planted.word(): 1})
    memory.delete(memory.supersede(new.id, planted.text()).id)


def _forget_superseded(memory, planted: Planted, folder: Path) -> None:
    plain = {"title": None, "headings": [], "names": [], "tags": [], "metadata": {}}
    old = memory.add(**{**planted.record(), "namespace": "default"})
    given = {"source": None, "category": "other", "thread": None, **plain}
    memory.supersede(old, "the parrot flies", **given)
    memory.delete(old)


def _forget_archived(memory, planted: Planted, folder: Path) -> None:
    old = memory.add(**planted.record())
    memory.update(old, text=planted.text())
    memory.archive([old])
    memory.delete(old)


def _restore(memory, planted: Planted, folder: Path) -> None:
    old = memory.add(**planted.record())
    memory.archive([old])
    memory.restore([old])
    memory.search(planted.text(), as_of=memory.now())
    memory.delete(old)


def _retain(memory, planted: Planted, folder: Path) -> None:
    tag = planted.word()
    memory.add(**{**planted.record(), "tags": [tag]})
    rule = clawstate.RetentionRule(action="forget", tag=tag)
    memory.retain(clawstate.RetentionPolicy(rules=(rule,)), compact=False)


def _let_versions_expire(memory, planted: Planted, folder: Path) -> None:
    kept = memory.add(**planted.record(), ttl=1)
    memory.update(kept, text=planted.text(), ttl=1)
    memory.supersede(kept, planted.text(), ttl=1)
    memory._clock.advance(2)
    memory._engine.purge()


def _expire(memory, planted: Planted, folder: Path) -> None:
    memory.add(**planted.record(), ttl=1)
    memory._clock.advance(2)
    memory._engine.purge()


def _forget_source(memory, planted: Planted, folder: Path) -> None:
    file = folder / f"{planted.word()}.md"
    file.write_text(f"# {planted.word()}\n\n{planted.text()}\n")
    import_paths(memory, [file])
    memory.forget_source(str(file))
    file.unlink()


def _import_again(memory, planted: Planted, folder: Path) -> None:
    file = folder / f"lake{len(planted.words)}.md"
    file.write_text(f"# Swim\n\nThe lake is cold.\n\n# {planted.word()}\n\n{planted.text()}\n")
    import_paths(memory, [file])
    file.write_text("# Swim\n\nThe lake is cold.\n")
    import_paths(memory, [file])


def _forget_imported(memory, planted: Planted, folder: Path) -> None:
    file = folder / f"{planted.word()}.md"
    file.write_text(f"# {planted.word()}\n\n{planted.text()}\n")
    import_paths(memory, [file])
    memory.delete_many([each.id for each in memory.records(source=str(file))])
    file.unlink()


WAYS: tuple[Callable[..., None], ...] = (
    *(_delete, _delete_many, _forget, _edit, _retag, _replace, _expire),
    *(_supersede, _forget_superseded, _let_versions_expire),
    *(_forget_archived, _restore, _retain),
    *(_forget_source, _import_again, _forget_imported),
)


def _plant(memory, planted: Planted, folder: Path, *, words: int) -> None:
    folder.mkdir(exist_ok=True)
    ways = list(WAYS)
    while len(planted.words) < words or ways:
        way = ways.pop() if ways else planted.random.choice(WAYS)
        way(memory, planted, folder)
        if planted.random.random() < 0.3:
            memory.add(f"the lobster number {len(planted.words)} walks at night")


@pytest.fixture(params=["written anew", "overwritten in place"])
def cleared(request, monkeypatch) -> None:
    """Clear a file as small ones are, and as large ones are."""
    if request.param == "overwritten in place":
        monkeypatch.setattr(compactor, "_LARGE", 0)


@pytest.fixture
def planted() -> Planted:
    return Planted(random.Random(5))


@pytest.mark.usefixtures("cleared")
def test_a_compaction_leaves_no_byte_of_what_was_forgotten(state, planted, tmp_path) -> None:
    """Forgotten in every way, then compacted: no form of a secret is in any file of the state."""
    _plant(state.memory, planted, tmp_path / "notes", words=400)
    lobsters = len(state.memory.search("lobster", k=1000, mode="words"))

    done = state.memory.compact()

    assert done.complete
    assert done.changes > 0
    assert _traces(state.paths.root, planted) == []
    assert len(state.memory.search("lobster", k=1000, mode="words")) == lobsters
    assert [each for each in state.memory.check() if each.severity != "info"] == []
    assert "memory-forgotten" not in [each.code for each in state.memory.check()]


def test_secrets_are_in_the_files_before(state, planted, tmp_path) -> None:
    """The search for traces finds them where nothing was compacted, in each form of them."""
    _delete(state.memory, planted, tmp_path)

    found = {form for _, form in _traces(state.paths.root, planted)}

    assert {planted.words[0].encode(), planted.words[-2].encode()} & found
    assert "memory-forgotten" in [each.code for each in state.memory.check()]


@pytest.mark.slow
@pytest.mark.usefixtures("cleared")
def test_a_thousand_secrets_leave_no_byte_while_others_read(clock, planted, tmp_path) -> None:
    """The same of thousands of words, with a second process that searches all the time."""
    root = tmp_path / "state"
    with clawstate.open(root, clock=clock) as state, _searcher(root, state):
        _plant(state.memory, planted, tmp_path / "notes", words=4000)

        done = state.memory.compact(patience=60)

        assert done.complete
        assert _traces(root, planted) == []


def test_closing_clears_what_was_forgotten(clock, planted, tmp_path) -> None:
    """A program that forgets and ends leaves no byte of it in a small state."""
    root = tmp_path / "state"
    with clawstate.open(root, clock=clock) as state:
        _plant(state.memory, planted, tmp_path / "notes", words=60)
        _forget_histories(state.memory)

    assert _traces(root, planted) == []


def _forget_histories(memory) -> None:
    """Forget what records were: a compaction that comes by itself leaves that."""
    for each in memory.records(namespace=None, limit=1_000_000):
        memory.forget_history(each.id)


def test_optimizing_clears_what_was_forgotten(state, planted, tmp_path) -> None:
    """`optimize` leaves no byte of it."""
    _plant(state.memory, planted, tmp_path / "notes", words=60)
    _forget_histories(state.memory)

    state.memory.optimize()

    assert _traces(state.paths.root, planted) == []


def test_many_forgotten_are_cleared_at_once(state, planted) -> None:
    """After a thousand that were forgotten nobody has to ask for a compaction."""
    ids = state.memory.add_many([{"text": planted.word()} for _ in range(1000)])

    state.memory.delete_many(ids)

    assert _traces(state.paths.root, planted) == []


def test_a_receipt_says_what_went_and_that_it_is_gone(state, planted) -> None:
    """It has the digest of each text, counts by place, and what was not there."""
    text = "The combination is 77-zebrafish-12"
    kept = state.memory.add(text, tags=["vault", "key"], title="Safe")
    planted.words.append("zebrafish")

    receipt = state.memory.forget([kept, "nobody"])

    (record,) = receipt.records
    assert (record.id, record.digest, receipt.missing) == (kept, text_digest(text), ("nobody",))
    assert (record.tags, record.vector, receipt.places["records"]) == (2, True, 1)
    assert record.words >= 4
    assert receipt.gone
    assert receipt.waits_for is None
    assert _traces(state.paths.root, planted) == []


def test_a_receipt_may_leave_the_bytes_to_the_next_compaction(state) -> None:
    """Without a compaction it says that bytes are left."""
    receipt = state.memory.forget([state.memory.add("to be forgotten")], compact=False)

    assert (receipt.gone, receipt.waits_for) == (False, "a compaction")


def test_a_reader_of_an_older_state_is_waited_for_and_told(state, planted) -> None:
    """While somebody reads what was before, the bytes stay; the next compaction clears them."""
    kept = state.memory.add(planted.text())
    engine = state.memory._engine
    with engine.reading() as reading:
        assert reading.version
        receipt = state.memory.forget([kept], compact=False)

        done = state.memory.compact(patience=0.0)

    assert not receipt.gone
    assert not done.complete
    assert "search" in str(done.waits_for)
    assert state.memory.compact().complete
    assert _traces(state.paths.root, planted) == []


def test_forgotten_stays_forgotten_after_a_compaction(state, planted, tmp_path) -> None:
    """An import does not bring back what somebody forgot, though nothing tells of it any more."""
    file = tmp_path / "notes.md"
    file.write_text(f"# One\n\n{planted.text()}\n")
    import_paths(state.memory, [file])
    state.memory.delete_many([each.id for each in state.memory.records(limit=100)])
    state.memory.compact()

    import_paths(state.memory, [file])

    assert state.memory.records() == []


def test_a_namespace_that_was_emptied_can_be_used_again(state) -> None:
    """Nothing tells of its name while it is empty; then it is as any other."""
    state.memory.forget([state.memory.add("one", namespace="ada")])

    kept = state.memory.add("two", namespace="ada")

    assert [each.id for each in state.memory.records(namespace="ada")] == [kept]
    assert _namespaces(state.memory) == {"ada": 1}


def test_space_is_given_back(state) -> None:
    """A memory of which most was forgotten is small afterwards."""
    ids = state.memory.add_many([{"text": f"lobster {n} " + "x" * 400} for n in range(900)])
    state.memory.delete_many(ids[10:])

    done = state.memory.compact()

    assert done.after < done.before / 3
    assert state.memory.stats()["records"] == 10


def test_a_cancelled_compaction_changes_nothing(state) -> None:
    """It says so, and the next one does all of it."""
    state.memory.delete(state.memory.add("to be forgotten"))

    done = state.memory.compact(cancelled=lambda: True)

    assert not done.complete
    assert state.memory.compact().changes == 1


_COMPACT = """
import sys, clawstate
with clawstate.open(sys.argv[1]) as state:
    print("open", flush=True)
    while True:
        state.memory.compact()
        state.memory.delete(state.memory.add("another that was forgotten"))
"""
_SEARCH = """
import sys, clawstate
with clawstate.open(sys.argv[1]) as state:
    print("open", flush=True)
    while True:
        state.memory.search("lobster", mode="words")
"""


@pytest.mark.slow
def test_kills_during_compactions_lose_nothing(clock, planted, tmp_path) -> None:
    """Killed at any moment, the state is whole, and a compaction leaves no byte."""
    root = tmp_path / "state"
    with clawstate.open(root, clock=clock) as state:
        state.memory.add_many([{"text": f"lobster {n}"} for n in range(500)])
    for _ in range(15):
        with clawstate.open(root, clock=clock) as state:
            _plant(state.memory, planted, tmp_path / "notes", words=len(planted.words) + 50)
            _run_and_kill(_COMPACT, root, planted.random.uniform(0, 0.4))

    with clawstate.open(root, clock=clock) as state:
        assert state.memory.compact().complete
        assert _traces(root, planted) == []
        assert len(state.memory.search("lobster", k=1000, mode="words")) >= 500
        assert [each for each in state.memory.check() if each.severity != "info"] == []


def _run_and_kill(program: str, root: Path, after: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after)
        os.kill(process.pid, signal.SIGKILL)


class _searcher:  # noqa: N801 - a context
    def __init__(self, root: Path, state) -> None:
        state.memory.add("the lobster walks")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SEARCH, str(root)], stdout=subprocess.PIPE
        )

    def __enter__(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
