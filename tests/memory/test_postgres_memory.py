from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from postgres_memory import environment, open_engine, tenant_of

from clawstate.clock import Clock
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.backends.postgres import PostgresMemory, folds, nearest
from clawstate.memory.backends.postgres.script import Script
from clawstate.memory.service import Memory
from clawstate.postgres.connection import Connection
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import HashEmbedder
from clawstate.testing.memory_machine import memory_machine
from clawstate.testing.memory_suite import MemoryEngineSuite
from manual_clock import ManualClock
from postgres_bouncer import pooled
from seeds import seed

WORDS = [f"{first}{last}" for first in ("run", "kettl", "lobst") for last in ("", "ing", "s", "er")]


@pytest.fixture
def engine(postgres, tmp_path):
    engine = open_engine(postgres, tmp_path)
    yield engine
    engine.close()


@pytest.fixture
def memory(engine):
    return Memory(engine, embedder=HashEmbedder())


@pytest.mark.slow
class TestPostgres(MemoryEngineSuite):
    """Memory in PostgreSQL keeps every law."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres) -> None:
        self._postgres = postgres

    @pytest.fixture
    def engine(self, _server, tmp_path: Path, time: ManualTime):
        engine = self.make(tmp_path, time)
        yield engine
        engine.close()

    def make(self, tmp_path: Path, clock: Clock) -> PostgresMemory:
        return open_engine(self._postgres, tmp_path, clock)

    def raw_texts(self, tmp_path: Path) -> dict[str, str]:
        sql = "SELECT id, content FROM clawstate.memory_records WHERE tenant = %s"
        with self._postgres.connect() as connection:
            return dict(connection.execute(sql, (tenant_of(tmp_path),)).fetchall())


@pytest.fixture(scope="module")
def bounced(postgres):
    with pooled(postgres) as database:
        yield database


@pytest.mark.slow
class TestBehindPooler(TestPostgres):
    """So it does behind PgBouncer, which hands out another connection with each transaction."""

    @pytest.fixture(autouse=True)
    def _server(self, bounced) -> None:
        self._postgres = bounced


@pytest.mark.slow
def test_any_calls_are_answered_as_in_one_process(postgres) -> None:
    """Memory in PostgreSQL answers every call as that in one process does."""
    machine = memory_machine(lambda path, clock: open_engine(postgres, path, clock))

    machine.TestCase().runTest()


def faults(memory):
    return [each for each in memory.check(deep=True) if each.severity != "info"]


def fill(memory, chance, count=120):
    memory.add_many(
        {
            "id": f"r{number}",
            "text": " ".join(chance.choices(WORDS, k=chance.randint(3, 14))),
            "thread": f"t{number // 20}" if number > count // 2 else None,
            "namespace": "threads" if number > count // 2 else "default",
            "tags": ["even"] if number % 2 == 0 else [],
            "metadata": {"n": number},
        }
        for number in range(count)
    )


@pytest.mark.parametrize("exact", [10_000, 0], ids=["exact", "index"])
def test_the_best_ten_are_those_of_any_engine(postgres, tmp_path, monkeypatch, exact) -> None:
    """Questions have the ten best answers of the engine in one process, in every mode."""
    monkeypatch.setattr(nearest, "EXACT", exact)
    chance, clock = random.Random(seed()), ManualClock()
    memories = [
        Memory(engine, embedder=HashEmbedder(), clock=clock)
        for engine in (open_engine(postgres, tmp_path, clock), InMemoryMemory(clock=clock))
    ]
    for memory in memories:
        fill(memory, random.Random(7))

    for number in range(48):
        query = " ".join(chance.choices(WORDS, k=3))
        settings = {
            "mode": ("words", "vector", "hybrid")[number % 3],
            "namespace": ("default", "threads", None)[number % 5 % 3],
            "where": (None, {"n": {"gte": 40}}, {"$tags": "even"})[number % 7 % 3],
        }
        found, wanted = (memory.search(query, k=11, **settings) for memory in memories)
        scores = [hit.score for hit in wanted]
        assert [hit.score for hit in found] == pytest.approx(scores, abs=5e-5)
        for one, other in list(zip(found, wanted, strict=True))[:10]:
            ties = sum(abs(score - other.score) < 1e-4 for score in scores)
            assert one.record == other.record or ties > 1  # of equal ones either may be first
    for memory in memories:
        memory.close()


@pytest.mark.parametrize("namespace", ["default", "threads"])
@pytest.mark.parametrize("mode", ["words", "vector", "hybrid"])
def test_a_search_makes_four_round_trips(memory, monkeypatch, namespace, mode) -> None:
    """A search of a memory that is known asks the server four times at most, then ends."""
    fill(memory, random.Random(7))
    query = "lobsting kettl runs"
    memory.search(query, mode=mode, namespace=namespace, where={"n": {"gte": 3}})
    calls = []
    send, execute = Script.send, Connection.execute
    monkeypatch.setattr(Script, "send", lambda self: calls.append("script") or send(self))
    monkeypatch.setattr(
        Connection, "execute", lambda self, *given: calls.append(given[0]) or execute(self, *given)
    )

    hits = memory.search(query, mode=mode, namespace=namespace, where={"n": {"gte": 2}})

    assert hits
    assert calls[-1] == "ROLLBACK"
    assert calls[:-1] == ["script"] * len(calls[:-1])
    assert len(calls[:-1]) <= 4


class Held:
    """A change that stands still before its end until it is told to go on."""

    def __init__(self, postgres, path):
        self.stands, self.goes = threading.Event(), threading.Event()
        self.memory = Memory(open_engine(postgres, path, note=self._wait), embedder=HashEmbedder())

    def _wait(self, *_):
        self.stands.set()
        assert self.goes.wait(20)

    def __enter__(self):
        self.thread = threading.Thread(
            target=lambda: self.memory.add_many([{"text": "lobster held", "id": "held"}])
        )
        self.thread.start()
        assert self.stands.wait(20)
        return self

    def commit(self):
        self.goes.set()
        self.thread.join()

    def __exit__(self, *_):
        self.commit()
        self.memory.close()


@pytest.mark.parametrize("folds_between", [False, True])
def test_what_is_committed_late_is_found(postgres, tmp_path, memory, folds_between) -> None:
    """A record whose numbers were given out before those of others is found once it is there."""
    memory.add_many([{"text": "lobster first", "id": "first"}])
    with Held(postgres, tmp_path) as held:
        memory.add_many([{"text": "lobster second", "id": "second"}])
        before = {hit.record.id for hit in memory.search("lobster", where={"$tags": []})}
        before |= {hit.record.id for hit in memory.search("lobster")}
        if folds_between:
            assert folds.fold(memory._engine._place)

        held.commit()

    for settings in ({}, {"mode": "vector"}, {"where": {"a": {"exists": False}}}):
        hits = {hit.record.id for hit in memory.search("lobster", **settings)}
        assert hits == {"first", "second", "held"}
    assert before == {"first", "second"}
    assert faults(memory) == []


def test_two_processes_write_while_a_third_searches(
    postgres, tmp_path, memory, monkeypatch
) -> None:
    """What two processes add and forget at once, with merges in between, is there and found."""
    monkeypatch.setattr(folds, "FOLD_AT", 20)
    memory.add_many([{"text": "lobster zero", "id": "zero"}])
    script = Path(__file__).with_name("postgres_memory.py")
    command = [sys.executable, str(script), postgres.url, tenant_of(tmp_path)]
    running = [
        subprocess.Popen([*command, name, "40"], env=environment(postgres)) for name in ("a", "b")
    ]
    while any(each.poll() is None for each in running):
        ids = {hit.record.id for hit in memory.search("lobster", k=200)}
        assert ids <= {record.id for record in memory.records(limit=1000)} | ids
        folds.fold(memory._engine._place)

    assert [each.wait() for each in running] == [0, 0]
    wanted = {f"{name}{n}" for name in "ab" for n in range(40) if n % 3 != 2} | {"zero"}
    assert {record.id for record in memory.records(limit=1000)} == wanted
    assert {hit.record.id for hit in memory.search("lobster", k=200)} == wanted
    assert faults(memory) == []


def test_a_killed_connection_loses_and_doubles_nothing(postgres, tmp_path) -> None:
    """Connections that are ended at any statement cost a retry, and no record twice or never."""
    chance = random.Random(seed())
    ends = {"left": 0}
    execute = Connection.execute

    def ended(self, *given, **rest):
        ends["left"] -= 1
        if ends["left"] == 0:
            with postgres.connect() as other:
                other.execute("SELECT pg_terminate_backend(%s)", (self.info.backend_pid,))
        return execute(self, *given, **rest)

    engine = open_engine(postgres, tmp_path)
    memory = Memory(engine, embedder=HashEmbedder())
    memory.add_many([{"text": "lobster zero", "id": "n0"}])
    Connection.execute = ended
    try:
        for number in range(1, 25):
            ends["left"] = chance.randint(1, 24)
            memory.add_many([{"text": f"lobster {number}", "id": f"n{number}"}])
            ends["left"] = chance.randint(1, 24)
            memory.update(f"n{number}", text=f"lobster again {number}")
    finally:
        Connection.execute = execute

    records = memory.records(limit=100)
    assert {each.id for each in records} == {f"n{number}" for number in range(25)}
    assert all(len(memory.history(f"n{number}")) == 2 for number in range(1, 25))
    assert faults(memory) == []
    memory.close()


SIGN = "Zqxwvut"


def remember_signs(memory) -> None:
    """Remember what is to be forgotten, and one record that stays."""
    values = {"tags": [f"{SIGN}tag"], "source": f"/{SIGN}/a.md", "metadata": {"k": f"{SIGN}meta"}}
    memory.add_many({"text": f"{SIGN} number {n} {'x' * 400 * n}", **values} for n in range(6))
    memory.add_many({"text": f"{SIGN} short {n}", **values} for n in range(6))
    memory.add("what stays")
    (first, *_) = memory.records(tags=[f"{SIGN}tag"])
    memory.update(first.id, text=f"{SIGN} changed")


def files_with_sign(postgres) -> list[Path]:
    """Return the files of the tests' database that hold the sign."""
    with postgres.connect() as connection:
        connection.execute("CHECKPOINT")
        sql = "SELECT oid::text FROM pg_database WHERE datname = current_database()"
        (oid,) = connection.execute(sql).fetchone()
    # Those of other workers come and go meanwhile.
    folder = postgres.server.home / "data" / "base" / oid
    files = [each for each in folder.rglob("*") if each.is_file()]
    assert files
    return [each for each in files if SIGN.lower().encode() in each.read_bytes().lower()]


def test_forgetting_leaves_no_byte_in_the_tables(postgres, memory) -> None:
    """After a compaction no file of the database holds a text or name that was forgotten."""
    if postgres.server is None:
        pytest.skip("the files of a server that is not ours are not looked at")
    remember_signs(memory)
    with postgres.connect() as connection:
        connection.execute("ANALYZE")  # as the server does by itself, at any time

    receipt = memory.forget([each.id for each in memory.records(tags=[f"{SIGN}tag"])])

    assert receipt.gone, receipt
    assert files_with_sign(postgres) == []
    assert [each.text for each in memory.records()] == ["what stays"]


def test_forgetting_clears_what_the_server_noted_before(postgres, memory) -> None:
    """What was noted of the columns before that was forbidden goes, and comes no more."""
    if postgres.server is None:
        pytest.skip("the files of a server that is not ours are not looked at")
    remember_signs(memory)
    with postgres.connect() as connection:
        connection.execute(
            "ALTER TABLE clawstate.memory_records ALTER content SET STATISTICS -1,"
            " ALTER source SET STATISTICS -1, ALTER tags SET STATISTICS -1;"
            "ALTER INDEX clawstate.memory_records_source ALTER 3 SET STATISTICS -1;"
            "ANALYZE clawstate.memory_records"
        )
        noted = connection.execute("SELECT count(*) FROM pg_stats WHERE attname = 'content'")
        assert noted.fetchone()[0] == 1

    receipt = memory.forget([each.id for each in memory.records(tags=[f"{SIGN}tag"])])

    assert receipt.gone, receipt
    assert files_with_sign(postgres) == []
    with postgres.connect() as connection:
        connection.execute("ANALYZE clawstate.memory_records")
        noted = connection.execute("SELECT count(*) FROM pg_stats WHERE attname = 'content'")
        assert noted.fetchone()[0] == 0


def test_a_memory_of_another_tenant_is_another(postgres, tmp_path, memory) -> None:
    """Tenants see, search and count nothing of each other."""
    memory.add_many([{"text": "lobster mine", "id": "mine"}])
    with_other = open_engine(postgres, tmp_path / "other")
    other = Memory(with_other, embedder=HashEmbedder())
    other.add_many([{"text": "lobster yours", "id": "mine"}])

    assert [hit.record.text for hit in other.search("lobster")] == ["lobster yours"]
    assert [hit.record.text for hit in memory.search("lobster")] == ["lobster mine"]
    assert other.stats()["records"] == 1
    other.close()
