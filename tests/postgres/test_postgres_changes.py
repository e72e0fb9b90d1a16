from __future__ import annotations

import time
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.postgres import change_log
from clawstate.postgres.address import Address, mask_address
from clawstate.postgres.change_log import (
    PART,
    forget_changes,
    forget_rows,
    note_changes,
    read_changes,
)
from clawstate.postgres.names import decode_text, encode_text
from clawstate.postgres.part import Part
from clawstate.postgres.probe import probe

PATIENCE = 120  # seconds


@pytest.fixture
def log(database, part):
    return Part(database, PART, change_log.MIGRATIONS, tenant=part.tenant)


def note(log, *keys) -> None:
    log.change(lambda connection: note_changes(connection, log.tenant, "memory", keys))


def test_what_moved_is_told_once(log) -> None:
    """A cursor gives what was committed after it, of this tenant alone, and a cursor of now."""
    note(log, "a")
    first = read_changes(log, None)
    note(log, "b", "c")
    other = Part(log.database, PART, change_log.MIGRATIONS, tenant="other")
    note(other, "z")

    found = read_changes(log, first.cursor)

    assert (found.complete, found.moved) == (True, {"memory": {"b": None, "c": None}})
    assert read_changes(log, found.cursor).moved == {}


def test_what_is_committed_late_is_not_left_out(log, postgres) -> None:
    """A change that began before others and is committed after them is told all the same."""
    note(log, "a")
    with postgres.connect() as slow:
        slow.execute("BEGIN")
        note_changes(slow, log.tenant, "memory", ["slow"])
        before = read_changes(log, None).cursor
        note(log, "fast")
        between = read_changes(log, before)
        slow.execute("COMMIT")
    after = read_changes(log, between.cursor)

    assert between.moved == {"memory": {"fast": None}}
    assert after.moved == {"memory": {"slow": None}}


def test_a_cursor_from_before_the_floor_is_unknown(log) -> None:
    """What was forgotten makes older cursors incomplete, and none that are newer."""
    old = read_changes(log, None).cursor
    for number in range(5):
        note(log, str(number))
    log.change(lambda each: forget_rows(each, "changes", log.tenant, PART, 2))
    forget_changes(log)

    def known(number) -> bool:
        # Not while a transaction of somebody else still runs that is older than what was forgotten,
        # in any database of the server: other tests have some that take long.
        new = read_changes(log, None).cursor
        note(log, f"last-{number}")
        return read_changes(log, new).moved == {"memory": {f"last-{number}": None}}

    assert not read_changes(log, old).complete
    end = time.monotonic() + PATIENCE
    assert any(known(number) or time.monotonic() > end for number in count())
    assert time.monotonic() < end


@pytest.mark.parametrize(
    "cursor", ["", "x", "1.0.0/5:6:", "{}/9:5:", "{}/1:999999999999999:", "{}/5:7:9", "{}/0:0:"]
)
def test_what_is_no_cursor_is_unknown(log, cursor) -> None:
    """A text that is no cursor of this database, or of its future, tells nothing and harms none."""
    note(log, "a")
    history = read_changes(log, None).cursor.partition("/")[0]

    found = read_changes(log, cursor.format(history))

    assert (found.complete, found.moved) == (False, {})


def test_many_keys_are_told_as_anything(log) -> None:
    """Of a change of very many records nobody is told which."""
    before = read_changes(log, None).cursor
    note(log, *map(str, range(2_000)))

    assert read_changes(log, before).moved == {"memory": None}


@given(st.lists(st.text("\0\1\2a\U0010ffff", max_size=6), max_size=6))
def test_text_keeps_its_order_without_nul(texts) -> None:
    """Text in a column has no NUL, comes back as it was, and sorts as it did."""
    encoded = [encode_text(each) for each in texts]

    assert not any("\0" in each for each in encoded)
    assert [decode_text(each) for each in encoded] == texts
    assert sorted(texts) == [decode_text(each) for each in sorted(encoded)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:s3cret@h/db?sslmode=require", "postgresql://h/db"),
        ("postgres://ada:s3@cret@h1:1,h2:2/db", "postgresql://h1:1,h2:2/db"),
        ("postgresql:///db?host=/run&password=s3cret", "postgresql:///db"),
    ],
)
def test_an_address_shows_no_secret(url, shown) -> None:
    """Of an address only servers and database are shown, whatever else stands in it."""
    address = Address(url, password=lambda: "s3cret")

    assert str(address) == mask_address(url) == shown
    assert "s3" not in repr(address)
    assert "s3cret" not in address.hide_secrets("login with s3cret and password=s3cret failed")


def test_a_server_is_judged_by_what_it_can_do(database, postgres) -> None:
    """The probe tells what works here, leaves nothing behind, and lets this server pass."""
    found = probe(database)

    found.require(postgres.address)
    assert {"snapshots", "history", "may_create"} <= found.can
    assert abs(found.clock_offset) < 60.0
    assert database.rows("SELECT 1") == [(1,)]


def test_the_log_of_changes_does_not_grow_for_ever(postgres, tmp_path, monkeypatch) -> None:
    """Who writes lets old rows of the feed go now and then; a cursor from before is said to be."""
    monkeypatch.setattr("clawstate.postgres.database._EACH_FORGETS", 20)
    monkeypatch.setattr("clawstate.postgres.change_log.REMEMBERED", 10)
    tenant = uuid4().hex
    with clawstate.open(tmp_path / "state", store=postgres.full_url, tenant=tenant) as state:
        cursor = state.changes().cursor
        for number in range(60):
            state.transcripts.append("s1", {"role": "user", "content": f"number {number}"})
        with postgres.connect() as connection:
            sql = "SELECT count(*) FROM clawstate.changes WHERE tenant = %s"
            ((count,),) = connection.execute(sql, (tenant,)).fetchall()
        assert count < 60
        assert not state.changes(cursor).complete
