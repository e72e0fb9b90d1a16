from __future__ import annotations

import faulthandler
import os
import socket
import sqlite3
import stat
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

import clawstate
from clawstate.errors import (
    ClosedError,
    ConflictError,
    EmbeddingError,
    FallbackWarning,
    InvalidError,
    NotFoundError,
)
from clawstate.memory.contract import EmbedderIdentity
from soundness import damage_of

FORKS = 10
PATIENCE = 15.0  # seconds, after which a child or a lock counts as stuck


class WordEmbedder:
    """Counts words in a few buckets: the outside world, as small as it gets."""

    def __init__(self, *, model="words", dimensions=8):
        self.identity = EmbedderIdentity(model, dimensions)
        self.texts: list[str] = []
        self.fails = False
        self.before = lambda: None

    def embed(self, texts):
        self.before()
        if self.fails:
            raise EmbeddingError(self.identity.model, "does not answer")
        self.texts.extend(texts)
        rows = np.zeros((len(texts), self.identity.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % len(row)] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def embedder():
    return WordEmbedder()


@pytest.fixture
def reopened(tmp_path, clock):
    """Open the state of this test with any embedder."""
    opened = []

    def reopen(embedder=None):
        opened.append(clawstate.open(tmp_path / "state", embedder=embedder, clock=clock))
        return opened[-1].memory

    yield reopen
    for state in opened:
        state.close()


@pytest.fixture
def toy(reopened, embedder):
    return reopened(embedder)


@contextmanager
def forked(action):
    """
    Run *action* in a forked child; it must have ended well when the block is left.

    Both sides get their end of a line, on which a byte says "go on".
    """
    ours, theirs = socket.socketpair()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads and fork
        child = os.fork()
    if child == 0:
        code = 1
        try:
            ours.close()
            faulthandler.dump_traceback_later(PATIENCE, exit=True, file=2)
            action(theirs)
            code = 0
        except BaseException as error:  # noqa: BLE001 - a child must never return into pytest
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            os._exit(code)
    theirs.close()
    with ours:
        try:
            yield ours
        finally:
            ended = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(ended) == 0


def texts(records):
    return [record.text for record in records]


def found(memory, query, **settings):
    return {hit.record.text for hit in memory.search(query, **settings)}


def vectors_kept(path):
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT content, embedding FROM memories").fetchall()
    connection.close()
    return {text: None if blob is None else np.frombuffer(blob, "<f2") for text, blob in rows}


# What is kept


def test_what_was_added_is_kept(memory) -> None:
    """A record is there for `get` and `require` once `add` has returned its id."""
    record_id = memory.add("Ada prefers tea")

    assert memory.get(record_id).text == "Ada prefers tea"
    assert memory.require(record_id) == memory.get(record_id)


def test_what_was_kept_is_there_after_reopening(reopened) -> None:
    """Records outlive the state object that made them, unchanged."""
    first = reopened()
    record_id = first.add("tea", tags=["a"], metadata={"n": [1]}, thread="t", ttl=60)
    kept = first.get(record_id)
    first.close()

    assert reopened().get(record_id) == kept


@pytest.mark.parametrize("record_id", ["", "unknown", "a\0b", "%", "\N{LOBSTER}"], ids=repr)
def test_an_unknown_id_is_nothing(memory, record_id) -> None:
    """An id that is not kept is None to `get`, False to `delete`, `NotFoundError` to the rest."""
    memory.add("text")

    assert memory.get(record_id) is None
    assert memory.get_many([record_id]) == {}
    assert not memory.delete(record_id)
    with pytest.raises(NotFoundError):
        memory.require(record_id)
    with pytest.raises(NotFoundError):
        memory.update(record_id, text="new")


def test_several_records_are_got_at_once(memory) -> None:
    """`get_many` returns those that are kept, by id."""
    ids = memory.add_many([{"text": "a"}, {"text": "b"}])

    kept = memory.get_many([*ids, "unknown"])

    assert {record_id: record.text for record_id, record in kept.items()} == {
        ids[0]: "a",
        ids[1]: "b",
    }


def test_nothing_is_added_by_an_empty_call(memory, state) -> None:
    """Adding no records returns no ids and makes no file."""
    assert memory.add_many([]) == []
    assert not state.paths.root.exists()


def test_progress_is_told_to_the_end(memory) -> None:
    """`progress` hears of every batch, last of all records."""
    told = []

    memory.add_many(
        ({"text": f"note {number}"} for number in range(2500)),
        progress=lambda done, total: told.append((done, total)),
    )

    assert told[-1] == (2500, 2500)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert memory.stats()["records"] == 2500


def test_a_deleted_record_is_gone_everywhere(memory) -> None:
    """After `delete` neither `get`, `records`, nor any search returns the record."""
    record_id = memory.add("the lobster sleeps", tags=["sea"])
    memory.add("the parrot talks")

    assert memory.delete(record_id)
    assert not memory.delete(record_id)

    assert memory.get(record_id) is None
    assert texts(memory.records()) == ["the parrot talks"]
    for mode in ("words", "vector", "hybrid"):
        assert found(memory, "lobster", mode=mode) <= {"the parrot talks"}
    assert memory.stats()["tags"] == 0


def test_several_records_are_forgotten_in_one_step(memory) -> None:
    """`delete_many` returns how many of the ids were kept."""
    ids = memory.add_many({"text": f"note {number}"} for number in range(5))

    assert memory.delete_many([*ids[:3], "unknown", ids[0]]) == 3
    assert sorted(texts(memory.records())) == ["note 3", "note 4"]


def test_updated_text_is_found_and_the_old_is_not(memory) -> None:
    """After an update of its text a record is found by the new words and meaning only."""
    record_id = memory.add("the lobster sleeps")

    memory.update(record_id, text="the parrot talks")

    assert found(memory, "parrot", mode="words") == {"the parrot talks"}
    assert found(memory, "lobster", mode="words") == set()
    (hit,) = memory.search("the parrot talks", mode="vector")
    assert hit.vector_score > 0.99


def test_updates_of_other_fields_keep_text_and_vector(memory) -> None:
    """A change of tags, metadata or times leaves what searches find alone."""
    record_id = memory.add("the lobster sleeps")
    before = memory.search("lobster")[0]

    memory.update(record_id, tags=["sea"], metadata={"n": 1}, importance=0.2, ttl=60)

    after = memory.search("lobster", tags=["sea"], where={"n": 1})[0]
    assert (after.words_score, after.vector_score) == (before.words_score, before.vector_score)


def test_concurrent_updates_are_all_made(memory) -> None:
    """Of two updates at once none is lost: each works on what the other left."""
    record_id = memory.add("text", metadata={})

    def raise_by_one(_):
        while True:
            old = memory.get(record_id)
            count = {"n": old.metadata.get("n", 0) + 1}
            try:
                memory.update(record_id, metadata=count, expected_updated_at=old.updated_at)
            except ConflictError:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(raise_by_one, range(40)))

    assert memory.get(record_id).metadata == {"n": 40}


def test_a_source_is_forgotten_whole(memory) -> None:
    """`forget_source` forgets the records that name the source, in one namespace, and counts."""
    memory.add_many({"text": f"note {number}", "source": "a.md"} for number in range(3))
    memory.add("other source", source="b.md")
    memory.add("other namespace", source="a.md", namespace="work")

    assert memory.forget_source("a.md") == 3

    assert sorted(texts(memory.records(namespace=None))) == ["other namespace", "other source"]


# Pages


def test_pages_cover_everything_once(memory) -> None:
    """Following `after` visits every record once, in the order of ids."""
    ids = memory.add_many({"text": f"note {number}"} for number in range(25))

    seen, after = [], None
    while page := memory.records(after=after, limit=7):
        seen += [record.id for record in page]
        after = page[-1].id

    assert seen == sorted(ids)


def test_pages_stand_while_records_come_and_go(memory) -> None:
    """Deleting seen, unseen and the very last seen record skips and repeats no other."""
    ids = sorted(memory.add_many({"text": f"note {number}"} for number in range(30)))
    first = [record.id for record in memory.records(limit=10)]

    memory.delete_many([ids[0], first[-1], ids[10], ids[15]])
    rest = [record.id for record in memory.records(after=first[-1], limit=100)]

    assert rest == [each for each in ids[10:] if each not in {ids[10], ids[15]}]


def test_pages_of_all_namespaces_are_in_one_order(memory) -> None:
    """With `namespace=None` the pages run through all namespaces by id."""
    ids = memory.add_many(
        {"text": f"note {number}", "namespace": f"n{number % 3}"} for number in range(12)
    )

    assert [record.id for record in memory.records(namespace=None)] == sorted(ids)


# Time to live


def test_an_expired_record_is_never_returned(memory, clock) -> None:
    """From the moment its time is over a record is gone for every verb that reads."""
    record_id = memory.add("the lobster sleeps", ttl=60, thread="t")
    memory.add("the lobster stays", thread="t")
    clock.advance(59.999)
    assert memory.get(record_id) is not None
    assert found(memory, "lobster") == {"the lobster sleeps", "the lobster stays"}

    clock.advance(0.001)

    assert memory.get(record_id) is None
    assert texts(memory.records()) == ["the lobster stays"]
    for mode in ("words", "vector", "hybrid"):
        assert found(memory, "lobster", mode=mode) == {"the lobster stays"}
        assert found(memory, "sleeps", mode=mode) <= {"the lobster stays"}
    with pytest.raises(NotFoundError):
        memory.update(record_id, text="new")


def test_expired_records_leave_with_optimize(memory, clock) -> None:
    """`optimize` removes what has expired, and nothing else."""
    memory.add_many({"text": f"short {number}", "ttl": 10} for number in range(5))
    memory.add("long", ttl=1000)
    memory.add("for ever")
    clock.advance(10)
    assert memory.stats()["expired"] == 5

    memory.optimize()

    assert (memory.stats()["expired"], memory.stats()["records"]) == (0, 2)
    assert sorted(texts(memory.records())) == ["for ever", "long"]


# Threads


def test_places_in_a_thread_are_as_added(memory) -> None:
    """By default a record takes the place after the last of its thread, which starts at 0."""
    memory.add("a", thread="t")
    memory.add_many([{"text": "b", "thread": "t"}, {"text": "c", "thread": "t"}])
    memory.add("other", thread="u")
    memory.add("same name", thread="t", namespace="work")
    memory.add("no thread")

    places = {record.text: record.position for record in memory.records(namespace=None)}
    assert places == {
        "a": 0, "b": 1, "c": 2, "other": 0, "same name": 0, "no thread": None
    }  # fmt: skip


def test_the_next_place_follows_the_highest(memory) -> None:
    """A place that is given moves the places given out after it."""
    memory.add("a", thread="t", position=41)

    memory.add("b", thread="t")

    assert {record.text: record.position for record in memory.records()} == {"a": 41, "b": 42}


def test_places_do_not_depend_on_batches(memory) -> None:
    """Records added together get the places that they would get one by one."""
    values = [
        {"text": "a"},
        {"text": "b", "position": 10},
        {"text": "c"},
        {"text": "d", "position": 3},
        {"text": "e"},
    ]

    memory.add_many({**each, "thread": "together"} for each in values)
    for each in values:
        memory.add(**each, thread="alone")

    def places(thread):
        return {each.text: each.position for each in memory.records() if each.thread == thread}

    assert places("alone") == {"a": 0, "b": 10, "c": 11, "d": 3, "e": 12}
    assert places("together") == places("alone")


def test_an_update_keeps_the_place(memory) -> None:
    """A record whose text changes stays where it is in its thread."""
    first, _ = memory.add_many([{"text": "a", "thread": "t"}, {"text": "b", "thread": "t"}])

    memory.update(first, text="changed")

    assert memory.get(first).position == 0


# Opening, closing, files


def test_opening_and_reading_make_nothing(tmp_path) -> None:
    """Opening a state and asking it anything leaves the disk as it was."""
    with clawstate.open(tmp_path / "state") as state:
        memory = state.memory
        assert memory.search("anything") == []
        assert memory.records() == []
        assert memory.get("x") is None
        assert not memory.delete("x")
        assert memory.delete_many(["x"]) == 0
        assert memory.stats()["records"] == 0
        assert damage_of(memory) == []
        assert not memory.needs_optimizing()
        memory.optimize()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("has_file", [True, False], ids=["kept", "empty"])
@pytest.mark.parametrize(
    "call",
    [
        lambda memory: memory.add("text"),
        lambda memory: memory.add_many([{"text": "text"}]),
        lambda memory: memory.get("x"),
        lambda memory: memory.require("x"),
        lambda memory: memory.update("x", text="new"),
        lambda memory: memory.delete("x"),
        lambda memory: memory.delete_many(["x"]),
        lambda memory: memory.forget_source("x"),
        lambda memory: memory.records(),
        lambda memory: memory.search("x"),
        lambda memory: memory.search("x", mode="words"),
        lambda memory: memory.optimize(),
        lambda memory: memory.rebuild(),
        lambda memory: memory.needs_optimizing(),
        lambda memory: memory.stats(),
        lambda memory: memory.check(),
    ],
    ids=[
        "add",
        "many",
        "get",
        "require",
        "update",
        "delete",
        "delete_many",
        "forget",
        "records",
        "search",
        "words",
        "optimize",
        "rebuild",
        "needs",
        "stats",
        "check",
    ],
)
def test_a_closed_memory_says_so(state, toy, call, has_file) -> None:
    """After `close` every verb raises `ClosedError`, whether or not anything is kept."""
    if has_file:
        toy.add("text")
    toy.close()
    toy.close()

    with pytest.raises(ClosedError):
        call(toy)


def test_files_are_private_under_any_umask(tmp_path) -> None:
    """Whatever the umask, files are made 0600 and directories 0700."""
    before = os.umask(0)
    try:
        with clawstate.open(tmp_path / "state") as state:
            state.memory.add("secret")
            state.memory.search("secret")
            state.memory.optimize()
            paths = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
            modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in paths}
    finally:
        os.umask(before)

    assert len(modes) >= 5  # two directories, database, its log and the gate
    for path in paths:
        assert modes[path.name] == (0o700 if path.suffix == "" else 0o600), path


def replace_database(source, target):
    """Do as a restore does: put the one database of *source* in the place of that of *target*."""
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    (source).replace(target)


def made(path, clock, *notes):
    with clawstate.open(path, clock=clock) as state:
        for text in notes:
            state.memory.add(text)
        return state.paths.memory_db


def test_a_replaced_database_is_seen_at_once(tmp_path, clock) -> None:
    """A reader that is open while another database takes the file's place answers from that."""
    old = made(tmp_path / "old", clock, "the lobster sleeps")
    new = made(tmp_path / "new", clock, "the lobster wakes")
    with clawstate.open(tmp_path / "old", clock=clock) as state:
        assert found(state.memory, "lobster") == {"the lobster sleeps"}

        replace_database(new, old)

        assert texts(state.memory.records()) == ["the lobster wakes"]
        for mode in ("words", "vector", "hybrid"):
            assert found(state.memory, "lobster", mode=mode) == {"the lobster wakes"}
        state.memory.add("the lobster eats")
        assert damage_of(state.memory) == []


def test_a_restored_backup_is_seen_at_once(tmp_path, clock) -> None:
    """A reader sees no text of a future that a restored backup has undone."""
    path = made(tmp_path / "state", clock, "the lobster sleeps")
    backup = tmp_path / "backup.db"
    backup.write_bytes(path.read_bytes())
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        state.memory.add("the lobster wakes")
        for mode in ("words", "vector", "hybrid"):
            assert len(found(state.memory, "lobster", mode=mode)) == 2
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        for mode in ("words", "vector", "hybrid"):
            assert len(found(state.memory, "lobster", mode=mode)) == 2

        replace_database(backup, path)
        with clawstate.open(tmp_path / "state", clock=clock) as other:
            other.memory.add("the lobster eats plankton")

        for mode in ("words", "vector", "hybrid"):
            hits = state.memory.search("lobster", mode=mode)
            assert {hit.record.text for hit in hits} == {
                "the lobster sleeps",
                "the lobster eats plankton",
            }
        with clawstate.open(tmp_path / "state", clock=clock) as fresh:
            expected = fresh.memory.search("the lobster eats plankton", mode="vector")
        assert state.memory.search("the lobster eats plankton", mode="vector") == expected


def test_another_process_sees_a_change_at_once(reopened) -> None:
    """What one state object writes is found by the next search of another."""
    one, two = reopened(), reopened()
    one.add("the lobster sleeps")
    assert found(two, "lobster") == {"the lobster sleeps"}

    record_id = one.add("the lobster wakes")
    assert found(two, "lobster") == {"the lobster sleeps", "the lobster wakes"}

    one.delete(record_id)
    assert found(two, "lobster") == {"the lobster sleeps"}


def test_stats_count_what_is_kept(memory, clock) -> None:
    """`stats` counts records, namespaces, tags, and names the embedder."""
    memory.add("a", tags=["x", "y"])
    memory.add("b", tags=["x"], namespace="work", ttl=5)
    record_id = memory.add("c")
    memory.delete(record_id)

    stats = memory.stats()

    assert stats["records"] == 2
    assert stats["namespaces"] == {"default": 1, "work": 1}
    assert (stats["tags"], stats["waiting"], stats["expired"]) == (2, 0, 0)
    assert (stats["dimensions"], stats["cached_vectors"]) == (256, 1)
    assert stats["bytes"] > 0
    clock.advance(5)
    assert memory.stats()["expired"] == 1


# Threads and processes


def test_threads_add_and_search_at_once(memory) -> None:
    """Threads of one process share a memory: nothing is lost, and no search fails."""
    failures = []
    stop = threading.Event()

    def look():
        try:
            while not stop.is_set():
                for mode in ("words", "vector", "hybrid"):
                    hits = memory.search("lobster", k=100, mode=mode)
                    assert len({hit.record.id for hit in hits}) == len(hits)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda n: memory.add(f"lobster {n}", thread="t"), range(60)))
    stop.set()
    for reader in readers:
        reader.join()

    assert failures == []
    assert {record.id for record in memory.records()} == set(ids)
    assert sorted(record.position for record in memory.records()) == list(range(60))
    assert damage_of(memory) == []


def test_a_forked_child_can_search_and_add(reopened) -> None:
    """After a fork parent and child both go on: each finds what the other adds."""
    memory = reopened()
    memory.add("lobster of before")
    assert found(memory, "lobster") == {"lobster of before"}

    def child(line):
        assert found(memory, "lobster") == {"lobster of before"}
        memory.add("lobster of the child")
        line.send(b"x")
        assert line.recv(1)
        assert "lobster of the parent" in found(memory, "lobster")
        memory.add("second lobster of the child")

    with forked(child) as line:
        assert line.recv(1)
        memory.add("lobster of the parent")
        assert "lobster of the child" in found(memory, "lobster")
        line.send(b"x")

    assert len(found(memory, "lobster", mode="words")) == 4
    assert damage_of(memory) == []


def test_what_a_child_adds_outlives_its_parent(reopened) -> None:
    """What a forked child adds after the parent has closed the memory is kept."""
    memory = reopened()
    memory.add("lobster of before")

    def child(line):
        memory.add("first lobster of the child")
        line.send(b"x")
        assert line.recv(1)
        memory.add("second lobster of the child")

    with forked(child) as line:
        assert line.recv(1)
        memory.close()
        line.send(b"x")

    again = reopened()
    assert len(again.records()) == 3
    assert damage_of(again) == []


def test_children_may_be_forked_while_threads_write(reopened) -> None:
    """A fork at any moment of another thread's writes leaves parent and child able to write."""
    memory = reopened()
    memory.add("lobster of before")
    stop = threading.Event()
    added = []

    def write():
        while not stop.is_set():
            added.append(memory.add("lobster of a thread"))

    def child(_line):
        memory.add("lobster of a child")
        assert memory.search("child", mode="words")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(FORKS):
            with forked(child):
                pass
    finally:
        stop.set()
        writer.join()

    kept = texts(memory.records(limit=100_000))
    assert kept.count("lobster of a child") == FORKS
    assert kept.count("lobster of a thread") == len(added)
    assert damage_of(memory) == []


# Embedders


def test_words_do_without_a_working_embedder(reopened, embedder) -> None:
    """Records added while the embedder fails are kept, found by words, and wait for vectors."""
    memory = reopened(embedder)
    embedder.fails = True

    with pytest.warns(FallbackWarning, match="wait"):
        memory.add_many([{"text": "the lobster sleeps"}, {"text": "the parrot talks"}])

    assert memory.stats()["waiting"] == 2
    assert found(memory, "lobster", mode="words") == {"the lobster sleeps"}
    assert damage_of(memory) == []


def test_waiting_records_get_their_vectors(reopened, embedder) -> None:
    """`optimize` embeds what waits, once the embedder works again."""
    memory = reopened(embedder)
    embedder.fails = True
    with pytest.warns(FallbackWarning):
        memory.add_many({"text": f"lobster {number}"} for number in range(20))
    embedder.fails = False
    before = memory.records()

    memory.optimize()

    assert memory.stats()["waiting"] == 0
    assert memory.records() == before
    assert len(memory.search("lobster", mode="vector", k=50)) == 20


def test_waiting_records_keep_waiting_while_the_embedder_fails(reopened, embedder) -> None:
    """`optimize` ends, with a warning, when the embedder still fails."""
    memory = reopened(embedder)
    embedder.fails = True
    with pytest.warns(FallbackWarning):
        memory.add("lobster")

    with pytest.warns(FallbackWarning):
        memory.optimize()

    assert memory.stats()["waiting"] == 1


@pytest.mark.parametrize("change", ["delete", "update"])
def test_what_happens_while_a_record_is_embedded_counts(reopened, embedder, change) -> None:
    """A record deleted or changed while `optimize` embeds it stays deleted or changed."""
    memory = reopened(embedder)
    embedder.fails = True
    with pytest.warns(FallbackWarning):
        record_id = memory.add("lobster")
    embedder.fails = False
    other = reopened(WordEmbedder())

    def meanwhile():
        embedder.before = lambda: None
        if change == "delete":
            other.delete(record_id)
        else:
            other.update(record_id, importance=0.1, tags=["changed"])
        kept.append(other.get(record_id))

    kept = []
    embedder.before = meanwhile
    memory.optimize()

    assert memory.get(record_id) == kept[0]


def test_a_query_that_cannot_be_embedded_is_answered_by_words(reopened, embedder) -> None:
    """A search whose embedder fails warns and falls back to words."""
    memory = reopened(embedder)
    memory.add("the lobster sleeps")
    embedder.fails = True

    for mode in ("hybrid", "vector"):
        with pytest.warns(FallbackWarning):
            hits = memory.search("lobster", mode=mode)
        assert [hit.record.text for hit in hits] == ["the lobster sleeps"]


def test_an_embedder_that_cannot_start_leaves_words(reopened) -> None:
    """With an embedder that cannot even name itself a memory works by words, and warns once."""

    class Broken:
        @property
        def identity(self):
            raise EmbeddingError("broken", "has no weights")

    memory = reopened(Broken())
    with pytest.warns(FallbackWarning, match="words only"):
        memory.add("the lobster sleeps")

    assert found(memory, "lobster") == {"the lobster sleeps"}
    assert memory.stats()["waiting"] == 1


def test_text_can_change_while_all_records_wait(reopened, embedder) -> None:
    """The first vectors of a memory may come with an update."""
    embedder.fails = True
    memory = reopened(embedder)
    with pytest.warns(FallbackWarning):
        record_id = memory.add("the lobster sleeps")
    embedder.fails = False

    memory.update(record_id, text="the lobster wakes")

    assert found(memory, "wakes", mode="vector") == {"the lobster wakes"}


@pytest.mark.parametrize(
    "other", [{"model": "other"}, {"dimensions": 4}, {"model": "other", "dimensions": 4}], ids=repr
)
def test_another_embedder_falls_back_to_words(reopened, embedder, other) -> None:
    """A memory opened with another embedder than its own warns and searches by words."""
    first = reopened(embedder)
    first.add("the lobster sleeps")
    memory = reopened(WordEmbedder(**other))

    with pytest.warns(FallbackWarning, match="words"):
        assert found(memory, "lobster") == {"the lobster sleeps"}
    memory.add("the lobster wakes")

    assert memory.stats()["waiting"] == 1
    first.optimize()
    assert found(first, "wakes", mode="vector") == {"the lobster sleeps", "the lobster wakes"}
    assert {len(vector) for vector in vectors_kept(first._engine.path).values()} == {8}


def test_vectors_of_two_embedders_are_never_mixed(reopened, embedder) -> None:
    """Of two embedders that begin at once the later write is refused, and nothing of it is kept."""
    late = reopened(WordEmbedder(model="other"))
    assert late.search("settles its embedder") == []
    first = reopened(embedder)
    first.add("first")

    with pytest.raises(EmbeddingError, match="words"):
        late.add("second")

    assert texts(first.records()) == ["first"]


def test_a_query_meets_no_vectors_of_another_embedder(reopened, embedder) -> None:
    """Vectors that somebody else kept since the first search are left to words."""
    late = reopened(WordEmbedder(model="other"))
    assert late.search("lobster") == []
    reopened(embedder).add("the lobster sleeps")

    with pytest.warns(FallbackWarning, match="vectors of words"):
        hits = late.search("lobster")

    assert [hit.vector_score for hit in hits] == [None]


def test_text_that_comes_back_is_not_embedded_again(toy, embedder) -> None:
    """Vectors outlive their records: the same text is embedded once, however often it is added."""
    record_id = toy.add("the lobster sleeps")
    toy.update(record_id, text="the lobster wakes")
    toy.update(record_id, text="the lobster sleeps")
    toy.delete(record_id)
    toy.add("the lobster sleeps")
    toy.add("the lobster sleeps", namespace="work")

    assert embedder.texts == ["the lobster sleeps", "the lobster wakes"]
    assert len(toy.search("the lobster sleeps", mode="vector", namespace=None)) == 2


def test_changes_of_other_fields_do_not_embed(toy, embedder) -> None:
    """An update that leaves the text alone, and an equal upsert, ask the embedder nothing."""
    record_id = toy.add("the lobster sleeps")
    toy.update(record_id, tags=["sea"])
    toy.add_many([{"id": record_id, "text": "the lobster sleeps", "importance": 0.1}])

    assert embedder.texts == ["the lobster sleeps"]


def test_a_query_is_embedded_once(toy, embedder) -> None:
    """Asking the same again after a change costs no second embedding."""
    toy.add("lobster")
    toy.search("lobster tea")
    toy.add("parrot")
    toy.search("lobster tea")

    assert embedder.texts.count("lobster tea") == 1


def test_the_default_embedder_gets_records_of_words_ready(reopened) -> None:
    """`rebuild` makes words and vectors anew, and finds what it found before."""
    memory = reopened()
    memory.add_many({"text": f"the lobster number {number}"} for number in range(30))
    before = [(hit.record.id, round(hit.score, 4)) for hit in memory.search("lobster number 7")]

    memory.rebuild()

    after = [(hit.record.id, round(hit.score, 4)) for hit in memory.search("lobster number 7")]
    assert after == before
    assert damage_of(memory) == []


def test_limits_of_a_listing_are_checked(toy) -> None:
    """A listing of less than one record raises `InvalidError`."""
    with pytest.raises(InvalidError, match="limit"):
        toy.records(limit=0)
