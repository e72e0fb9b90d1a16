"""What moved in a state, in which part, by any process."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import zlib
from pathlib import Path, PurePosixPath

import pytest

import clawstate
from clawstate.errors import ClosedError, InvalidError
from clawstate.records.contract import CollectionSpec
from clawstate.records.layouts import MapLayout
from clawstate.sqlite import change_log
from clawstate.state.feed import Changes, PartChange
from feed_writer import CHANGES, NOTES

WRITER = Path(__file__).with_name("feed_writer.py")
SOURCE = Path(clawstate.__file__).parents[1]
ENGINES = ("file", "sqlite")
PATIENCE = 30.0  # seconds
MESSAGE = {"role": "user", "content": "hello"}
TIMES = 12

LOOK = """
import json, sys
import clawstate
with clawstate.open(sys.argv[1], store=sys.argv[2]) as state:
    found = state.changes(sys.argv[3])
    print(json.dumps([found.cursor, [[i.part, i.keys] for i in found.items], found.complete]))
"""


def run(*arguments):
    """Return a running Python of its own that knows clawstate."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(WRITER.parent)])}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


class Heard:
    """What a subscriber was told, in its order."""

    def __init__(self):
        self.told: list[Changes] = []
        self._news = threading.Condition()

    def __call__(self, changes):
        with self._news:
            self.told.append(changes)
            self._news.notify_all()

    def keys(self, part):
        """Return all keys of *part* in the order in which they were told first."""
        found = [key for each in self.items(part) for key in each.keys or ()]
        return list(dict.fromkeys(found))

    def items(self, part):
        return [item for each in self.told for item in each.items if item.part == part]

    def until(self, reached):
        """Wait until *reached* of what was told so far."""
        with self._news:
            assert self._news.wait_for(lambda: reached(self), PATIENCE), self.told


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def state(tmp_path, engine):
    with clawstate.open(tmp_path / "s", store=engine) as opened:
        yield opened


def parts(found):
    return {each.part: each.keys for each in found.items}


@pytest.mark.parametrize("part", CHANGES)
def test_a_change_is_told_with_its_part_and_key(state, engine, part) -> None:
    """Whatever another opened state changes is told by its part, and by its key if it has one."""
    state.collection(NOTES)
    with clawstate.open(state.paths.root, store=engine) as other:
        cursor = state.changes().cursor
        for number in range(2):  # first the part is made, then it is changed
            key = CHANGES[part](other, number)

            found = state.changes(cursor)
            cursor = found.cursor

            assert found.complete
            assert part in parts(found)
            assert parts(found)[part] is None if not key else key in parts(found)[part]
            assert state.changes(cursor).items == ()


def test_a_subscriber_misses_no_change_of_another_process(state, engine) -> None:
    """All that a process changed is told to a subscriber in another, numbered changes in order."""
    state.collection(NOTES)
    heard = Heard()
    with (
        state.subscribe(heard, interval=0.005),
        run(WRITER, state.paths.root, engine, TIMES) as writer,
    ):
        out, _ = writer.communicate("go\n", timeout=PATIENCE)
        written: dict[str, list[str]] = {}
        for part, *key in map(str.split, out.splitlines()):
            written.setdefault(part, []).extend(key)
        heard.until(lambda it: all({*keys} <= {*it.keys(part)} for part, keys in written.items()))
        heard.until(lambda it: all(it.items(part) for part in written))

    assert writer.returncode == 0
    assert {*written} == {*CHANGES}
    assert all(each.complete for each in heard.told)
    rows = (
        {*written} - {"config", "pairing", "device-auth"}
        if engine == "sqlite"
        else {"memory", "transcripts"}
    )
    for part in rows:
        assert [key for key in heard.keys(part) if key in written[part]] == written[part]


def test_a_cursor_is_good_in_another_process(state, engine) -> None:
    """What moved since a cursor is told by another process as well, and nothing else."""
    for change in CHANGES.values():
        change(state, 0)
    cursor = state.changes().cursor
    state.sessions.resolve("new")
    state.memory.add("one more")

    def look(since):
        with run("-c", LOOK, state.paths.root, engine, since) as process:
            out, _ = process.communicate(timeout=PATIENCE)
        return json.loads(out)

    later, items, complete = look(cursor)

    assert complete
    assert {part for part, _ in items} == {"sessions", "memory"}
    assert look(later)[1:] == [[], True]
    assert state.changes(later).items == ()


def test_a_subscription_goes_on_at_a_cursor(state, engine) -> None:
    """A subscriber that starts again at its cursor is told what moved while nobody looked."""
    heard = Heard()
    with state.subscribe(heard, interval=0.005) as subscription:
        state.sessions.resolve("one")
        heard.until(lambda it: "one" in it.keys("sessions"))
    state.sessions.resolve("two")
    state.transcripts.append("t", MESSAGE)

    again = Heard()
    with (
        clawstate.open(state.paths.root, store=engine) as other,
        other.subscribe(again, since=subscription.cursor, interval=0.005),
    ):
        again.until(lambda it: it.items("sessions") and it.items("transcripts"))
    assert "one" not in again.keys("sessions")
    assert again.keys("transcripts") == ["t"]


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "1.", "1.AAAA", "1.eJw=", "2.eJyrVipJLS4BAA0GAtk=", "1." + "A" * 100_000, "é"],
)
def test_an_unknown_cursor_is_told(state, cursor) -> None:
    """A cursor that is none is no error: anything may have moved, and the new one is good."""
    state.memory.add("a blue lobster")

    found = state.changes(cursor)

    assert not found.complete
    assert state.changes(found.cursor) == Changes(found.cursor)


def packed(content):
    """Return a cursor that holds *content*, text or what becomes JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    return "1." + base64.urlsafe_b64encode(zlib.compress(text.encode())).decode()


def unpacked(cursor):
    return json.loads(zlib.decompress(base64.urlsafe_b64decode(cursor[2:])))


FORGED = {
    "deep": "[" * 200_000,
    "deep objects": '{"files":' * 100_000,
    "large": {"files": {}, "rows": ".18446744073709551615", "log": "9223372036854775808.1"},
    "long": {"files": {}, "rows": "." + "9" * 100, "log": "9" * 100 + ".1"},
    "numbers": {"files": {}, "rows": 1, "log": [1]},
    "zero byte": {"files": {"notes": {"a\0b": "x"}}},
    "half a character": '{"files":{"notes":{"\\ud800":"x"}}}',
    "half a part": '{"files":{"auth:\\ud800":{"x":"x"}}}',
    "absolute": {"files": {"notes": {"/dev/zero": "x"}}},
    "above": {"files": {"notes": {"../outside": "x"}}},
    "no name": {"files": {"notes": {"": "x"}}},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_cursor_is_told(state, forged) -> None:
    """Whatever a cursor holds, it ends in no error: anything may have moved."""
    state.memory.add("a blue lobster")
    heard = Heard()

    found = state.changes(packed(forged))
    with state.subscribe(heard, since=packed(forged), interval=0.005):
        heard.until(lambda it: it.told)
        state.sessions.resolve("main")
        heard.until(lambda it: it.items("sessions"))

    assert not found.complete
    assert not heard.told[0].complete
    assert state.changes(found.cursor).complete


@pytest.mark.parametrize("part", ["sessions", "notes", "config", "auth:x"])
def test_a_cursor_chooses_no_file(state, tmp_path, part) -> None:
    """A file that the feed does not look at by itself is not read because a cursor names it."""
    state.sessions.resolve("main")
    (tmp_path / "outside").write_text("1234")
    (state.paths.root / "inside").write_text("1234")
    names = [str(tmp_path / "outside"), "../outside", "inside"]

    found = state.changes(packed({"files": {part: dict.fromkeys(names, "x")}}))

    kept = unpacked(found.cursor)["files"].get(part, {})
    assert {kept.get(name, "x") for name in names} == {"x"}


def test_a_file_that_is_not_listed_any_longer_is_told(state) -> None:
    """Where a part of the state lay in a file that is none of it now, the part has moved."""
    cursor = unpacked(state.changes().cursor)
    cursor["files"].setdefault("sessions", {})["agents/gone/sessions/sessions.json"] = "x"

    found = state.changes(packed(cursor))

    assert found.complete
    assert found.items == (PartChange("sessions"),)
    assert state.changes(found.cursor).items == ()


@pytest.mark.parametrize("since", [1, b"x", True])
def test_what_is_no_text_is_no_cursor(state, since) -> None:
    """A cursor that is no text is `InvalidError`."""
    with pytest.raises(InvalidError):
        state.changes(since)
    with pytest.raises(InvalidError):
        state.subscribe(print, since=since)


def test_a_cursor_gets_too_old(state, monkeypatch) -> None:
    """The log of a database forgets the oldest, and says so to whoever asks from there."""
    monkeypatch.setattr(change_log, "REMEMBERED", 5)
    monkeypatch.setattr(change_log, "FORGOTTEN_AT_ONCE", 1)
    state.transcripts.append("s", MESSAGE)
    old, newer = state.changes().cursor, None
    for number in range(8):
        state.transcripts.append(f"s{number}", MESSAGE)
        newer = newer or (state.changes().cursor if number == 5 else None)

    assert not state.changes(old).complete
    assert state.changes(newer).items == (PartChange("transcripts", ("s6", "s7")),)
    with state.transcripts._log._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM clawstate_changes").get == 5


@pytest.mark.parametrize("database", ["memory/memory.db", "state/records.db"])
def test_a_restored_backup_is_recognised(tmp_path, database) -> None:
    """A cursor from changes that a backup took back is not taken for one of the new history."""
    root = tmp_path / "s"

    def change(number):
        with clawstate.open(root, store="sqlite") as state:
            state.memory.add(f"lobster {number}")
            state.sessions.resolve(f"k{number}")
            return state.changes().cursor

    known = change(0)
    shutil.copy(root / database, tmp_path / "backup")
    lost = change(1)
    shutil.copy(tmp_path / "backup", root / database)
    change(2)

    with clawstate.open(root, store="sqlite") as state:
        assert not state.changes(lost).complete
        assert state.changes(known).complete


def test_a_database_that_is_gone_is_told(tmp_path) -> None:
    """Where the database of a cursor is not there any longer, anything may have moved."""
    root = tmp_path / "s"
    with clawstate.open(root, store="sqlite") as state:
        state.memory.add("a blue lobster")
        state.sessions.resolve("main")
        cursor = state.changes().cursor
    for name in ("memory", "state"):
        moved = tmp_path / name
        (root / name).rename(moved)
        with clawstate.open(root, store="sqlite") as state:
            assert not state.changes(cursor).complete
        moved.rename(root / name)


def test_changes_of_memory_name_their_records(state) -> None:
    """Additions, edits, removals and what expired are told by the ids of the records."""
    first, second = (state.memory.add(f"lobster {n}") for n in range(2))
    cursor = state.changes().cursor

    def moved():
        nonlocal cursor
        found = state.changes(cursor)
        cursor = found.cursor
        return parts(found).get("memory")

    state.memory.update(first, tags=["blue"])
    assert moved() == (first,)
    state.memory.delete(second)
    state.memory.delete(first)
    assert moved() == (second, first)
    state.memory.delete(first)
    assert moved() is None


def test_removed_messages_are_told(state) -> None:
    """A fork and a removal of messages are changes of their sessions."""
    (message,) = state.transcripts.append("a", MESSAGE)
    cursor = state.changes().cursor

    state.transcripts.fork("a", message, "b")
    state.transcripts.delete("a")

    assert parts(state.changes(cursor))["transcripts"] == ("b", "a")


def test_nothing_is_told_of_writes_that_change_nothing(state) -> None:
    """What is written as it was, or read, is no change."""
    state.sessions.resolve("main")
    state.config.set("gateway.port", 18_790)
    state.transcripts.append("s", MESSAGE, turn="t")
    cursor = state.changes().cursor

    state.sessions.resolve("main")
    state.config.set("gateway.port", 18_790)
    state.transcripts.append("s", MESSAGE, turn="t")
    state.memory.search("lobster", mode="words")

    assert state.changes(cursor).items == ()


def test_many_keys_are_told_as_all(state, monkeypatch) -> None:
    """Where more keys moved than are noted, anything of the part may have moved."""
    monkeypatch.setattr(change_log, "MOST_KEYS", 3)
    cursor = state.changes().cursor
    state.memory.add_many([{"text": f"lobster {n}"} for n in range(4)])

    found = state.changes(cursor)

    assert found.complete
    assert parts(found) == {"memory": None}


def test_a_large_file_is_told_without_keys(tmp_path) -> None:
    """A file of more than a megabyte is not parsed for its keys; each change of it is told."""
    with clawstate.open(tmp_path / "s", store="file") as state:
        for key in "ab":
            state.sessions.resolve(key)
            state.sessions.update(key, {"note": "x" * 600_000})
        cursor = state.changes().cursor

        for note in ("y", "z"):
            state.sessions.update("a", {"note": note * 600_000})
            found = state.changes(cursor)
            cursor = found.cursor
            assert parts(found) == {"sessions": None}


def test_files_that_settings_move_are_told(tmp_path) -> None:
    """Sessions of agents and pairing requests are told wherever the settings have them."""
    with clawstate.open(tmp_path / "s", store="file") as state:
        state.config.set("session.store", "elsewhere/{agentId}/index.json")
        state.config.set("pairing.path", str(tmp_path / "outside" / "requests.json"))
        cursor = state.changes().cursor

        state.sessions.resolve("agent:work:main")
        found = state.changes(cursor)
        state.pairing.request(user_id="u", device_id="d")

        assert parts(found) == {"sessions": ("agent:work:main",)}
        assert "pairing" in parts(state.changes(found.cursor))


def test_no_code_is_told(state) -> None:
    """The code of a pairing request, which lets a device in, is told to no subscriber."""
    cursor = state.changes().cursor

    code = state.pairing.request(user_id="u", device_id="d").code
    found = state.changes(cursor)

    assert parts(found)["pairing"] is None
    assert code not in repr(found)


def test_secret_keys_of_a_collection_are_told_to_nobody(state) -> None:
    """A change of a collection whose spec has secret keys is told, without the keys."""
    spec = CollectionSpec("doors", PurePosixPath("doors.json"), MapLayout(), secret_keys=True)
    doors = state.collection(spec)
    cursor = state.changes().cursor

    doors.put("open-sesame", 1)
    found = state.changes(cursor)

    assert parts(found) == {"doors": None}


def test_another_place_of_the_memory_is_told(state, tmp_path) -> None:
    """Where the settings name another database, anything may have moved."""
    state.memory.add("a blue lobster")
    cursor = state.changes().cursor

    state.config.set("memory.store.path", str(tmp_path / "other.db"))

    assert not state.changes(cursor).complete


def test_a_damaged_file_is_told_and_the_feed_goes_on(tmp_path) -> None:
    """A file that became unreadable has changed; so have others, and it when it is mended."""
    with clawstate.open(tmp_path / "s", store="file") as state:
        state.sessions.resolve("main")
        whole = state.paths.sessions_index.read_bytes()
        cursor = state.changes().cursor
        moved = []
        for content in (b"{", whole):
            state.paths.sessions_index.write_bytes(content)
            found = state.changes(cursor)
            cursor = found.cursor
            moved.append({*parts(found)})

        assert moved == [{"sessions"}, {"sessions"}]


def test_an_error_of_a_callback_ends_nothing(state, monkeypatch) -> None:
    """An error of a callback goes to the hook of threads, and what comes next is told as well."""
    errors, heard = [], Heard()
    monkeypatch.setattr(threading, "excepthook", lambda each: errors.append(each.exc_type))

    def fail(changes):
        heard(changes)
        raise ZeroDivisionError

    with state.subscribe(fail, interval=0.005):
        for number in range(3):
            state.sessions.resolve(f"k{number}")
            heard.until(lambda it, key=f"k{number}": key in it.keys("sessions"))

    assert set(errors) == {ZeroDivisionError}
    assert len(errors) >= 3


def test_an_unexpected_error_of_a_look_ends_nothing(state, monkeypatch) -> None:
    """A look that fails in a way that nobody foresaw is reported once, and the next one tells."""
    errors, heard, real = [], Heard(), os.lstat
    broken = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda each: errors.append(each.exc_type))
    reported = threading.Event()

    def lstat(*given, **named):
        if broken.is_set() and threading.current_thread().name == "clawstate feed":
            if errors:
                reported.set()
            raise ZeroDivisionError
        return real(*given, **named)

    monkeypatch.setattr(os, "lstat", lstat)
    with state.subscribe(heard, interval=0.005):
        broken.set()
        state.sessions.resolve("k")
        assert reported.wait(30)
        broken.clear()
        heard.until(lambda it: "k" in it.keys("sessions"))

    assert errors == [ZeroDivisionError]


def feeders():
    return [each for each in threading.enumerate() if each.name == "clawstate feed"]


def test_a_thread_runs_only_for_subscribers(state) -> None:
    """No thread looks for changes before somebody subscribed, nor after the last one closed."""
    state.changes()
    assert feeders() == []

    with state.subscribe(lambda _: None) as one, state.subscribe(lambda _: None):
        assert len(feeders()) == 2
        one.close()
        one.close()
        assert len(feeders()) == 1

    assert feeders() == []


def test_closing_the_state_ends_subscriptions(tmp_path, engine) -> None:
    """A closed state has no feed: its threads end, and a call is `ClosedError`."""
    with clawstate.open(tmp_path / "s", store=engine) as state:
        state.subscribe(lambda _: None)

    assert feeders() == []
    with pytest.raises(ClosedError):
        state.changes()
    with pytest.raises(ClosedError):
        state.subscribe(lambda _: None)


def test_a_callback_may_close_its_subscription(state) -> None:
    """A subscription that is closed from its callback is over when that returns."""
    heard, made = Heard(), []

    def once(changes):
        made[0].close()
        heard(changes)

    made.append(state.subscribe(once, interval=0.005))
    state.sessions.resolve("one")
    heard.until(lambda it: it.told)
    made[0]._watcher._thread.join(PATIENCE)
    state.sessions.resolve("two")

    assert feeders() == []
    assert len(heard.told) == 1


@pytest.mark.parametrize("interval", [-1, float("nan"), "1", None])
def test_an_interval_is_seconds(state, interval) -> None:
    """An interval that is no number of seconds is `InvalidError`, and no thread is left."""
    with pytest.raises(InvalidError):
        state.subscribe(lambda _: None, interval=interval)

    assert feeders() == []


def test_looking_makes_nothing(tmp_path, engine) -> None:
    """A look at what moved makes no file, also where there is no state yet."""
    with clawstate.open(tmp_path / "s", store=engine) as state:
        cursor = state.changes().cursor
        assert state.changes(cursor) == Changes(cursor)

    assert not (tmp_path / "s").exists()
