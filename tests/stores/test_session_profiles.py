from __future__ import annotations

import json
import os
import shutil
import stat
import threading
import warnings
from contextlib import contextmanager

import pytest

import clawstate
from clawstate.doctor.examination import check_part
from clawstate.errors import (
    CorruptError,
    CorruptWarning,
    FallbackWarning,
    InvalidError,
    NotFoundError,
    StateError,
)
from clawstate.files.lock import FileLock
from clawstate.files.safe_names import encode_name
from clawstate.health import repair_all
from clawstate.stores.sessions.profile_files import FROM_INDEX

KEYS = ("telegram:42", "b", "c/../d")


@pytest.fixture
def sessions(state):
    for number, key in enumerate(KEYS):
        state.sessions.resolve(key)
        state.sessions.update(key, {"n": number, "label": f"of {key}"})
    return state.sessions


@pytest.fixture
def folder(state):
    return state.paths.sessions_dir


@pytest.fixture
def reopened(state, clock):
    """Return the sessions as a new program finds them, which has read nothing yet."""

    def reopened():
        return clawstate.open(state.paths.root, clock=clock).sessions

    return reopened


def profile(folder, key):
    return folder / "profile" / f"{encode_name(key)}.json"


def read(path):
    return json.loads(path.read_text())


def codes(sessions):
    return sorted(each.code.removeprefix("session-") for each in sessions.check())


def test_each_session_has_a_profile_that_says_what_the_index_says(sessions, folder) -> None:
    """A profile is the entry of the index, and tells which members it has from there."""
    index = read(folder / "sessions.json")

    for key in KEYS:
        found = read(profile(folder, key))
        assert found.pop(FROM_INDEX) == list(index[key])
        assert found == index[key] == sessions.get(key).document()


def test_index_and_profiles_are_private_and_relative(sessions, state, folder) -> None:
    """Files are 0600 and directories 0700 from birth, and no absolute path stands in them."""
    modes = {stat.S_IMODE(each.lstat().st_mode) for each in folder.rglob("*") if each.is_file()}
    folders = {stat.S_IMODE(each.lstat().st_mode) for each in folder.rglob("*") if each.is_dir()}
    texts = [each.read_text() for each in folder.rglob("*.json") if each.parent.name[0] != "."]

    assert (modes, folders) == ({0o600}, {0o700})
    assert len(texts) == 2 + len(KEYS)  # the index, and what sessions were
    assert not any(str(state.paths.root) in text for text in texts)


def test_a_state_that_moved_keeps_its_sessions(sessions, state, folder, tmp_path, clock) -> None:
    """A state directory under another name has the same sessions, with nothing to mend."""
    before = [each.document() for each in sessions.entries()]
    shutil.move(state.paths.root, tmp_path / "moved")

    with clawstate.open(tmp_path / "moved", clock=clock) as moved:
        assert [each.document() for each in moved.sessions.entries()] == before
        assert moved.sessions.check() == ()


def test_members_that_others_put_into_a_profile_stay(sessions, folder, clock) -> None:
    """A member of the profile alone is among the fields, and survives updates and a delete."""
    path = profile(folder, "b")
    path.write_text(json.dumps({**read(path), "mine": [1]}))

    assert sessions.get("b").fields == {"n": 1, "label": "of b", "mine": [1]}
    sessions.update("b", lambda old: {"n": old["n"] + 1})
    assert sessions.get("b").fields == {"n": 2, "mine": [1]}
    assert "mine" not in read(folder / "sessions.json")["b"]
    sessions.delete("b")
    assert not path.exists()
    assert sessions.restore("b").fields == {"n": 2, "mine": [1]}
    assert read(path)["mine"] == [1]


def test_the_index_is_right_where_both_tell(sessions, folder) -> None:
    """A profile whose members were altered gets those of the index back."""
    path = profile(folder, "b")
    path.write_text(json.dumps({**read(path), "label": "forged", "sessionId": "forged"}))

    assert codes(sessions) == ["stale"]
    assert sessions.get("b").fields["label"] == "of b"
    assert read(path)["label"] == "of b"
    assert codes(sessions) == []


def test_a_missing_profile_is_written_by_the_next_look(sessions, folder) -> None:
    """A profile that somebody removed is there again once its session was asked for."""
    path = profile(folder, "b")
    path.unlink()
    assert codes(sessions) == ["missing"]

    assert sessions.get("b").fields == {"n": 1, "label": "of b"}

    assert read(path)["label"] == "of b"
    assert codes(sessions) == []


@pytest.mark.parametrize("lose", ["delete", "empty", "torn", "empty without a copy"])
def test_a_lost_index_comes_back(sessions, folder, lose, reopened) -> None:
    """An index that is gone, empty or torn is never "no sessions": it is built from profiles."""
    path = folder / "sessions.json"
    before = {each.session_key: each.document() for each in sessions.entries()}
    match lose:
        case "delete":
            path.unlink()
        case "empty" | "empty without a copy":
            path.write_bytes(b"")
        case "torn":
            path.write_bytes(path.read_bytes()[:100])
    os.utime(path if path.exists() else folder, (0, 0))
    if lose != "empty":
        (folder / ".lastgood/sessions.json").unlink()
    if lose == "delete":
        assert {each.session_key for each in reopened().entries()} == set(KEYS)
    else:
        with pytest.warns(CorruptWarning):
            assert {each.session_key for each in reopened().entries()} == set(KEYS)

    new = reopened()
    mended = new.repair()

    assert mended
    assert {each.session_key: each.document() for each in new.entries()} == before
    assert new.check() == ()


def test_a_new_session_does_not_hide_those_that_were_lost(sessions, folder, reopened) -> None:
    """The first write to a state whose index was deleted brings all other sessions back."""
    (folder / "sessions.json").unlink()

    reopened().resolve("new")

    assert {each.session_key for each in reopened().entries()} == {*KEYS, "new"}


@pytest.mark.parametrize("how", ["get", "resolve", "update", "reset", "delete"])
def test_an_entry_that_the_index_lost_is_still_known(sessions, folder, how, reopened) -> None:
    """A session that only its profile knows is found by each call, with its own id."""
    path = folder / "sessions.json"
    left = read(path)
    old = left.pop("b")
    path.write_text(json.dumps(left))
    new = reopened()
    assert codes(new) == ["orphan"]

    match how:
        case "get":
            assert new.get("b").session_id == old["sessionId"]
            assert new.repair()
            assert new.get("b").document() == old
        case "resolve":
            assert new.resolve("b").document() == old
        case "update":
            assert new.update("b", {"n": 9}).session_id == old["sessionId"]
        case "reset":
            assert new.reset("b").session_id != old["sessionId"]
            assert new.archived()[0].session_id == old["sessionId"]
        case "delete":
            assert new.delete("b")
            assert new.restore("b").session_id == old["sessionId"]
    assert new.check() == ()


def test_a_damaged_index_is_not_written_over(sessions, folder, reopened) -> None:
    """Every change of a damaged index is refused, and the file stays as it is."""
    path = folder / "sessions.json"
    path.write_bytes(b'{"b": {"sess')
    os.utime(path, (0, 0))
    new = reopened()

    changes = [
        lambda: new.resolve("x"),
        lambda: new.update("b", {"n": 1}),
        lambda: new.delete("b"),
        lambda: new.reset("b"),
        lambda: new.update_store(dict.clear),
        lambda: new.prune(max_entries=0),
    ]
    for change in changes:
        with pytest.warns(CorruptWarning), pytest.raises(CorruptError):
            change()
        assert path.read_bytes() == b'{"b": {"sess'
    assert profile(folder, "b").exists()


def test_an_older_index_takes_what_profiles_know_better(sessions, folder, reopened, clock) -> None:
    """After an old copy of the index came back, healing brings the newer updates in again."""
    path = folder / "sessions.json"
    old = path.read_bytes()
    clock.advance(10)
    newest = sessions.update("b", {"n": 100})
    path.write_bytes(old)
    new = reopened()

    assert codes(new) == ["ahead"]
    assert new.get("b").fields["n"] == 1
    assert codes(new) == ["ahead"]
    new.repair()

    assert new.get("b") == newest
    assert new.check() == ()


def test_a_damaged_profile_is_kept_aside(sessions, folder) -> None:
    """A profile that cannot be read costs no session, is left alone, and is moved by healing."""
    path = profile(folder, "b")
    path.write_bytes(b"{torn")

    with pytest.warns(CorruptWarning):
        assert sessions.get("b").fields == {"n": 1, "label": "of b"}
    with pytest.warns(FallbackWarning):
        sessions.update("b", {"n": 2})
    assert path.read_bytes() == b"{torn"
    assert codes(sessions) == ["damaged"]
    sessions.repair()

    assert read(path)["n"] == 2
    assert [each.read_bytes() for each in path.parent.glob(".quarantine/*")] == [b"{torn"]
    assert codes(sessions) == []


def test_a_link_in_the_place_of_a_profile_is_not_followed(sessions, folder, tmp_path) -> None:
    """Neither a linked profile nor a linked directory of profiles leads a write outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim.json").write_text("{}")
    profile(folder, "b").unlink()
    profile(folder, "b").symlink_to(outside / "victim.json")
    with pytest.warns(FallbackWarning):
        sessions.update("b", {"n": 2})

    shutil.rmtree(folder / "profile")
    (folder / "profile").symlink_to(outside)
    with pytest.warns(FallbackWarning):
        sessions.update("telegram:42", {"n": 2})

    assert [each.name for each in outside.iterdir()] == ["victim.json"]
    assert (outside / "victim.json").read_text() == "{}"
    assert sessions.entries()[0].fields["n"] == 2


def test_the_profile_of_a_deleted_session_does_not_revive_it(sessions, folder) -> None:
    """A profile that a killed delete left behind is no session, and goes with healing."""
    path = profile(folder, "b")
    text = path.read_text()
    sessions.delete("b")
    path.write_text(text)

    assert sessions.get("b") is None
    assert codes(sessions) == ["leftover"]
    sessions.repair()

    assert not path.exists()
    assert sessions.get("b") is None
    assert codes(sessions) == []


def test_a_deleted_session_stays_deleted_when_its_archive_expires(sessions, folder, clock) -> None:
    """A profile that a killed delete left goes at the latest with the archive of its session."""
    path = profile(folder, "b")
    text = path.read_text()
    sessions.delete("b")
    path.write_text(text)
    clock.advance(31 * 86_400)

    assert sessions.prune(max_entries=10).expired == 1

    assert not path.exists()
    assert sessions.get("b") is None
    assert sessions.archived() == sessions.check() == ()


@pytest.mark.parametrize(
    "value",
    [{"sessionId": "../../x", "label": "kept"}, {"sessionId": 5}, "text", [1], 5],
    ids=["traversal", "number", "text", "list", "bare number"],
)
def test_an_entry_without_a_usable_id_is_no_session(sessions, folder, value) -> None:
    """Such an entry is named and left alone; resetting or deleting it frees the key."""
    path = folder / "sessions.json"
    path.write_text(json.dumps({**read(path), "b": value}))

    for call in (sessions.get, sessions.resolve, lambda key: sessions.update(key, {"n": 1})):
        with pytest.raises(CorruptError, match="'b'"):
            call("b")
    assert read(path)["b"] == value
    with pytest.warns(CorruptWarning):
        assert {each.session_key for each in sessions.entries()} == {"telegram:42", "c/../d"}
    assert "unusable" in codes(sessions)
    assert sessions.reset("b").session_key == "b"
    assert codes(sessions) == []
    assert sessions.delete("b")


def test_an_entry_without_an_id_gets_one(sessions, folder) -> None:
    """An entry that only lacks an id is no session yet; resolving it keeps its members."""
    path = folder / "sessions.json"
    path.write_text(json.dumps({**read(path), "new": {"label": "Ada", "updatedAt": 5}}))

    assert sessions.get("new") is None
    with pytest.raises(NotFoundError):
        sessions.update("new", {"n": 1})
    made = sessions.resolve("new")

    assert made.fields == {"label": "Ada"}
    assert codes(sessions) == []


@pytest.mark.parametrize("name", ["sessions.json", "profile"])
def test_every_damaged_byte_is_met_with_the_truth(state, folder, name, reopened) -> None:
    """Whatever byte is flipped or cut, calls answer or raise, and overwrite nothing."""
    full = os.environ.get("CLAWSTATE_FULL") == "1"
    state.sessions.resolve("k")
    state.sessions.update("k", {"label": "Ada"})
    path = folder / name if name.endswith(".json") else profile(folder, "k")
    raw = path.read_bytes()
    spots = range(0, len(raw), 1 if full else 7)
    damaged = [raw[:spot] for spot in spots]
    damaged += [
        raw[:spot] + bytes([raw[spot] ^ bit]) + raw[spot + 1 :]
        for spot in spots
        for bit in ((1, 2, 4, 8, 16, 32, 64, 128) if full else (1, 32))
    ]

    for each in damaged:
        path.write_bytes(each)
        os.utime(path, (0, 0))
        kept = _is_json(each) or path.name == "sessions.json"
        assert_honest(reopened(), path, each, may_be_mended=kept and path.name != "sessions.json")
        path.write_bytes(raw)
        if path.name == "sessions.json":
            profile(folder, "k").unlink(missing_ok=True)


def assert_honest(sessions, path, raw, *, may_be_mended):
    for call in (sessions.entries, lambda: sessions.get("k"), sessions.check):
        with _quiet():
            try:
                call()
            except StateError:
                continue
    if not may_be_mended:
        assert path.read_bytes() == raw
    with _quiet():
        try:
            sessions.update("k", {"n": 1})
        except CorruptError:
            assert path.read_bytes() == raw
        except StateError:
            pass
        if not _is_json(raw):
            assert path.read_bytes() == raw


def _is_json(raw):
    try:
        return isinstance(json.loads(raw), dict)
    except (ValueError, RecursionError):
        return False


@contextmanager
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_a_reader_does_not_wait_for_a_writer_of_profiles(sessions, folder) -> None:
    """A stale profile is left to whoever holds the lock; the reader has its answer at once."""
    profile(folder, "b").unlink()
    answers = []

    with FileLock(folder / "profile"):
        reader = threading.Thread(target=lambda: answers.append(sessions.get("b")))
        reader.start()
        reader.join()

    assert answers[0].fields["n"] == 1
    assert codes(sessions) == ["missing"]


def test_what_is_no_profile_is_named_and_left_alone(sessions, folder) -> None:
    """A file of somebody else among the profiles is no session, and stays where it is."""
    strangers = {"notes.json": '{"mine": 1}', "list.json": "[1]", "b.json.txt": "x"}
    for name, text in strangers.items():
        (folder / "profile" / name).write_text(text)

    assert codes(sessions) == ["damaged", "damaged"]
    sessions.repair()

    assert {name: (folder / "profile" / name).read_text() for name in strangers} == strangers
    assert {each.session_key for each in sessions.entries()} == set(KEYS)


@pytest.mark.parametrize("junk", [5, None, {}, {"sessionKey": "b", "entry": {"sessionId": "x"}}])
def test_junk_in_the_archive_is_no_session(sessions, folder, junk) -> None:
    """What somebody else put into the archive is passed over, and not lost."""
    sessions.delete("b")
    path = folder / "archive/sessions.json"
    path.write_text(json.dumps({**read(path), "junk": junk}))

    assert [each.session_key for each in sessions.archived()] == ["b"]
    with pytest.raises(NotFoundError):
        sessions.restore("junk")
    assert sessions.restore("b").fields["n"] == 1
    assert read(path) == {"junk": junk}


def test_an_archive_without_a_usable_id_is_not_restored(sessions, folder) -> None:
    """An entry that was unusable when it was deleted stays in the archive to be read by hand."""
    path = folder / "sessions.json"
    path.write_text(json.dumps({**read(path), "b": {"sessionId": "../x"}}))
    sessions.delete("b")

    with pytest.raises(InvalidError, match="by hand"):
        sessions.restore("b")
    assert len(sessions.archived()) == 1


@pytest.mark.parametrize("text", ["1e999", "-1e999", "1" + "0" * 400, "true", '"x"', "-5", "1e17"])
def test_a_time_that_cannot_be_is_none(sessions, folder, text) -> None:
    """A time that is no number, or of no year that we know, counts as not told."""
    path = folder / "sessions.json"
    path.write_text('{"b": {"sessionId": "x", "updatedAt": ' + text + "}}")

    assert sessions.get("b").updated_at == 0.0
    assert sessions.update("b", {"n": 1}).updated_at == 1_800_000_000.0


def test_the_doctor_tells_of_an_index_that_cannot_be(state) -> None:
    """A setting that names no place is a finding, not a crash."""
    state.config.set("session.store", "redis://somewhere")

    assert [(each.severity, each.code) for each in repair_all(check_part(state, "sessions"))] == [
        ("error", "invalid")
    ]


def test_the_doctor_tells_and_mends(sessions, state, folder) -> None:
    """The doctor names lost entries, lost profiles and wide modes, and mends them on request."""
    path = folder / "sessions.json"
    left = read(path)
    del left["b"]
    path.write_text(json.dumps(left))
    profile(folder, "telegram:42").unlink()
    path.chmod(0o644)

    told = {(each.severity, each.code) for each in check_part(state, "sessions")}
    mended = repair_all(check_part(state, "sessions"))

    expected = {("error", "session-orphan"), ("info", "session-missing"), ("warning", "wide-mode")}
    assert told == expected == {(each.severity, each.code) for each in mended}
    assert {each.fix for each in mended if each.code != "wide-mode"} == {"mended"}
    assert list(check_part(state, "sessions")) == []
    assert {each.session_key for each in state.sessions.entries()} == set(KEYS)
