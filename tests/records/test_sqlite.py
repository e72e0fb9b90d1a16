from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf
from pathlib import Path

import apsw
import pytest

import clawstate
from clawstate.errors import ConflictError, CorruptError, InvalidError, LockTimeoutError
from clawstate.records import sqlite_history
from clawstate.records.contract import DELETE, Capability, CollectionSpec
from clawstate.records.sqlite import MIGRATIONS, PART, SqliteBackend
from clawstate.sqlite import open_part
from clawstate.testing.collection_machine import collection_machine
from clawstate.testing.collection_suite import NOTES, OTHERS, RANKED, CollectionSuite

SOURCE = Path(clawstate.__file__).parents[1]
FEW, MANY = 1_000, 100_000
KILLS = (1, 4, 9)  # after so many acknowledged rounds

VICTIM = """
import os, sys
from itertools import count
from pathlib import Path
from clawstate.records.sqlite import SqliteBackend
from clawstate.testing.collection_hooks import NOTES

notes = SqliteBackend(Path(sys.argv[1])).collection(NOTES)
for round in count(1):
    records = {**dict.fromkeys(map(str, range(300)), round), f"r{round}": round}
    notes.change_all(lambda _: (records, None))
    os.write(1, b"%d\\n" % round)
"""


class TestSqlite(CollectionSuite):
    """Records in SQLite keep every law."""

    def make(self, tmp_path: Path) -> SqliteBackend:
        return SqliteBackend(tmp_path / "records.db")

    def raw_read(self, tmp_path, spec):
        sql = "SELECT id, body FROM records WHERE tenant = 'default' AND kind = ?"
        rows = around(tmp_path / "records.db", sql, (spec.kind,))
        return {key: json.loads(body) for key, body in rows}

    def raw_damage(self, tmp_path, spec, key):
        sql = "UPDATE records SET body = '{' WHERE kind = ? AND id = ?"
        around(tmp_path / "records.db", sql, (spec.kind, key))


class TestSqliteMachine(collection_machine(lambda path: SqliteBackend(path / "r.db")).TestCase):
    """Records in SQLite answer every call as a dict would."""


def around(path, sql, bound=()):
    """Run a statement without using the engine, and return its rows."""
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(sql, bound).fetchall()
    finally:
        connection.close()


def filled(path, count):
    backend = SqliteBackend(path)
    records = {f"key-{number}": {"n": number, "text": "lobster"} for number in range(count)}
    backend.collection(NOTES).change_all(lambda _: (records, None))
    return backend


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records.db"


@pytest.fixture
def backend(path):
    backend = SqliteBackend(path)
    yield backend
    backend.close()


@pytest.fixture
def notes(backend):
    return backend.collection(NOTES)


def test_what_it_promises(backend) -> None:
    """Records in SQLite are durable and shared, and their cursors last; they are no files."""
    assert backend.capabilities == set(Capability) - {Capability.FILES}


def steps(backend, call):
    """Return how many instructions SQLite's machine runs for *call*."""
    database = backend._database
    count = 0

    def step():
        nonlocal count
        count += 1
        return False

    with database.reading() as connection:
        pass
    connections = [connection, database._database._writer.connection]
    for each in connections:
        each.set_progress_handler(step, 1)
    call()
    for each in connections:
        each.set_progress_handler(None)
    return count


def test_the_cost_of_a_call_does_not_grow(tmp_path) -> None:
    """A call on one record costs at 100,000 records what it costs at 1,000."""
    costs = []
    for size in (FEW, MANY):
        backend = filled(tmp_path / f"{size}.db", size)
        notes = backend.collection(NOTES)
        ranked = backend.collection(RANKED)
        places = {f"key-{at}": {"at": at} for at in range(size)}
        lost = {f"b-{number}": {} for number in range(size // 10)}
        ranked.change_all(lambda _, new={**places, **lost}: (new, None))
        cursor = notes.changes().cursor
        calls = {
            "update": lambda notes=notes: notes.update("key-77", lambda old: {**old, "n": 0}),
            "put": lambda notes=notes: notes.put("new", 1),
            "delete": lambda notes=notes: notes.delete("key-500"),
            "get": lambda notes=notes: notes.get("key-900"),
            "page": lambda notes=notes: list(notes.scan("key-", after="key-500", limit=10)),
            "changes": lambda notes=notes, cursor=cursor: notes.changes(cursor),
            "latest": lambda ranked=ranked: list(ranked.latest(10)),
            "later": lambda ranked=ranked: list(ranked.latest(10, after=(-500.0, "key-500"))),
            "without": lambda ranked=ranked: list(ranked.latest(10, after=(inf, "b-5"))),
            "move": lambda ranked=ranked: ranked.put("key-77", {"at": 10**6}),
        }
        costs.append({name: steps(backend, call) for name, call in calls.items()})
        backend.close()

    few, many = costs
    assert min(few.values()) > 0
    assert {name: cost for name, cost in many.items() if cost > 1.5 * few[name]} == {}


def test_records_of_before_the_order_are_ordered_too(path) -> None:
    """A database that has no index of the latest is read without one, and gets it by a change."""
    old = SqliteBackend(path)
    plain = replace(RANKED, order=None)
    old.collection(plain).change_all(lambda _: ({"a": {"at": 1}, "b": {"at": 2}, "c": 7}, None))
    old.close()
    around(path, "UPDATE records SET body = '{' WHERE id = 'c'")
    indexes = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'records_latest%'"

    ranked = SqliteBackend(path).collection(RANKED)
    unindexed = [each.key for each in ranked.latest(2)], around(path, indexes)
    ranked.put("d", {"at": 1.5})

    assert unindexed == (["b", "a"], [(0,)])
    assert around(path, indexes) == [(1,)]
    assert [each.key for each in ranked.latest(3)] == ["b", "d", "a"]
    with pytest.raises(CorruptError, match="'c'"):
        list(ranked.latest(4))


def test_the_order_is_kept_by_who_does_not_know_it(path) -> None:
    """What an older clawstate or another program changes is in its place among the latest."""
    ranked = SqliteBackend(path).collection(RANKED)
    ranked.change_all(lambda _: ({"a": {"at": 1}, "b": {"at": 2}}, None))

    older = SqliteBackend(path).collection(replace(RANKED, order=None))
    older.put("a", {"at": 3})
    around(path, """UPDATE records SET body = '{ "at" : 4 }' WHERE id = 'b'""")

    assert [each.key for each in ranked.latest(9)] == ["b", "a"]


def test_a_change_that_fails_makes_no_index_for_good(path) -> None:
    """An index that was made in a change that was taken back is made by the next one."""
    SqliteBackend(path).collection(NOTES).put("a", 1)
    ranked = SqliteBackend(path).collection(RANKED)
    with pytest.raises(ZeroDivisionError):
        ranked.update("a", lambda _: 1 // 0)

    ranked.put("a", {"at": 1})
    ranked.put("b", {"at": 2})

    assert around(path, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*:ranked:at'") == [
        (1,)
    ]
    assert [each.key for each in ranked.latest(9)] == ["b", "a"]


def test_a_killed_writer_leaves_nothing_half_done(tmp_path) -> None:
    """After a kill the records are those of one change, at least of the last acknowledged one."""
    for rounds in KILLS:
        path = tmp_path / f"{rounds}.db"
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(path)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
            text=True,
        )
        acknowledged = [victim.stdout.readline() for _ in range(rounds)]
        victim.kill()
        acknowledged += victim.communicate()[0].splitlines(keepends=True)
        last = max(int(line) for line in acknowledged if line.endswith("\n"))

        backend = SqliteBackend(path)
        found = {each.key: each.value for each in backend.collection(NOTES).scan()}
        assert backend.collection(NOTES).put("after", 1).value == 1
        backend.close()

        (value,) = set(found.values())
        assert value in {last, last + 1}
        assert found.keys() == {*map(str, range(300)), f"r{value}"}


def test_old_deletions_are_forgotten(notes, path, monkeypatch) -> None:
    """Only so many deleted keys are remembered; a cursor from before them learns that."""
    monkeypatch.setattr(sqlite_history, "REMEMBERED", 5)
    notes.change_all(lambda _: (dict.fromkeys("abcdefgh", 1), None))
    cursors = []
    for key in "abcdef":
        cursors.append(notes.changes().cursor)
        notes.delete(key)

    assert [notes.changes(each).complete for each in cursors] == [False] + [True] * 5
    assert notes.changes(cursors[0]).keys == frozenset()
    assert notes.changes(cursors[1]).keys == set("bcdef")
    assert around(path, "SELECT count(*) FROM removed") == [(5,)]


def test_many_deletions_are_forgotten_in_the_end(notes, path, monkeypatch) -> None:
    """Deleting many records at once leaves no more remembered keys than deleting them singly."""
    monkeypatch.setattr(sqlite_history, "REMEMBERED", 5)
    notes.change_all(lambda _: (dict.fromkeys(map(str, range(300)), 1), None))
    cursor = notes.changes().cursor

    notes.change_all(lambda _: ({"x": 1}, None))
    after = notes.changes().cursor
    notes.delete("x")

    assert around(path, "SELECT count(*) FROM removed") == [(5,)]
    assert around(path, "SELECT removed FROM history") == [(5,)]
    assert not notes.changes(cursor).complete
    assert notes.changes(after).keys == {"x"}


def test_changes_of_other_kinds_keep_a_cursor_good(backend, notes, monkeypatch) -> None:
    """However much is put elsewhere, a cursor tells exactly what moved here."""
    monkeypatch.setattr(sqlite_history, "REMEMBERED", 5)
    notes.put("a", 1)
    cursor = notes.changes().cursor

    others = backend.collection(OTHERS)
    for number in range(20):
        others.put("x", number)
    notes.put("b", 1)

    assert notes.changes(cursor).keys == {"b"}
    assert notes.changes(cursor).complete


def test_old_epochs_are_forgotten(path, monkeypatch) -> None:
    """Only so many runs of writers are remembered; a cursor from before them learns that."""
    monkeypatch.setattr(sqlite_history, "EPOCHS", 3)
    cursors = []
    for number in range(5):
        backend = SqliteBackend(path)
        backend.collection(NOTES).put("a", number)
        cursors.append(backend.collection(NOTES).changes().cursor)
        complete = [backend.collection(NOTES).changes(each).complete for each in cursors]
        backend.close()

    assert complete == [False, False, True, True, True]
    assert around(path, "SELECT count(*) FROM epochs") == [(3,)]


def lost_future(path):
    """Return a cursor and a revision that a restored backup knows nothing of."""
    backend = SqliteBackend(path)
    notes = backend.collection(NOTES)
    notes.put("a", 1)
    early = notes.changes().cursor
    backend.close()
    shutil.copy(path, path.with_name("backup.db"))
    backend = SqliteBackend(path)
    lost = backend.collection(NOTES).put("a", "lost")
    cursor = backend.collection(NOTES).changes().cursor
    backend.close()
    return early, cursor, lost.revision


def test_a_restored_backup_knows_no_cursor_of_its_lost_future(path) -> None:
    """A cursor from after the backup is unknown, before and after new changes; older ones hold."""
    early, lost, _ = lost_future(path)
    os.replace(path.with_name("backup.db"), path)  # noqa: PTH105 - as a program restores it

    backend = SqliteBackend(path)
    notes = backend.collection(NOTES)
    before = notes.changes(lost)
    for number in range(3):
        notes.put("b", number)
    after = notes.changes(lost)
    news = notes.changes(early)
    backend.close()

    assert not before.complete
    assert not after.complete
    assert (news.complete, news.keys) == (True, {"b"})


def test_a_restored_backup_hands_out_no_lost_revision(path) -> None:
    """Who still expects a value that was lost with a restored backup is told of the conflict."""
    *_, lost = lost_future(path)
    os.replace(path.with_name("backup.db"), path)  # noqa: PTH105 - as a program restores it

    backend = SqliteBackend(path)
    notes = backend.collection(NOTES)
    found = notes.put("a", "found")
    with pytest.raises(ConflictError):
        notes.put("a", "late", expect=lost)
    backend.close()

    assert found.revision != lost


def test_a_database_replaced_under_an_open_engine_begins_anew(path) -> None:
    """An engine that stays open while a backup is restored goes on in a history of its own."""
    backend = SqliteBackend(path)
    notes = backend.collection(NOTES)
    notes.put("a", 1)
    around(path, "VACUUM INTO ?", (str(path.with_name("backup.db")),))
    notes.put("b", 1)
    lost = notes.changes().cursor
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink()
    os.replace(path.with_name("backup.db"), path)  # noqa: PTH105 - as a program restores it

    notes.put("c", 1)
    notes.put("d", 1)

    assert [each.key for each in notes.scan()] == ["a", "c", "d"]
    assert not notes.changes(lost).complete
    backend.close()


def test_a_cursor_of_another_database_is_unknown(notes, tmp_path) -> None:
    """A cursor is good for the database that gave it."""
    notes.put("a", 1)
    other = SqliteBackend(tmp_path / "other.db")
    other.collection(NOTES).put("a", 1)

    news = other.collection(NOTES).changes(notes.changes().cursor)
    other.close()

    assert not news.complete


def test_a_cursor_of_nothing_tells_everything(notes) -> None:
    """A cursor from before the first change names all that is there, and what was deleted."""
    cursor = notes.changes().cursor

    notes.put("a", 1)
    notes.put("b", 1)
    notes.delete("b")

    assert notes.changes(cursor).keys == {"a", "b"}


def test_tenants_do_not_see_each_other(notes, path) -> None:
    """Two tenants of one database share no record and no news."""
    cursor = notes.changes().cursor
    other = SqliteBackend(path, tenant="other")
    others = other.collection(NOTES)

    others.put("a", 2)

    assert notes.get("a") is None
    assert notes.changes(cursor).keys == frozenset()
    assert others.changes(cursor).keys == {"a"}
    other.close()


@pytest.mark.parametrize("name", ["", "\ud800", "x" * 2000], ids=ascii)
def test_an_impossible_name_is_refused(path, backend, name) -> None:
    """A tenant or kind that cannot be written is refused before anything is done."""
    with pytest.raises(InvalidError, match="tenant"):
        SqliteBackend(path, tenant=name)
    with pytest.raises(InvalidError, match="kind"):
        backend.collection(CollectionSpec(name, NOTES.path, NOTES.layout))

    assert not path.exists()


def test_deleting_nothing_makes_nothing(notes, path) -> None:
    """Deleting from a database that is not there answers, and makes none."""
    assert not notes.delete("a")
    with pytest.raises(ConflictError):
        notes.delete("a", expect="1")

    assert list(path.parent.iterdir()) == []


def test_a_scan_that_rests_is_in_nobodys_way(notes) -> None:
    """A scan that is not read to its end keeps no transaction: the log can be emptied."""
    notes.change_all(lambda _: (dict.fromkeys("abc", 1), None))
    scan = notes.scan()
    next(scan)

    notes.put("d", 1)
    busy, *_ = notes._database._database._writer.connection.execute(
        "PRAGMA wal_checkpoint(truncate)"
    ).get

    assert busy == 0
    assert [each.key for each in scan] == ["b", "c"]


def test_a_change_may_read_another_collection(backend, notes) -> None:
    """A change may look at a collection of another kind, and must not change it."""
    others = backend.collection(OTHERS)
    others.put("a", 1)

    assert notes.update("a", lambda _: others.count()) == notes.get("a")
    with pytest.raises(InvalidError, match="'notes'"):
        notes.update("a", lambda _: others.put("a", 2).value)
    with pytest.raises(InvalidError, match="'notes'"):
        notes.update("a", lambda _: notes.count())

    assert [each.value for each in (*notes.scan(), *others.scan())] == [1, 1]


def test_a_writer_does_not_wait_for_ever(notes, path) -> None:
    """Who waits for another writer longer than the lock timeout is told so."""
    running, go_on = threading.Event(), threading.Event()

    def slow(_):
        running.set()
        return int(go_on.wait(60))

    other = SqliteBackend(path, lock_timeout=0.01)
    with ThreadPoolExecutor(1) as pool:
        change = pool.submit(notes.update, "a", slow)
        assert running.wait(60)
        try:
            with pytest.raises(LockTimeoutError):
                other.collection(NOTES).put("b", 1)
        finally:
            go_on.set()
            other.close()

    assert list(notes.scan()) == [change.result()]


def test_a_body_laid_out_in_another_way_is_the_same_value(notes, path) -> None:
    """An equal value keeps its revision also over a row that another program wrote."""
    put = notes.put("a", {"x": 1, "y": 2})
    around(path, "UPDATE records SET body = ?", ('{ "x": 1.0,\n"y": 2 }',))

    assert notes.put("a", {"x": 1, "y": 2}).revision == put.revision
    assert notes.update("a", lambda old: old).revision == put.revision


@pytest.mark.parametrize("body", ["", "{", "NaN", "[1,]", "\ufeff1", "[" * 100_000, b"\xff"])
def test_a_damaged_row_is_named(notes, path, body) -> None:
    """An unreadable record is an error that names the file; other records are not touched by it."""
    notes.change_all(lambda _: ({"a": "secret", "b": 2}, None))
    around(path, "UPDATE records SET body = CAST(? AS TEXT) WHERE id = 'a'", (body,))

    for call in (
        lambda: notes.get("a"),
        lambda: notes.put("a", 1),
        lambda: notes.change_all(lambda old: (old, None)),
    ):
        with pytest.raises(CorruptError) as caught:
            call()
        assert caught.value.path == str(path)

    assert notes.put("b", 3) == notes.get("b")
    assert [each.value for each in notes.scan("b")] == [3]


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM history", "DROP TABLE epochs", "DROP TABLE records", "PRAGMA user_version = 9"],
)
def test_a_damaged_database_is_refused(path, damage) -> None:
    """Tables that are not as they were made, or are of a newer format, are an error, not a loss."""
    filled(path, 3).close()
    around(path, damage)

    backend = SqliteBackend(path)
    with pytest.raises(CorruptError, match=r"records\.db"):
        backend.collection(NOTES).put("a", 1)
    backend.close()


def test_a_file_that_is_no_database_is_left_alone(path) -> None:
    """Somebody else's file is neither read nor changed."""
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    before = path.read_bytes()

    backend = SqliteBackend(path)
    for call in (
        lambda: backend.collection(NOTES).count(),
        lambda: backend.collection(NOTES).put("a", 1),
    ):
        with pytest.raises(CorruptError):
            call()
    backend.close()

    assert path.read_bytes() == before


def test_a_change_of_nothing_waits_for_nobody(tmp_path) -> None:
    """After an update that changed nothing the next such update needs no turn to write."""
    path = tmp_path / "records.db"
    backend = SqliteBackend(path, lock_timeout=0.05)
    notes = backend.collection(NOTES)
    kept = [notes.put(key, {"x": 1}) for key in "ab"]
    notes.update("a", lambda old: old)

    other = open_part(path, PART, MIGRATIONS)
    with other.writing():
        assert [notes.update(key, lambda old: old) for key in "ab"] == kept
        for change in (lambda old: {**old, "x": 2}, lambda _: DELETE):
            with pytest.raises(LockTimeoutError):
                notes.update("a", change)
        with pytest.raises(LockTimeoutError):
            notes.update("c", lambda old: old)

    other.close()
    changed = notes.update("a", lambda old: {**old, "x": 2})
    assert changed == notes.get("a")
    with pytest.raises(ZeroDivisionError):
        notes.update("b", lambda _: 1 // 0)
    assert notes.get("b") == kept[1]
    backend.close()
