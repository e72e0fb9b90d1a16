from __future__ import annotations

import json
import math
import os
import string
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.clock import to_iso
from clawstate.files.lock_owner import (
    Owner,
    boot_id,
    host_name,
    is_dead,
    parse_payload,
    payload_of,
    this_owner,
)
from clawstate.testing.forked import child_process
from clawstate.testing.lock_suite import NO_PROCESS

NOW = 1_772_184_600.123


def owner_of_child(child) -> Owner:
    """Return what a forked child would write down of itself."""
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return replace(this_owner(NOW), pid=child.pid, start_time=int(fields[19]))


def test_a_payload_is_read_as_it_was_written() -> None:
    """Every field of this process's payload comes back."""
    owner = this_owner(NOW)

    assert parse_payload(payload_of(owner)) == owner
    assert owner.pid == os.getpid()
    assert owner.nonce
    assert owner.nonce != this_owner(NOW).nonce


@given(st.floats(0, 253402300799, allow_nan=False))
def test_a_payload_keeps_its_length(moment) -> None:
    """A payload can be overwritten in place: it is as long at every time until the year 9999."""
    owner = this_owner(NOW)

    assert len(payload_of(replace(owner, created_at=moment))) == len(payload_of(owner))


@pytest.mark.parametrize("pid", [1, 1.0, 4194304, 10**30, -5, 1e300], ids=str)
def test_every_whole_number_is_one_of_a_process(pid) -> None:
    """A payload names a process by a whole number, in whatever form JSON has it."""
    owner = parse_payload(json.dumps({"pid": pid, "createdAt": to_iso(NOW)}).encode())

    assert owner == Owner(pid=int(pid), created_at=NOW)


@pytest.mark.parametrize(
    "pid", [0, -0.0, 0.5, True, False, None, "7", [], {}, math.nan, math.inf, -math.inf], ids=repr
)
def test_what_is_no_number_of_a_process_names_none(pid) -> None:
    """Zero, fractions, truth values, text and what is no number name no owner."""
    assert parse_payload(json.dumps({"pid": pid, "createdAt": to_iso(NOW)}).encode()) is None


@pytest.mark.parametrize("created", [None, 5, True, [], {}])
def test_a_payload_without_a_time_names_nobody(created) -> None:
    """As in OpenClaw `createdAt` has to be text."""
    assert parse_payload(json.dumps({"pid": 7, "createdAt": created}).encode()) is None
    assert parse_payload(b'{"pid": 7}') is None


@pytest.mark.parametrize(
    "created", ["", "yesterday", "2026-13-01", "\ud800", "0000-00-00T00:00:00Z", "9" * 5000, "\0"]
)
def test_a_time_that_is_none_is_unknown(created) -> None:
    """Text that is no time leaves the owner, without a time."""
    raw = json.dumps({"pid": 7, "createdAt": created}).encode()

    assert parse_payload(raw) == Owner(pid=7, created_at=None)


@pytest.mark.parametrize(
    "created", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-27"]
)
def test_any_time_of_any_zone_is_one(created) -> None:
    """Times at both ends of the calendar, in any zone, do no harm."""
    owner = parse_payload(json.dumps({"pid": 7, "createdAt": created}).encode())

    assert owner is not None
    assert owner.created_at is not None


@given(st.binary(max_size=200))
def test_bytes_are_an_owner_or_none(raw) -> None:
    """Whatever bytes a lock file has, reading them is no error."""
    assert parse_payload(raw) is None or parse_payload(raw).pid != 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
FIELDS = ["pid", "createdAt", "startTime", "host", "bootId", "pidNs", "nonce"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_fields_of_any_kind_are_judged(fields) -> None:
    """Whatever the fields hold, their owner can be judged, shown and written."""
    owner = parse_payload(json.dumps(fields).encode())

    if owner is not None:
        assert is_dead(owner) in {True, False, None}
        assert str(owner)
        assert payload_of(owner)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"null", b"[]", b"7", b"[" * 10**5, b'{"pid": 1' + b"0" * 5000 + b"}", b"\xff"],
    ids=lambda raw: repr(raw[:9]),
)
def test_garbage_names_nobody(raw) -> None:
    """What is no JSON object, however deep or long, names no owner."""
    assert parse_payload(raw) is None


# Dead or alive


def test_this_process_lives() -> None:
    """A process that has a nonce and its start time is known to be alive."""
    assert is_dead(this_owner(NOW)) is False


def test_a_bare_number_in_use_proves_nothing() -> None:
    """A payload of OpenClaw whose number is in use cannot be examined; one that is not is dead."""
    assert is_dead(Owner(pid=os.getpid(), created_at=NOW)) is None
    assert is_dead(Owner(pid=NO_PROCESS, created_at=NOW)) is True


@pytest.mark.parametrize("pid", [-1, -os.getpid(), 1 << 31, 1 << 64, 10**30], ids=range(5))
def test_numbers_that_no_process_has_are_dead(pid) -> None:
    """No process has a negative number or a huge one; a process group is none."""
    assert is_dead(Owner(pid=pid, created_at=NOW)) is True


def test_a_child_dies_when_it_is_killed() -> None:
    """A living child is alive, stopped too; a zombie and one that is gone are dead."""
    with child_process(lambda child: child.hear()) as child:
        owner = owner_of_child(child)
        bare = Owner(pid=child.pid, created_at=NOW)
        assert (is_dead(owner), is_dead(bare)) == (False, None)
        child.stop()
        assert is_dead(owner) is False

        child.kill(reap=False)
        assert (is_dead(owner), is_dead(bare)) == (True, True)
        child.wait()
        assert (is_dead(owner), is_dead(bare)) == (True, True)


@pytest.mark.parametrize(
    ("change", "dead"),
    [
        ({"start_time": 1}, True),
        ({"start_time": None}, None),
        ({"nonce": None}, None),
        ({"boot_id": "another"}, True),
        ({"boot_id": None}, False),
        ({"host": "elsewhere"}, None),
        ({"host": "elsewhere", "boot_id": "another"}, None),
        ({"host": None}, False),
        ({"pid_namespace": "pid:[1]"}, None),
        ({"pid_namespace": "pid:[1]", "boot_id": "another"}, True),
        ({"pid_namespace": None}, False),
        ({"pid": NO_PROCESS}, True),
        ({"pid": NO_PROCESS, "host": "elsewhere"}, None),
        ({"pid": NO_PROCESS, "pid_namespace": "pid:[1]"}, None),
    ],
)
def test_each_field_has_its_say(change, dead) -> None:
    """Another start or boot is another process; another host or namespace cannot be examined."""
    assert is_dead(replace(this_owner(NOW), **change)) is dead


def test_a_child_is_not_its_parent() -> None:
    """A forked child has a number, a start and a nonce of its own."""
    ours = this_owner(NOW)

    def compare(child):
        theirs = this_owner(NOW)
        assert theirs.pid == child_pid() != ours.pid
        assert theirs.nonce != ours.nonce
        assert is_dead(theirs) is False
        assert is_dead(ours) is False

    def child_pid():
        return int(os.readlink("/proc/self"))  # noqa: PTH115

    with child_process(compare) as child:
        assert child.wait() == 0


def test_the_machine_is_named_by_more_than_its_name() -> None:
    """The host's name tells machines of one name apart, and the boot is known on Linux."""
    assert host_name().startswith(os.uname().nodename)
    assert boot_id()
    assert str(Owner(pid=7, created_at=None)) == "process 7"
    assert str(Owner(pid=7, created_at=None, host=host_name())) == "process 7"
    assert str(Owner(pid=7, created_at=None, host="far")) == "process 7 on far"
    assert time.time() > NOW - 10**9
