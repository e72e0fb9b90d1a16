"""One file of marks, kept by clawstate and by the real OpenClaw at once."""

from __future__ import annotations

import json
import threading

import pytest
from node_options import HASTY

from clawstate.stores.dedupe import PersistentDedupe
from manual_clock import ManualClock

pytestmark = pytest.mark.interop

NOW = 1_800_000_000_000
TTL = 60_000
OPTIONS = {"ttlMs": TTL, "memoryMaxSize": 10, "fileMaxEntries": 1000}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "marks" / "feishu.json"


@pytest.fixture
def ours(path, clock):
    """Return our marks in the file, without memory: each answer is that of the file."""
    return PersistentDedupe.in_files(lambda _: path, ttl=TTL / 1000, memory_max_size=0, clock=clock)


@pytest.fixture
def theirs(path, peer):
    """Return what asks OpenClaw for a key at a time, and expects that its disk works."""

    def check(key, at=NOW, **options):
        answer = peer.ask("dedupe", path=path, key=key, at=at, options=OPTIONS | options)
        assert answer["errors"] == []
        return answer["isNew"]

    return check


def test_each_knows_what_the_other_marked(ours, theirs, path) -> None:
    """A key that either marked is seen by both, and the file is byte for byte what both write."""
    path.parent.mkdir(mode=0o700)
    assert ours.check_and_record("a")
    assert not theirs("a")
    assert theirs("b", NOW + 1)
    assert not ours.check_and_record("b")
    assert ours.check_and_record("42")

    by_us = path.read_text()
    assert theirs("c")
    assert json.loads(path.read_text()) == {**json.loads(by_us), "c": NOW}
    assert by_us == '{\n  "42": 1800000000000,\n  "a": 1800000000000,\n  "b": 1800000000001\n}\n'


@pytest.mark.parametrize(
    "space", [" ", "\ufeff", "\u00a0", "\u2003", "\n\t\v\f\r", "\u2028", "\u180e"]
)
@pytest.mark.parametrize("inner", ["\x1c", "\x85", "\u200b", "é", "__proto_", "constructor"])
def test_both_trim_alike(ours, theirs, space, inner) -> None:
    """Both take the same part of a text for the key."""
    key = f"{space}{inner}{space}"

    assert theirs(key)

    assert not ours.check_and_record(key)
    assert ours.check_and_record(f"{key}.")
    assert not theirs(f"{key}.")


@pytest.mark.parametrize("age", [TTL - 1, TTL, TTL + 1])
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_marks_expire_at_the_same_instant(ours, theirs, clock, age, first) -> None:
    """Both hold a mark for new at the same millisecond, whoever made it."""
    assert theirs("a") if first == "theirs" else ours.check_and_record("a")
    clock.advance(age / 1000)
    expired = age >= TTL

    if first == "theirs":
        assert ours.check_and_record("a") == expired
    else:
        assert theirs("a", NOW + age) == expired


def test_both_let_the_oldest_go(path, theirs, clock) -> None:
    """Each keeps the newest marks, as many as it may, whoever made them."""
    ours = PersistentDedupe.in_files(
        lambda _: path, ttl=TTL / 1000, file_max_entries=3, clock=clock
    )
    for number, key in enumerate("abcdef"):
        clock.advance(0.001)
        if number % 2:
            assert ours.check_and_record(key)
        else:
            assert theirs(key, NOW + number + 1, fileMaxEntries=3)

    assert json.loads(path.read_text()) == {"d": NOW + 4, "e": NOW + 5, "f": NOW + 6}


def test_in_a_mixed_crowd_none_of_our_marks_is_lost(path, start_peers) -> None:
    """Of keys that both ask for at once, each is new once, and no mark is missing at the end."""
    (peer,) = start_peers(1)
    keys = [f"k{number}" for number in range(40)]
    options = {**OPTIONS, "lockOptions": HASTY}
    clock = ManualClock()
    new = dict.fromkeys(keys, 0)
    mutex = threading.Lock()

    def count(key, is_new):
        with mutex:
            new[key] += is_new

    def ask_ours():
        store = PersistentDedupe.in_files(lambda _: path, ttl=0, memory_max_size=0, clock=clock)
        for key in keys:
            count(key, store.check_and_record(key))

    def ask_theirs():
        for key in keys:
            answer = peer.ask("dedupe", path=path, key=key, at=NOW, options=options)
            assert answer["errors"] == []
            count(key, answer["isNew"])

    path.parent.mkdir(mode=0o700)
    work = [threading.Thread(target=ask) for ask in (ask_ours, ask_ours, ask_theirs)]
    for each in work:
        each.start()
    for each in work:
        each.join()

    assert set(json.loads(path.read_text())) == set(keys)
    assert set(new.values()) == {1}
