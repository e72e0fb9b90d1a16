"""Moving everything between this machine and a PostgreSQL server, killed at any point."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import textwrap
import time
from uuid import uuid4

import pytest

import clawstate
from clawstate.doctor import examine
from clawstate.errors import ConflictError, InvalidError, UnavailableError
from clawstate.importers.sync import import_paths
from clawstate.memory.backends.sqlite.portable import SqliteMemoryRows
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.sqlite import Database
from clawstate.state.server_moves import TRANSCRIPTS, TRANSCRIPTS_PART
from clawstate.state.whole_copy import digest_of
from clawstate.stores.transcripts.backends.sqlite.portable import SqliteTranscriptRows
from seeds import seed


@pytest.fixture
def root(tmp_path):
    """Give a state directory."""
    return tmp_path / "state"


@pytest.fixture
def tenant():
    """Give a tenant that no other test has."""
    return uuid4().hex


@pytest.fixture
def address(postgres):
    """Give the address of the server of this worker."""
    return postgres.full_url


def opened(root, tenant):
    return clawstate.open(root, tenant=tenant)


def fill(root, tenant, count: int = 60) -> None:
    """Keep something of every kind there is."""
    notes = root.parent / "notes.md"
    notes.write_text("# Tea\n\ngreen tea\n\n# Milk\n\noat milk\n")
    with opened(root, tenant) as state:
        memory = state.memory
        keys = memory.add_many(
            {"text": f"number {each} of tea", "tags": ["b", "a"], "metadata": {"n": each}}
            for each in range(count)
        )
        for key in keys[:5]:
            memory.update(key, text=f"changed {key}")
        memory.add("in a thread", thread="t", metadata={"odd": 'a\\"b\u0000ü'})
        memory.add("only for a while", namespace="other", ttl=10_000)
        memory.supersede(keys[20], "newer")
        memory.archive(keys[30:33])
        memory.forget([keys[40]])
        import_paths(memory, [notes])
        state.transcripts.append("s1", [{"role": "user", "content": "a lobster"}], turn="t1")
        state.transcripts.append("s1", {"role": "user", "content": f"{'x' * 300_000} zebra"})
        state.transcripts.append("s2", {"role": "user", "content": "odd \u0000 and \u0001"})
        state.sessions.resolve("telegram:42")
        state.dedupe.check_and_record("key", namespace="telegram")


def digests(path) -> dict[str, str]:
    """Return the digests of all rows of memory and transcripts in the file *path*."""
    database = Database(path)
    try:
        with database.part(PART, MIGRATIONS).reading() as connection:
            rows = SqliteMemoryRows(connection)
            found = {each: digest_of(rows, each) for each in rows.tables}
        with database.part(TRANSCRIPTS_PART, TRANSCRIPTS).reading() as connection:
            messages = SqliteTranscriptRows(connection)
            return found | {each: digest_of(messages, each) for each in messages.tables}
    finally:
        database.close()


def test_everything_goes_to_a_server_and_comes_back(root, tenant, address) -> None:
    """Records, histories, archive, vectors, imports and transcripts are equal there, and back."""
    fill(root, tenant)
    wanted = digests(root / "memory/memory.db")
    with opened(root, tenant) as state:
        kept = state.memory.records(limit=1_000)
        hits = [(each.record.id, each.score) for each in state.memory.search("number 7 tea", k=10)]
        lines = [each.entry for each in state.transcripts.messages("s2")]

    with opened(root, tenant) as state:
        done = state.records.migrate(address)

    assert done.memory is not None
    assert (done.memory.records, done.memory.messages) == (
        len(kept) + 1,
        3,
    )  # one in another namespace
    assert not (root / "memory/memory.db").exists()
    with opened(root, tenant) as state:
        assert state.records.summary().engine == "postgresql"
        assert state.memory.records(limit=1_000) == kept
        found = state.memory.search("number 7 tea", k=10)
        assert [each.record.id for each in found] == [each for each, _ in hits]
        assert [each.score for each in found] == pytest.approx([each for _, each in hits], abs=1e-5)
        assert [each.message.session_id for each in state.transcripts.search("zebra")] == ["s1"]
        assert [each.entry for each in state.transcripts.messages("s2")] == lines
        again = import_paths(state.memory, [root.parent / "notes.md"])
        assert (again.skipped, again.added) == (1, 0)
        assert [each for each in examine(state) if each.code.startswith(("memory", "trans"))] == []
        state.records.migrate("sqlite", drop_source=True)
    assert digests(root / "memory/memory.db") == wanted
    with opened(root, tenant) as state:
        assert state.memory.records(limit=1_000) == kept
        assert [each for each in examine(state) if each.code.startswith(("memory", "trans"))] == []
        state.memory.add("one more")
    (root.parent / "new").mkdir(mode=0o700)
    with clawstate.open(root.parent / "new", store=address, tenant=tenant) as state:
        found = examine(state)
        assert [each for each in found if each.code.startswith(("memory", "trans"))] == []
        assert state.memory.records() == []


def test_numbers_go_on_behind_those_that_came(root, tenant, address) -> None:
    """After a move new records, sessions and messages get numbers of their own, there and back."""
    fill(root, tenant)
    for engine in (address, "sqlite", address, "file"):
        with opened(root, tenant) as state:
            state.records.migrate(engine)
        with opened(root, tenant) as state:
            before = len(state.memory.records(limit=1_000))
            state.memory.add_many({"text": f"to {each} {time.time()}"} for each in range(20))
            state.transcripts.append("s1", {"role": "user", "content": "again"})
            state.transcripts.append(uuid4().hex, {"role": "user", "content": "new"})
            assert len(state.memory.records(limit=1_000)) == before + 20
            assert [each for each in examine(state) if each.code.startswith("memory")] == []


def test_what_is_left_refuses_changes(root, tenant, address) -> None:
    """A program that was open before a move cannot write where nobody looks."""
    fill(root, tenant)
    with opened(root, tenant) as before:
        before.memory.add("milk")
        before.transcripts.append("s1", {"role": "user", "content": "in time"})
        with opened(root, tenant) as state:
            state.records.migrate(address)
        with pytest.raises(UnavailableError):
            before.memory.add("salt")
        with pytest.raises(UnavailableError):
            before.transcripts.append("s1", {"role": "user", "content": "late"})
    with opened(root, tenant) as before:
        before.memory.add("pepper")
        before.transcripts.append("s1", {"role": "user", "content": "in time"})
        with opened(root, tenant) as state:
            state.records.migrate_memory("sqlite")
        with pytest.raises(UnavailableError, match=r"is moved to .*memory\.db on "):
            before.memory.add("salt")
        with pytest.raises(UnavailableError, match=r"are moved to .*memory\.db on "):
            before.transcripts.append("s1", {"role": "user", "content": "late"})


def test_two_memories_are_not_mixed(root, tenant, address, tmp_path) -> None:
    """Where another machine keeps records on the server, those of this one do not replace them."""
    fill(root, tenant)
    with clawstate.open(tmp_path / "other", store=address, tenant=tenant) as other:
        other.memory.add("of another machine")
        with opened(root, tenant) as state:
            with pytest.raises(ConflictError, match="both hold records"):
                state.records.migrate(address)
            with pytest.raises(ConflictError, match="both hold records"):
                state.records.migrate_memory(address, dry_run=True)
        assert [each.text for each in other.memory.records()] == ["of another machine"]
    assert (root / "memory/memory.db").exists()


def test_an_empty_memory_joins_that_of_the_fleet(root, tenant, address, tmp_path) -> None:
    """A machine without records of its own takes what is on the server, and removes nothing."""
    with opened(root, tenant) as state:
        state.memory.forget([state.memory.add("tea")])
    with clawstate.open(tmp_path / "other", store=address, tenant=tenant) as other:
        other.memory.add("of another machine")
    with opened(root, tenant) as state:
        state.records.migrate(address)

    with opened(root, tenant) as state:
        assert [each.text for each in state.memory.records()] == ["of another machine"]


def test_the_memory_goes_where_the_records_are(root, tenant, address) -> None:
    """A server that is not the one of the records is refused, with the command that helps."""
    fill(root, tenant)
    with opened(root, tenant) as state, pytest.raises(InvalidError, match="store migrate --to"):
        state.records.migrate_memory(address)


def test_command_line_tells_what_moves(root, address) -> None:
    """`--dry-run` tells of everything and writes nothing; a move without a name moves all."""
    fill(root, "default")

    def run(*words: str) -> dict:
        command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    planned = run("store", "migrate", "--to", address, "--dry-run")
    assert (planned["done"], planned["records"]["sessions"]) == (False, 1)
    assert (planned["memory"]["messages"], planned["memory"]["done"]) == (3, False)
    assert planned["memory"]["bytes"] > 10_000
    assert (root / "memory/memory.db").exists()
    done = run("store", "migrate", "--to", address)
    assert done["memory"]["records"] == planned["memory"]["records"]
    assert run("status")["memory"]["records"] == planned["memory"]["records"]
    assert run("store", "clean", "--yes")["removed"]["files"] > 0
    assert not list((root / "state").rglob("memory.db"))
    run("store", "migrate", "--to", "sqlite", "--drop-source")
    assert run("status")["memory"]["records"] == planned["memory"]["records"]


MOVER = textwrap.dedent(
    """
    import sys, clawstate
    with clawstate.open(sys.argv[1], tenant=sys.argv[2]) as state:
        tell = lambda *step: print(step[2], flush=True)
        print("ready", flush=True)
        state.records.migrate(sys.argv[3], tell=tell)
    """
)
_TOLD = 46  # steps that a whole move tells of


def move_and_kill(root, tenant: str, to: str, step: int, delay: float) -> None:
    """Begin a move, and kill it *delay* seconds after it told of its *step*."""
    command = [sys.executable, "-c", MOVER, str(root), tenant, to]
    mover = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(step + 1):
        if not mover.stdout.readline():
            break
    time.sleep(delay)  # the moment of death, not a wait for anything
    mover.kill()
    mover.wait()
    mover.stdout.close()


def kill_and_repeat(root, tenant: str, address: str, chance: random.Random, points: int) -> None:
    """Move there and back, killed before, until so many *points* were tried; compare each time."""
    fill(root, tenant)
    wanted = digests(root / "memory/memory.db")
    for number in range(points):
        to = (address, "sqlite")[number % 2]
        move_and_kill(root, tenant, to, chance.randrange(_TOLD), chance.random() * 0.03)
        with opened(root, tenant) as state:
            assert state.memory.records()  # all of it can be read at any point
            state.records.migrate(to)
        if to == "sqlite":
            assert digests(root / "memory/memory.db") == wanted
            with opened(root, tenant) as state:
                assert [each.session_key for each in state.sessions.entries()] == ["telegram:42"]


def test_a_move_that_was_killed_is_carried_on(root, tenant, address) -> None:
    """Killed at some points, there and back, nothing is lost, doubled or unlike."""
    kill_and_repeat(root, tenant, address, random.Random(seed()), 6)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_moves_killed_at_many_points_bring_all(root, tenant, address) -> None:
    """Killed at 500 points (60 unless all is asked for) and repeated, the content is equal."""
    points = 500 if os.environ.get("CLAWSTATE_FULL") == "1" else 60
    kill_and_repeat(root, tenant, address, random.Random(seed()), points)
