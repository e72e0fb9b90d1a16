"""What engines of records find wrong with themselves, beyond the laws that all of them keep."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

import apsw
import pytest

import clawstate
from clawstate.doctor import examine
from clawstate.errors import ConflictError, CorruptError
from clawstate.records.contract import ABSENT, CollectionSpec
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.layouts import MapLayout
from clawstate.records.sqlite import SqliteBackend
from clawstate.testing.collection_suite import NOTES

FAMILY = CollectionSpec("notes:*", PurePosixPath("of/*/notes.json"), MapLayout())


def around(path: Path, *statements: str) -> None:
    """Execute *statements* on the database at *path*, without the engine."""
    with apsw.Connection(str(path)) as connection:
        for each in statements:
            connection.execute(each)


def test_a_name_stands_for_a_star(tmp_path) -> None:
    """Of a path with a star in the catalogue every file is known, under the kind of its name."""
    for name in ("b", "a"):
        path = tmp_path / "of" / name / "notes.json"
        path.parent.mkdir(parents=True)
        path.write_text('{"x": 1}')
    (tmp_path / "of/empty").mkdir()
    (tmp_path / "of/empty/notes.json").write_text("{}")

    backend = JsonFilesBackend(tmp_path, catalogue=lambda: (FAMILY,))

    assert backend.kinds() == ("notes:a", "notes:b")
    assert backend.kinds("notes:b") == ("notes:b",)


def test_the_last_good_copy_comes_back(tmp_path) -> None:
    """A damaged document is put aside, and what was acknowledged last is there again."""
    backend = JsonFilesBackend(tmp_path)
    notes = backend.collection(NOTES)
    notes.put("a", {"x": 1})
    path = tmp_path / NOTES.path
    path.write_text("{")

    (finding,) = backend.check()
    done = finding.repaired()

    assert "restored from its last good copy" in done.fix
    assert json.loads(path.read_text()) == {"a": {"x": 1}}
    assert [each.read_text() for each in path.parent.glob(".quarantine/*")] == ["{"]


def test_a_copy_tells_of_a_document_that_nobody_asked_for(tmp_path) -> None:
    """Whatever has a last good copy is looked at, though its kind is not known."""
    JsonFilesBackend(tmp_path).collection(NOTES).put("a", 1)
    (tmp_path / NOTES.path).write_text("{")

    (finding,) = JsonFilesBackend(tmp_path).check()

    assert finding.path == str(tmp_path / NOTES.path)


def test_what_a_killed_writer_left_is_removed(tmp_path) -> None:
    """A part of a file that nobody can still be writing is found, and removed."""
    backend = JsonFilesBackend(tmp_path)
    backend.collection(NOTES).put("a", 1)
    folder = (tmp_path / NOTES.path).parent
    left = folder / f"{NOTES.path.name}.0123456789abcdef.tmp"
    left.write_text("{")
    assert list(backend.check()) == []
    os.utime(left, (1, 1))

    (finding,) = backend.check()

    assert (finding.code, finding.severity, finding.path) == ("leftover", "info", str(left))
    assert finding.repaired().fix == "removed"
    assert not left.exists()


def test_a_damaged_row_is_put_aside(tmp_path) -> None:
    """A row that is no JSON leaves its collection, whose cursor tells so, and is not lost."""
    path = tmp_path / "records.db"
    backend = SqliteBackend(path)
    notes = backend.collection(NOTES)
    notes.put("a", 1)
    notes.put("b", 2)
    around(path, "UPDATE records SET body = '{half' WHERE id = 'a'")
    cursor = notes.changes().cursor

    (finding,) = backend.check()
    done = finding.repaired()

    assert "'a' of 'notes'" in finding.message
    assert "damaged:notes" in done.fix
    assert [each.key for each in notes.scan()] == ["b"]
    assert notes.changes(cursor).keys == {"a"}
    assert backend.kinds() == ("notes",)
    with apsw.Connection(str(path)) as connection:
        sql = "SELECT id, body FROM records WHERE kind = 'damaged:notes'"
        assert connection.execute(sql).fetchall() == [("a", "{half")]
    assert finding.repaired().fix == "somebody else mended it"


def test_a_lost_index_is_built_again(tmp_path) -> None:
    """An index that does not say what the rows say is found by a deep look, and built again."""
    path = tmp_path / "records.db"
    backend = SqliteBackend(path)
    notes = backend.collection(NOTES)
    for number in range(50):
        notes.put(str(number), number)
    rootpage = "(SELECT rootpage FROM sqlite_schema WHERE name = 'records')"
    around(
        path,
        "PRAGMA writable_schema = ON",
        # The index becomes one of the first rows alone, and is put back as one of all.
        "DROP INDEX records_rev",
        "CREATE INDEX records_rev ON records (tenant, kind, rev) WHERE id < '2'",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX records_rev ON records (tenant, kind, rev)'"
        f" WHERE name = 'records_rev' AND {rootpage} IS NOT NULL",
    )
    backend.close()

    backend = SqliteBackend(path)
    (finding,) = backend.check(deep=True)
    done = finding.repaired()

    assert "index" in finding.message
    assert done.fix == "its indexes were built again"
    assert list(backend.check(deep=True)) == []
    backend.close()


def test_a_lost_counter_is_made_from_the_rows(tmp_path) -> None:
    """Without its counter of revisions a database refuses changes until that is written anew."""
    path = tmp_path / "records.db"
    backend = SqliteBackend(path)
    notes = backend.collection(NOTES)
    cursor = notes.changes().cursor
    put = notes.put("a", 1)
    around(path, "DELETE FROM history")
    with pytest.raises(CorruptError):
        SqliteBackend(path).collection(NOTES).put("b", 2)

    (finding,) = backend.check()
    assert finding.repaired().fix == "written anew from the rows"

    assert notes.put("a", 2, expect=put.revision).revision > put.revision
    assert not notes.changes(cursor).complete
    assert list(backend.check(deep=True)) == []


def test_a_file_that_is_no_database_is_told_of(tmp_path) -> None:
    """What cannot be opened at all is one finding, and nobody but a person can mend it."""
    path = tmp_path / "records.db"
    path.write_bytes(b"no database" * 1000)

    (finding,) = SqliteBackend(path).check()

    assert (finding.code, finding.severity, finding.repair) == ("corrupt", "error", None)
    assert str(path) in finding.message


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_the_doctor_finds_and_mends_damaged_records(tmp_path, store) -> None:
    """What is wrong with the records of a state the doctor tells, and mends when it may."""
    root = tmp_path / "state"
    with clawstate.open(root, store=store) as state:
        state.auth().upsert("a:b", {"type": "api_key", "provider": "a", "key": "k" * 20})
        state.pairing.request(user_id="ada", device_id="phone")
        assert examine(state) == []
    if store == "file":
        (root / "agents/main/agent/auth-profiles.json").write_text("{")
    else:
        around(root / "state/records.db", "UPDATE records SET body = '{' WHERE kind = 'auth:main'")

    with clawstate.open(root, store=store) as state:
        assert "corrupt" in {each.code for each in examine(state)}
        examine(state, fix=True)

        assert [each for each in examine(state) if each.code == "corrupt"] == []
        assert len(state.pairing.pending()) == 1


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_a_state_gives_leases(tmp_path, store) -> None:
    """A lease of a state has one holder among all who opened it, on every engine."""
    with clawstate.open(tmp_path, store=store) as one, clawstate.open(tmp_path, store=store) as two:
        lease = one.records.lease("nightly", 60.0)
        with pytest.raises(clawstate.LockTimeoutError):
            two.records.lease("nightly", 60.0)
        lease.release()
        assert two.records.lease("nightly", 60.0).fence > lease.fence


def test_secret_keys_are_in_no_message(tmp_path) -> None:
    """Neither a conflict, nor damage, nor a finding names a key of a spec with secret keys."""
    path, spec = tmp_path / "records.db", replace(NOTES, kind="doors", secret_keys=True)
    backend = SqliteBackend(path)
    doors = backend.collection(spec)
    doors.put("open-sesame", 1)

    with pytest.raises(ConflictError) as conflict:
        doors.put("open-sesame", 2, expect=ABSENT)
    around(path, "UPDATE records SET body = '{'")
    with pytest.raises(CorruptError) as damage:
        doors.get("open-sesame")
    findings = [*doors.check(), *backend.check()]

    assert len(findings) == 2
    assert "open-sesame" not in f"{conflict.value!r} {damage.value!r} {findings!r}"


def test_a_code_of_a_damaged_request_is_not_told(tmp_path) -> None:
    """What is found wrong with a request to pair names no code: findings go into logs."""
    with clawstate.open(tmp_path / "state", store="sqlite") as state:
        code = state.pairing.request(user_id="ada", device_id="phone").code
        around(state.paths.records_db, "UPDATE records SET body = '{' WHERE kind = 'pairing'")

        found = [each for each in examine(state) if each.code == "corrupt"]

        assert found
        assert not any(code in str(each) for each in found)
        assert all(each.repaired() for each in found)
        assert not any(each.code == "corrupt" for each in examine(state))
