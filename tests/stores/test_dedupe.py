from __future__ import annotations

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pytest

import clawstate
from clawstate.errors import (
    ClosedError,
    ConfigError,
    CorruptError,
    CorruptWarning,
    InvalidError,
    LockTimeoutError,
    UnavailableError,
)
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.records.inmemory import InMemoryBackend
from clawstate.stores.dedupe import DedupeSettings, PersistentDedupe, marks_spec
from clawstate.stores.dedupe.namespaces import MOST_OPEN
from clawstate.stores.dedupe.seen_cache import SeenCache
from clawstate.stores.dedupe.statistics import Counters

DAY = 86_400.0
ENGINES = ("file", "sqlite")


def configured(root, **settings):
    root.mkdir(mode=0o700, exist_ok=True)
    (root / "openclaw.json").write_text(json.dumps({"caches": {"dedupe": settings}}))


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def start(root, engine, clock):
    """Return what opens the state once more, as another process would find it."""
    opened = []

    def start():
        opened.append(clawstate.open(root, store=engine, clock=clock))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def dedupe(start):
    return start().dedupe


def in_file(tmp_path, clock, **settings):
    return PersistentDedupe.in_files(
        lambda name: tmp_path / "marks" / f"{name}.json", clock=clock, **settings
    )


def content(path):
    return json.loads(path.read_bytes())


def test_a_key_is_new_once(dedupe) -> None:
    """The first who asks for a key is told that it is new, all others that it is not."""
    assert dedupe.check_and_record("update-42", namespace="telegram") is True
    assert dedupe.check_and_record("update-42", namespace="telegram") is False


def test_a_mark_outlives_its_process(start) -> None:
    """A key that one process marked is known to the next one."""
    assert start().dedupe.check_and_record("a")

    later = start().dedupe

    assert not later.check_and_record("a")
    assert later.stats().file_hits == 1


def test_namespaces_are_apart(dedupe) -> None:
    """A key of one namespace says nothing of another."""
    assert dedupe.check_and_record("a", "telegram")
    assert dedupe.check_and_record("a", "matrix")
    assert not dedupe.check_and_record("a", "telegram")
    assert dedupe.namespaces() == ("matrix", "telegram")


@pytest.mark.parametrize("space", [" ", "\ufeff", "\u3000", "\t\r\n", "\u2029"])
def test_space_around_a_key_does_not_count(dedupe, space) -> None:
    """A key and its namespace are trimmed, of what JavaScript trims."""
    assert dedupe.check_and_record(f"{space}a{space}", f"{space}ns{space}")

    assert not dedupe.check_and_record("a", "ns")
    assert dedupe.seen(f"a{space}", f"ns{space}")


def test_what_javascript_does_not_trim_counts(dedupe) -> None:
    """A control character that Python would strip is part of a key."""
    assert dedupe.check_and_record("a")
    assert dedupe.check_and_record("a\x1c")


def test_an_empty_namespace_is_the_global_one(dedupe) -> None:
    """Without a name the namespace is `global`, as for OpenClaw."""
    assert dedupe.check_and_record("a", " ")
    assert not dedupe.check_and_record("a", "global")


@pytest.mark.parametrize("key", ["", "  ", "x" * 1025, "\ud800", None, 7, ["a"], b"a"])
def test_what_can_be_no_key_is_refused(dedupe, key) -> None:
    """An empty, overlong or broken key, or one that is no text, is refused and nothing kept."""
    for call in (dedupe.check_and_record, dedupe.seen, dedupe.forget):
        with pytest.raises(InvalidError):
            call(key)
    with pytest.raises(InvalidError):
        dedupe.check_many(["fine", key])
    assert dedupe.statistics().marks == 0


@pytest.mark.parametrize("namespace", ["\ud800", "x" * 1025, None, 7, ["t"]])
def test_what_can_be_no_namespace_is_refused(dedupe, namespace) -> None:
    """A namespace that UTF-8 cannot hold, or that is too long or no text, is refused."""
    for call in (dedupe.check_and_record, dedupe.seen, dedupe.forget):
        with pytest.raises(InvalidError):
            call("a", namespace)
    with pytest.raises(InvalidError):
        dedupe.check_and_record("a", namespace, fail_open=True)


@pytest.mark.parametrize("forget", [True, False], ids=["from disk", "from memory"])
def test_a_mark_expires_at_the_very_instant(dedupe, clock, forget) -> None:
    """A mark holds until its age is the time to live, and not a millisecond longer."""
    dedupe.check_and_record("a")
    if forget:
        dedupe.clear_memory()

    clock.advance(DAY - 0.001)
    assert dedupe.seen("a")
    assert not dedupe.check_and_record("a")
    clock.advance(0.001)

    assert not dedupe.seen("a")
    assert dedupe.check_and_record("a")


def test_meeting_a_mark_makes_it_no_younger(dedupe, clock) -> None:
    """A key that is met again and again is new a day after it was first met."""
    dedupe.check_and_record("a")
    for _ in range(23):
        clock.advance(3600)
        assert not dedupe.check_and_record("a")

    clock.advance(3600)

    assert dedupe.check_and_record("a")


def test_without_a_time_to_live_marks_hold_for_ever(root, start, clock) -> None:
    """With `ttlMs` 0 no mark expires."""
    configured(root, ttlMs=0)
    dedupe = start().dedupe
    dedupe.check_and_record("a")

    clock.advance(100 * 365 * DAY)

    assert not dedupe.check_and_record("a")
    dedupe.clear_memory()
    assert not dedupe.check_and_record("a")
    assert dedupe.prune() == 0


def test_without_memory_the_disk_answers(root, start) -> None:
    """With `memoryMaxSize` 0 nothing is remembered, and every answer is as right."""
    configured(root, memoryMaxSize=0)
    dedupe = start().dedupe

    assert [dedupe.check_and_record("a") for _ in range(3)] == [True, False, False]
    assert dedupe.statistics().memory_hits == 0
    assert dedupe.warm_up() == 0


def test_memory_keeps_what_was_met_last(root, start) -> None:
    """Of more keys than fit, those used least recently leave memory, and no key becomes new."""
    configured(root, memoryMaxSize=2)
    dedupe = start().dedupe
    for key in "ab":
        dedupe.check_and_record(key)
    dedupe.check_and_record("a")

    dedupe.check_and_record("c")

    assert [dedupe.check_and_record(key) for key in "acb"] == [False, False, False]
    assert (dedupe.stats().memory_hits, dedupe.stats().file_hits) == (3, 1)
    assert dedupe.statistics().memory_size == 2


def test_the_oldest_leave_when_there_are_too_many(root, start, clock) -> None:
    """Of more marks than a namespace may have, the oldest leave, also of those of one moment."""
    configured(root, fileMaxEntries=3)
    dedupe = start().dedupe
    for key in "abcd":
        dedupe.check_and_record(key)
    clock.advance(1)
    dedupe.check_and_record("e")

    dedupe.clear_memory()

    assert dedupe.stats().marks == 3
    assert [dedupe.seen(key) for key in "abcde"] == [False, False, True, True, True]


def test_a_renewed_mark_is_the_youngest(root, start, clock) -> None:
    """An expired key that is met again has not to leave for those that came meanwhile."""
    configured(root, fileMaxEntries=2, ttlMs=1000)
    dedupe = start().dedupe
    dedupe.check_and_record("a")
    clock.advance(1)
    for key in "bca":
        dedupe.check_and_record(key)

    dedupe.clear_memory()

    assert [dedupe.seen(key) for key in "abc"] == [True, False, True]


def test_a_changed_configuration_counts_at_once(start, clock) -> None:
    """Another time to live counts for the next check, of memory and of disk."""
    state = start()
    state.dedupe.check_and_record("a")
    clock.advance(60)

    state.config.set("caches.dedupe.ttlMs", 30_000)

    assert state.dedupe.check_and_record("a")


@pytest.mark.parametrize("name", ["ttlMs", "memoryMaxSize", "fileMaxEntries"])
@pytest.mark.parametrize("wrong", ["1d", -5, 1.5, None, True, []])
def test_a_wrong_setting_is_named(root, start, name, wrong) -> None:
    """A setting that somebody wrote wrongly is an error that names it, also in mid-run."""
    dedupe = start().dedupe
    dedupe.check_and_record("a")

    configured(root, **{name: wrong})

    with pytest.raises(ConfigError, match=f"caches.dedupe.{name}"):
        dedupe.check_and_record("b")
    configured(root, **{name: 5})
    assert dedupe.check_and_record("b")


def test_what_is_forgotten_is_new(dedupe) -> None:
    """A key that is forgotten is new again; forgetting an unknown one is told."""
    dedupe.check_and_record("a")

    assert dedupe.forget(" a ") is True
    assert dedupe.forget("a") is False
    assert not dedupe.seen("a")
    assert dedupe.check_and_record("a")


def test_what_is_forgotten_meanwhile_is_not_remembered() -> None:
    """A mark that was read before it was forgotten does not come back into memory."""
    memory, settings = SeenCache(), DedupeSettings()
    epoch = memory.epoch

    memory.forget(("t", "a"))

    assert not memory.remember(("t", "a"), 1.0, Counters(), epoch, settings)
    assert memory.remember(("t", "a"), 1.0, Counters(), memory.epoch, settings)
    memory.clear()
    assert not memory.holds(("t", "a"), 0.0, settings)


def test_looking_records_nothing(root, dedupe) -> None:
    """`seen` makes no mark, no file and no memory of one."""
    assert not dedupe.seen("a")

    assert not root.exists()
    assert dedupe.check_and_record("a")


def test_warming_up_remembers_the_newest(root, start, clock) -> None:
    """As many of the newest marks as fit come into memory, and are met there."""
    configured(root, memoryMaxSize=2)
    first = start().dedupe
    for key in "abc":
        first.check_and_record(key, "t")
        clock.advance(1)

    later = start().dedupe
    assert later.warm_up("t") == 2

    assert [later.check_and_record(key, "t") for key in "bca"] == [False, False, False]
    assert (later.stats("t").memory_hits, later.stats("t").file_hits) == (2, 1)


def test_pruning_removes_what_expired(dedupe, clock) -> None:
    """Expired marks go when they are pruned, of one namespace or of all, and are counted."""
    for namespace in ("t", "m"):
        dedupe.check_and_record("a", namespace)
        dedupe.check_and_record("b", namespace)
    clock.advance(DAY)

    assert dedupe.prune("t") == 2
    assert dedupe.stats("t").expired == 0
    assert dedupe.stats("m").expired == 2
    assert dedupe.prune() == 2
    assert dedupe.prune() == 0


def test_a_mark_from_the_future_is_one_of_now(root, start, clock) -> None:
    """What a clock that ran ahead left behind counts as seen, and displaces no new mark."""
    configured(root, fileMaxEntries=2)
    dedupe = start().dedupe
    clock.advance(1000 * DAY)
    for key in "ab":
        dedupe.check_and_record(key)
    clock.advance(-1000 * DAY)
    dedupe.clear_memory()
    assert not dedupe.check_and_record("b")

    assert dedupe.check_and_record("c")

    dedupe.clear_memory()
    assert not dedupe.check_and_record("c")
    assert dedupe.stats().marks == 2


def test_a_clock_before_the_epoch_marks_as_well(dedupe, clock) -> None:
    """On a machine whose clock starts at 0 a key is new once, too."""
    clock.now = 0.0

    assert dedupe.check_and_record("a")
    dedupe.clear_memory()
    assert not dedupe.check_and_record("a")


def test_many_keys_at_once(dedupe) -> None:
    """Many keys are marked in one step; a key that comes twice is new once."""
    dedupe.check_and_record("b")

    assert dedupe.check_many(["a", "b", " a", "c"]) == [True, False, False, True]
    assert dedupe.check_many(["a", "d"]) == [False, True]
    assert dedupe.check_many([]) == []
    found = dedupe.stats()
    assert (found.marks, found.new) == (4, 4)


def test_statistics_count_every_answer(start, clock) -> None:
    """New keys and hits of memory and disk are counted, by namespace and in total."""
    start().dedupe.check_and_record("a", "t")
    dedupe = start().dedupe
    for key in ("a", "a", "b"):
        dedupe.check_and_record(key, "t")
    dedupe.check_and_record("a", "m")

    found = dedupe.statistics()

    assert (found.memory_hits, found.file_hits, found.new, found.errors) == (1, 1, 2, 0)
    assert (found.marks, found.memory_size) == (3, 3)
    space = found.namespaces["t"]
    assert (space.memory_hits, space.file_hits, space.new, space.marks) == (1, 1, 1, 2)
    assert space.newest == clock.now


def test_threads_of_one_key_agree_on_one(dedupe) -> None:
    """Of threads that ask for the same keys at once, exactly one is told that a key is new."""
    keys = [f"k{number}" for number in range(12)]
    barrier = threading.Barrier(6)

    def ask():
        barrier.wait()
        return [key for key in keys if dedupe.check_and_record(key)]

    with ThreadPoolExecutor(6) as pool:
        found = [future.result() for future in [pool.submit(ask) for _ in range(6)]]

    assert sorted(key for each in found for key in each) == sorted(keys)


def test_few_namespaces_are_kept_open(dedupe) -> None:
    """Any number of namespaces works while the memory that they take is bounded."""
    names = [f"n{number}" for number in range(MOST_OPEN + 5)]
    for name in names:
        assert dedupe.check_and_record("a", name)

    assert len(dedupe._namespaces.items()) == MOST_OPEN
    dedupe.clear_memory()
    assert not any(dedupe.check_and_record("a", name) for name in names)
    found = dedupe.statistics()
    assert set(found.namespaces) == set(names)
    assert (found.new, found.file_hits) == (len(names), len(names))


LONG = "x" * 300


def test_every_namespace_is_found_again(start) -> None:
    """Another process finds all namespaces, those whose file has a digest for a name as well."""
    names = sorted([LONG, "é", "A", "a", "../../etc/passwd", "con", ".namespaces", "a/b", "%"])
    first = start().dedupe
    for name in names:
        assert first.check_and_record("k", name)

    later = start().dedupe

    assert list(later.namespaces()) == names
    assert not any(later.check_and_record("k", name) for name in names)


def test_a_closed_state_answers_nothing(start) -> None:
    """After `close` even a key in memory is not answered for."""
    state = start()
    state.dedupe.check_and_record("a")

    state.close()

    for call in (state.dedupe.check_and_record, state.dedupe.seen):
        with pytest.raises(ClosedError):
            call("a")
    with pytest.raises(ClosedError):
        state.dedupe.check_and_record("b", fail_open=True)


# What only a file can do.


def test_the_file_is_as_openclaw_has_it(tmp_path, clock) -> None:
    """The file is a flat object of milliseconds in pretty JSON with a line end, and private."""
    dedupe = in_file(tmp_path, clock)
    dedupe.check_and_record("a")
    clock.advance(0.5)
    dedupe.check_and_record("b")

    path = tmp_path / "marks" / "global.json"

    assert path.read_text() == '{\n  "a": 1800000000000,\n  "b": 1800000000500\n}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_files_of_a_state_lie_in_dedupe(tmp_path, clock) -> None:
    """A namespace has the file of its encoded name in `dedupe`."""
    with clawstate.open(tmp_path, store="file", clock=clock) as state:
        state.dedupe.check_and_record("a", "agent:main")

        assert content(tmp_path / "dedupe/agent%3amain.json") == {"a": 1_800_000_000_000}
        assert state.paths.dedupe("agent:main").exists()


def test_what_is_no_mark_is_ignored_and_stays(tmp_path, clock) -> None:
    """Members that are no positive numbers are no marks, and stay in the file untouched."""
    path = tmp_path / "marks" / "global.json"
    path.parent.mkdir(mode=0o700)
    odd = {
        "s": "1800000000000",
        "n": None,
        "t": True,
        "z": 0,
        "m": -5,
        "o": {"x": 1},
        "x" * 2000: [],
    }
    path.write_text(json.dumps({**odd, "f": 1_799_999_999_999.5, "old": 5}))
    dedupe = in_file(tmp_path, clock, file_max_entries=2)

    assert not dedupe.check_and_record("f")
    assert dedupe.check_and_record("new")

    assert content(path) == {**odd, "f": 1_799_999_999_999.5, "new": 1_800_000_000_000}
    assert dedupe.check_and_record("s")
    assert content(path) == {
        **{key: value for key, value in odd.items() if key != "s"},
        "new": 1_800_000_000_000,
        "s": 1_800_000_000_000,
    }


def test_a_known_key_writes_nothing(tmp_path, clock) -> None:
    """Meeting a key again leaves the file as it is."""
    dedupe = in_file(tmp_path, clock, memory_max_size=0)
    dedupe.check_and_record("a")
    path = tmp_path / "marks" / "global.json"
    before = path.stat()

    dedupe.check_and_record("a")
    dedupe.check_many(["a", "a"])

    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns


DAMAGE = (
    b"",
    b"{",
    b'{"a": 1',
    b"null",
    b"[]",
    b'"a"',
    b"\xff",
    b"NaN",
    b"\0" * 9,
)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_not_overwritten(tmp_path, clock, damage) -> None:
    """Where marks cannot be read no key counts as new by default, and the file stays as it is."""
    dedupe = in_file(tmp_path, clock)
    path = tmp_path / "marks" / "global.json"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(damage)

    for call in (
        lambda: dedupe.check_and_record("a"),
        lambda: dedupe.check_many(["a"]),
        lambda: dedupe.forget("a"),
        lambda: dedupe.prune("global"),
    ):
        with pytest.raises(CorruptError, match=r"global\.json"):
            call()
    with pytest.warns(CorruptWarning):
        assert not dedupe.seen("a")

    assert path.read_bytes() == damage


def test_failing_open_is_a_choice(tmp_path, clock) -> None:
    """Who asks for it gets True where the disk fails, is told why, and nothing is remembered."""
    told = []
    dedupe = in_file(tmp_path, clock, on_disk_error=told.append)
    path = tmp_path / "marks" / "global.json"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"{")

    assert dedupe.check_and_record("a", fail_open=True)
    assert dedupe.check_many(["a", "b", "a"], fail_open=True) == [True, True, False]
    with pytest.raises(CorruptError):
        dedupe.check_and_record("a")

    assert [error.code for error in told] == ["corrupt"] * 3
    path.write_text("{}")
    assert dedupe.stats().errors == 3
    assert dedupe.check_and_record("a")
    assert not dedupe.check_and_record("a")


def test_failing_open_can_be_the_rule(tmp_path, clock) -> None:
    """Constructed to fail open, a store raises only where a call asks for it."""
    dedupe = in_file(tmp_path, clock, fail_open=True)
    (tmp_path / "marks").write_text("no directory")

    assert dedupe.check_and_record("a")
    assert dedupe.check_and_record("a")
    with pytest.raises((UnavailableError, InvalidError)):
        dedupe.check_and_record("a", fail_open=False)
    with pytest.raises(InvalidError):
        dedupe.check_and_record("", fail_open=True)


def test_a_lock_that_is_not_free_is_an_error(tmp_path, clock) -> None:
    """A key is not new because somebody else holds the lock: that is an error that names it."""
    dedupe = in_file(tmp_path, clock, lock=LockOptions(timeout=0.05))
    path = tmp_path / "marks" / "global.json"
    held, done = threading.Event(), threading.Event()

    def hold():
        with FileLock(path):
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        with pytest.raises(LockTimeoutError, match=r"global\.json"):
            dedupe.check_and_record("a")
    finally:
        done.set()
        holder.join()

    assert dedupe.check_and_record("a")


def test_two_stores_of_one_file_agree(tmp_path, clock) -> None:
    """What one store of a file marked is known to another at once."""
    one, other = in_file(tmp_path, clock), in_file(tmp_path, clock)

    assert one.check_and_record("a")
    assert not other.check_and_record("a")
    assert other.check_and_record("b")
    assert not one.check_and_record("b")


def test_any_collections_will_do(clock) -> None:
    """A store of one's own collections sweeps what is too many, and knows what it was asked for."""
    backend = InMemoryBackend()
    settings = DedupeSettings(ttl=10, memory_max_size=0, file_max_entries=16)

    def collection(name):
        path = PurePosixPath(f"{name}.json")
        return backend.collection(marks_spec(name, path, lambda: settings.policy(clock())))

    dedupe = PersistentDedupe(collection, settings=lambda: settings, clock=clock)
    for number in range(100):
        clock.advance(0.001)
        assert dedupe.check_and_record(f"k{number}", "t")
        assert dedupe.stats("t").marks <= 16 + 16 // 8

    assert dedupe.namespaces() == ("t",)
    assert all(dedupe.seen(f"k{number}", "t") for number in range(84, 100))


@pytest.mark.parametrize(
    "settings",
    [
        {"ttl": -1},
        {"ttl": float("nan")},
        {"ttl": float("inf")},
        {"memory_max_size": -1},
        {"file_max_entries": -1},
        {"file_max_entries": 1.5},
    ],
)
def test_senseless_settings_are_refused(tmp_path, clock, settings) -> None:
    """A negative or endless number is refused when the store is made."""
    with pytest.raises(InvalidError):
        in_file(tmp_path, clock, **settings)


def test_a_link_is_not_followed(tmp_path, clock) -> None:
    """A link in the place of a file of marks is refused, and its target untouched."""
    dedupe = in_file(tmp_path, clock)
    target = tmp_path / "target.json"
    target.write_text("{}")
    (tmp_path / "marks").mkdir(mode=0o700)
    (tmp_path / "marks" / "global.json").symlink_to(target)

    with pytest.raises(InvalidError, match="link"):
        dedupe.check_and_record("a")

    assert target.read_text() == "{}"
