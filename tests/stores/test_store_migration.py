"""Moving all records of a state to another engine, whatever comes in between."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import (
    ConfigError,
    CorruptError,
    ElsewhereWarning,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from clawstate.state import record_moves, record_sources
from clawstate.state.engines import engine_of
from clawstate.state.left_behind import find_left_behind
from clawstate.state.moved_records import summarise
from clawstate.state.record_conflicts import put_back
from clawstate.state.record_moves import migrate
from clawstate.state.record_places import record_places

KEY = {"type": "api_key", "provider": "openai", "key": "sk-made-up"}
TOKEN = {"type": "token", "provider": "github", "token": "made-up-token"}


@pytest.fixture
def root(tmp_path, clock) -> Path:
    """Return a state with records of every store."""
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        state.auth().upsert("openai:a", KEY)
        state.auth("work").upsert("github:b", TOKEN)
        for name in ("a", "b", "gone"):
            state.sessions.resolve(name)
        state.sessions.update("a", {"label": "first"})
        state.sessions.delete("gone")
        state.pairing.approve(state.pairing.request(user_id="ada", device_id="phone").code)
        state.pairing.request(user_id="ada", device_id="tablet")
        for space in ("telegram", "x" * 300):
            state.dedupe.check_and_record("update-1", namespace=space)
    return tmp_path / "state"


def contents(root: Path, clock) -> dict[str, object]:
    with clawstate.open(root, clock=clock) as state:
        found = {
            "main": {each.id: each.credential for each in state.auth().profiles()},
            "work": {each.id: each.credential for each in state.auth("work").profiles()},
            "sessions": [each.document() for each in state.sessions.entries()],
            "archived": [each.archive for each in state.sessions.archived()],
            "pending": [each.device_id for each in state.pairing.pending()],
            "devices": [each.device_id for each in state.devices.paired()],
            "spaces": state.dedupe.namespaces(),
            "seen": [state.dedupe.seen("update-1", namespace=each) for each in ("telegram",)],
        }
        assert find_left_behind(state._context).counts == {}
    return found


def moved(root: Path, to: str, clock) -> record_moves.Migration:
    with clawstate.open(root, clock=clock) as state:
        return migrate(state._context, to)


def test_every_record_is_there_in_the_other_engine_and_back(root, clock) -> None:
    """All stores answer the same from rows as from files, and again from files."""
    before = contents(root, clock)

    there = moved(root, "sqlite", clock)
    in_rows = contents(root, clock)
    back = moved(root, "file", clock)

    assert in_rows == before
    assert contents(root, clock) == before
    assert [(each.store, each.count) for each in there.moved[:4]] == [
        ("pairing requests", 1),
        ("devices", 1),
        ("credentials", 2),
        ("sessions", 2),
    ]
    assert sum(each.count for each in back.moved) >= sum(each.count for each in there.moved)


def test_the_source_is_kept_where_nothing_reads_it(root, clock) -> None:
    """The files that were moved lie aside, whole and private, with their last good copies."""
    before = (root / "agents/main/agent/auth-profiles.json").read_bytes()

    done = moved(root, "sqlite", clock)

    kept = done.aside / "agents/main/agent/auth-profiles.json"
    assert kept.read_bytes() == before
    assert kept.stat().st_mode & 0o077 == 0
    assert done.aside.stat().st_mode & 0o077 == 0
    assert not (root / "agents/main/agent/auth-profiles.json").exists()
    assert not (root / "sessions/sessions.json").exists()


def test_members_that_only_a_profile_has_come_along(root, clock) -> None:
    """What another program put into the file of a session is in its row."""
    profile = root / "sessions/profile/a.json"
    document = json.loads(profile.read_text())
    profile.write_text(json.dumps({**document, "theirs": {"x": 1}}))

    moved(root, "sqlite", clock)

    with clawstate.open(root, clock=clock) as state:
        assert state.sessions.require("a").fields["theirs"] == {"x": 1}


def test_a_migration_twice_moves_nothing_more(root, clock) -> None:
    """Where nothing is left there is nothing to do, and nothing is written."""
    moved(root, "sqlite", clock)

    assert moved(root, "sqlite", clock).moved == ()


def test_leftovers_come_in_beside_what_is_there(root, clock) -> None:
    """Records of the engine in use stay where both differ; the others come in."""
    moved(root, "sqlite", clock)
    with clawstate.open(root, store="file", clock=clock) as other:
        with pytest.warns(ElsewhereWarning):
            profiles = other.auth()
        profiles.upsert("openai:a", {**KEY, "key": "sk-of-the-file"})
        profiles.upsert("openai:c", KEY)

    done = moved(root, "sqlite", clock)

    assert done.moved[0].kept == ("profile/openai:a",)
    with clawstate.open(root, clock=clock) as state:
        assert {each.id for each in state.auth().profiles()} == {"openai:a", "openai:c"}
        assert state.auth().get("openai:a").key == KEY["key"]


def test_damaged_records_are_never_left_out(root, clock) -> None:
    """A file that cannot be read stops the migration, with the engine as it was."""
    (root / "state/devices.json").write_text("{")

    with pytest.raises(CorruptError, match=r"devices\.json"):
        moved(root, "sqlite", clock)

    with clawstate.open(root, clock=clock) as state:
        assert state._context.backends.choice == "file"
        assert len(state.sessions.entries()) == 2


@pytest.mark.parametrize("to", ["sqlite", "file"])
def test_an_open_state_never_writes_to_where_nobody_looks(root, clock, to) -> None:
    """A state that was open when records were moved refuses to write, and loses no record."""
    if to == "file":
        moved(root, "sqlite", clock)
    with clawstate.open(root, clock=clock) as old:
        old.auth().profiles()
        old.sessions.entries()
        old.devices.paired()
        old.dedupe.seen("k")
        moved(root, to, clock)

        for write in (
            lambda: old.auth().upsert("openai:late", KEY),
            lambda: old.sessions.resolve("late"),
            lambda: old.devices.revoke("phone"),
            lambda: old.dedupe.check_and_record("late"),
        ):
            with pytest.raises(UnavailableError, match="open the state again"):
                write()

    contents(root, clock)  # finds nothing left behind


@pytest.mark.parametrize("to", ["sqlite", "file"])
def test_an_open_state_never_reads_empty_where_records_were(root, clock, to) -> None:
    """A state that was open when records were moved says so, and shows no state without them."""
    if to == "file":
        moved(root, "sqlite", clock)
    with clawstate.open(root, clock=clock) as old:
        reads = (
            lambda: old.auth().profiles(),
            lambda: old.auth("work").get("github:b"),
            old.sessions.entries,
            lambda: old.sessions.get("a"),
            old.sessions.archived,
            old.pairing.pending,
            old.devices.paired,
        )
        for read in reads:
            assert read()
        moved(root, to, clock)

        for read in reads:
            with pytest.raises(UnavailableError, match="open the state again"):
                read()


def test_writers_wait_for_a_migration(root, clock) -> None:
    """While records are moved nobody writes; whoever waited is told where to go on."""
    failed: list[BaseException] = []
    with clawstate.open(root, clock=clock) as mover, clawstate.open(root, clock=clock) as writer:
        writer.sessions.entries()

        def write() -> None:
            try:
                writer.sessions.resolve("late")
            except UnavailableError as error:
                failed.append(error)

        with mover._context.backends.moving():
            thread = threading.Thread(target=write)
            thread.start()
            thread.join(0.2)
            assert thread.is_alive()
            mover.config.set("state.store", "sqlite")
        thread.join()

    assert len(failed) == 1


def test_a_setting_that_would_hide_records_is_refused(root, clock) -> None:
    """`state.store` changes with the records, not without them; the command is named."""
    with clawstate.open(root, clock=clock) as state:
        with pytest.raises(ConfigError, match="store migrate --to sqlite"):
            state.config.set("state.store", "sqlite")
        with pytest.raises(ConfigError, match="store migrate --to sqlite"):
            state.config.replace('{"state": {"store": "sqlite"}}')

        assert state.config.get("state.store", "file") == "file"


def test_undoing_the_setting_is_refused_as_well(root, clock) -> None:
    """A change that a migration made is undone by a migration, not by hiding the records again."""
    moved(root, "sqlite", clock)

    with clawstate.open(root, clock=clock) as state:
        with pytest.raises(ConfigError, match="store migrate --to file"):
            state.config.unset("state.store")
        with pytest.raises(ConfigError, match="store migrate --to file"):
            state.config.undo()


def test_another_place_of_the_sessions_is_refused_while_there_are_some(root, clock) -> None:
    """`session.store` hides no sessions unless that is forced."""
    with clawstate.open(root, clock=clock) as state:
        with pytest.raises(ConfigError, match="2 sessions"):
            state.config.set("session.store", "elsewhere/index.json")

        assert state.config.set("session.store", "elsewhere/index.json", force=True) is not None


def test_an_empty_state_takes_any_engine(tmp_path, clock) -> None:
    """Where nothing is kept yet, the setting alone chooses the engine."""
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        state.config.set("state.store", "sqlite")
        state.sessions.resolve("a")

        assert state._context.backends.choice == "sqlite"


def test_records_elsewhere_are_told_when_their_store_is_opened(root, clock) -> None:
    """A state that keeps its records in another engine warns, once for each store."""
    with clawstate.open(root, store="sqlite", clock=clock) as state:
        with pytest.warns(ElsewhereWarning, match=r"sessions \(2\)") as told:
            sessions = state.sessions
        sessions.entries()
        assert state.sessions is sessions
        with pytest.warns(ElsewhereWarning, match="dedupe marks"):
            state.dedupe.seen("update-1", namespace="telegram")

    assert len(told) == 1


def test_what_must_not_be_is_refused(root, clock) -> None:
    """Only known engines are targets, and none while an argument chooses another."""
    with pytest.raises(InvalidError):
        moved(root, "redis://h/db", clock)
    with clawstate.open(root, store="file", clock=clock) as state, pytest.raises(InvalidError):
        migrate(state._context, "sqlite")


def _killed(root: Path, to: str, clock, line: int) -> bool:
    """Run a migration in a child that dies at that *line* of it; False if it came to its end."""
    child = os.fork()
    if child == 0:
        left = line
        files = {record_moves.__file__, record_sources.__file__}

        def trace(frame, event, _arg):
            nonlocal left
            if frame.f_code.co_filename not in files:
                return None
            if event == "line":
                left -= 1
                if left <= 0:
                    os._exit(9)
            return trace

        sys.settrace(trace)
        moved(root, to, clock)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("to", ["sqlite", "file"])
@pytest.mark.parametrize("step", [40, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_kill_at_any_point_loses_nothing(root, clock, tmp_path, to, step) -> None:
    """Killed at any of many points and repeated, a migration gives what an undisturbed one does."""
    if to == "file":
        moved(root, "sqlite", clock)
    expected = contents(root, clock)
    points, line = 0, 3
    while True:
        copy = tmp_path / f"copy-{line}"
        shutil.copytree(root, copy)
        if not _killed(copy, to, clock, line):
            break
        points += 1
        moved(copy, to, clock)
        assert contents(copy, clock) == expected, line
        shutil.rmtree(copy)
        line += max(step, line * step // 150)
    assert points > 5


def test_a_migration_that_is_given_up_brings_nothing_back(root, clock) -> None:
    """Copies of a migration that was killed do not come in when records shall stay after all."""
    assert _killed(root, "sqlite", clock, 400)
    with clawstate.open(root, clock=clock) as state:
        state.sessions.delete("b")

    moved(root, "file", clock)

    with clawstate.open(root, clock=clock) as state:
        assert [each.session_key for each in state.sessions.entries()] == ["a"]
        assert find_left_behind(state._context).counts == {}


def test_what_was_deleted_after_a_kill_stays_deleted(root, clock) -> None:
    """A record that went while a migration lay half done does not come back with the next."""
    assert _killed(root, "sqlite", clock, 400)
    with clawstate.open(root, clock=clock) as state:
        assert state._context.backends.choice == "file"
        state.sessions.delete("b")

    moved(root, "sqlite", clock)

    with clawstate.open(root, clock=clock) as state:
        assert [each.session_key for each in state.sessions.entries()] == ["a"]


def test_beside_the_file_era_rows_come_into_the_shared_files(tmp_path, clock) -> None:
    """Leftover rows come into the files that OpenClaw shares, whose own entries stay."""
    root = tmp_path / "state"
    index = root / "agents/main/sessions/sessions.json"
    index.parent.mkdir(parents=True)
    theirs = {"sessionId": "11111111-1111-4111-8111-111111111111", "updatedAt": 1}
    index.write_text(json.dumps({"agent:main:main": theirs}))
    with clawstate.open(root, store="sqlite", clock=clock) as state:
        state.sessions.resolve("agent:main:main")
        state.sessions.resolve("telegram:1")
        state.auth().upsert("openai:a", KEY)

    done = moved(root, "file", clock)

    live = json.loads(index.read_text())
    assert live["agent:main:main"] == theirs
    assert "agent:main:telegram:1" in live
    assert [each.kept for each in done.moved if each.store == "sessions"] == [("agent:main:main",)]
    with clawstate.open(root, clock=clock) as state:
        assert state.auth().get("openai:a").key == KEY["key"]
        assert find_left_behind(state._context).counts == {}


def test_shared_files_are_not_moved_away_from_openclaw(root, clock) -> None:
    """Beside an OpenClaw of the file era nothing moves to rows: it needs its files."""
    (root / "cron").mkdir()

    with pytest.raises(InvalidError, match="OpenClaw"):
        moved(root, "sqlite", clock)

    assert (root / "agents/main/agent/auth-profiles.json").exists()


def split(root: Path, clock, *, said: str) -> tuple[str, str]:
    """Use the session `k` in files, then by hand in rows; return its ids there and there."""
    with clawstate.open(root, clock=clock) as state:
        first = state.sessions.resolve("k").session_id
        if "file" in said:
            state.transcripts.append(first, [{"role": "user", "content": "in files"}])
    (root / "openclaw.json").write_text('{"state": {"store": "sqlite"}}')
    with clawstate.open(root, clock=clock) as state:
        with pytest.warns(ElsewhereWarning):
            second = state.sessions.resolve("k").session_id
        if "rows" in said:
            state.transcripts.append(second, [{"role": "user", "content": "in rows"}])
    return first, second


@pytest.mark.parametrize("to", ["sqlite", "file"])
@pytest.mark.parametrize(
    ("said", "winner"), [("file", "file"), ("rows", "rows"), ("file rows", "used"), ("", "used")]
)
def test_of_two_sessions_of_a_key_the_one_with_messages_counts(
    tmp_path, clock, said, winner, to
) -> None:
    """The other one is named, and `restore` brings it back with its messages."""
    root = tmp_path / "state"
    ids = split(root, clock, said=said)  # rows are the engine in use
    wanted = ids[0] if winner == "file" else ids[1]
    other = ids[1] if winner == "file" else ids[0]

    done = moved(root, to, clock)

    with clawstate.open(root, clock=clock) as state:
        assert state.sessions.require("k").session_id == wanted
        (note,) = [each for part in done.moved for each in part.notes]
        assert wanted in note
        (archived,) = state.sessions.archived()
        assert f"clawstate sessions restore {archived.archive}" in note
        assert state.sessions.restore(archived.archive).session_id == other
        assert [each.session_id for each in state.sessions.archived()] == [wanted]
        said_there = {"file": 1 if "file" in said else 0, "rows": 1 if "rows" in said else 0}
        assert state.transcripts.count(other) == said_there["rows" if winner == "file" else "file"]


def test_a_session_begun_anew_before_a_move_is_carried_on_stays_the_one(root, clock) -> None:
    """What a killed move had copied is no other session: the one in use counts, messages or not."""
    with clawstate.open(root, clock=clock) as state:
        old = state.sessions.require("a").session_id
        state.transcripts.append(old, [{"role": "user", "content": "old"}])
        run = record_moves._Run(state._context, "sqlite", engine_of("file"), lambda *_: None)
        with pytest.MonkeyPatch.context() as patch, state._context.backends.moving():
            patch.setattr(run, "_choose", _fail)
            with pytest.raises(RuntimeError):
                run.run()
        new = state.sessions.reset("a").session_id

    moved(root, "sqlite", clock)

    with clawstate.open(root, clock=clock) as state:
        assert state.sessions.require("a").session_id == new


def _fail() -> None:
    raise RuntimeError("killed")


def test_a_record_that_lost_its_place_is_named_and_can_be_put_back(root, clock) -> None:
    """Of two credentials of one id neither vanishes: `put_back` swaps them, and again."""
    moved(root, "sqlite", clock)
    with (
        clawstate.open(root, store="file", clock=clock) as other,
        pytest.warns(ElsewhereWarning),
    ):
        other.auth().upsert("openai:a", {**KEY, "key": "sk-of-the-file"})

    done = moved(root, "sqlite", clock)

    name = "auth:main/profile/openai:a"
    assert [f"store restore {name}" in each for each in done.moved[0].notes] == [True]
    with clawstate.open(root, clock=clock) as state:
        assert summarise(state._context).replaced == (name,)
    for wanted in ("sk-of-the-file", KEY["key"], "sk-of-the-file"):
        with clawstate.open(root, clock=clock) as state:
            assert put_back(state._context, name).key == "profile/openai:a"
            assert state.auth().get("openai:a").key == wanted
            clock.advance(60)
    with clawstate.open(root, clock=clock) as state, pytest.raises(NotFoundError):
        put_back(state._context, "auth:main/profile/openai:b")


def test_who_may_write_on_a_channel_moves_along(root, clock) -> None:
    """Allow lists and requests of channels come with all other records, and back into files."""
    (root / "credentials").mkdir()
    (root / "credentials/telegram-work-allowFrom.json").write_text('{"allowFrom": ["42", "17"]}')
    requests = {"version": 1, "requests": [{"code": "ABCD2345", "id": "42"}]}
    (root / "credentials/telegram-pairing.json").write_text(json.dumps(requests))

    there = moved(root, "sqlite", clock)

    assert not [*(root / "credentials").glob("*.json")]
    moved(root, "file", clock)

    assert {each.store: each.count for each in there.moved}["channel pairing"] == 3
    kept = json.loads((root / "credentials/telegram-work-allowFrom.json").read_text())
    assert sorted(kept["allowFrom"]) == ["17", "42"]
    assert json.loads((root / "credentials/telegram-pairing.json").read_text()) == requests


@pytest.mark.parametrize("to", ["sqlite", "file"])
def test_of_two_marks_the_later_one_counts(root, clock, to) -> None:
    """A key stays handled for as long as either engine has it, and nothing is said about it."""
    (root / "openclaw.json").write_text('{"state": {"store": "sqlite"}}')
    clock.advance(3600)
    with clawstate.open(root, clock=clock) as state:
        rows = state._context.backends.rows()
        place = next(each for each in record_places(state._context) if "telegram" in each.kind)
        rows.collection(place.spec).put("update-1", round(clock() * 1000))

    done = moved(root, to, clock)

    assert not [note for each in done.moved for note in each.notes]
    clock.advance(23.5 * 3600)
    with clawstate.open(root, clock=clock) as state:
        assert state.dedupe.seen("update-1", namespace="telegram")


@pytest.fixture(params=["sqlite", "file"])
def edited(root, clock, request) -> Path:
    """Return a state with marks in one engine, whose setting names the other by hand."""
    if request.param == "file":
        moved(root, "sqlite", clock)
    (root / "openclaw.json").write_text(f'{{"state": {{"store": "{request.param}"}}}}')
    return root


def asked(state) -> dict[str, object]:
    with pytest.warns(ElsewhereWarning):
        dedupe = state.dedupe
    return {
        "one": dedupe.check_and_record("update-1", namespace="telegram"),
        "many": dedupe.check_many(["update-1", "update-2", "update-2"], namespace="telegram"),
        "seen": dedupe.seen("update-1", namespace="x" * 300),
    }


def test_a_key_handled_in_the_other_engine_is_not_new(edited, clock) -> None:
    """Marks that were left behind count, whatever is asked, and after they were moved, too."""
    with clawstate.open(edited, clock=clock) as state:
        assert asked(state) == {"one": False, "many": [False, True, False], "seen": True}
        engine = state._context.backends.choice

    moved(edited, engine, clock)

    with clawstate.open(edited, clock=clock) as state:
        keys = ["update-1", "update-2", "update-3"]
        assert state.dedupe.check_many(keys, namespace="telegram") == [False, False, True]


def test_marks_of_the_other_engine_expire_as_others_do(edited, clock) -> None:
    """A mark that was left behind holds as long as it would have."""
    clock.advance(25 * 3600)

    with clawstate.open(edited, clock=clock) as state, pytest.warns(ElsewhereWarning):
        assert state.dedupe.check_and_record("update-1", namespace="telegram")


def test_what_cannot_be_forgotten_says_so(edited, clock) -> None:
    """A mark in the other engine is not changed: to forget it is refused, with what moves it."""
    with clawstate.open(edited, clock=clock) as state:
        with pytest.warns(ElsewhereWarning):
            dedupe = state.dedupe
        with pytest.raises(UnavailableError, match="store migrate --to"):
            dedupe.forget("update-1", namespace="telegram")
        assert not dedupe.forget("update-9", namespace="telegram")


def test_a_record_that_was_never_replaced_makes_nothing(tmp_path) -> None:
    """To put back what is not there is refused, and leaves a directory that is not there alone."""
    with clawstate.open(tmp_path / "none") as state, pytest.raises(NotFoundError):
        state.records.restore("nothing")

    assert not (tmp_path / "none").exists()
