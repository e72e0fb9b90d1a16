from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.errors import CorruptError, CorruptWarning
from clawstate.state.session_functions import (
    resolve_and_persist_session_file,
    update_session_store,
)
from clawstate.state.sessions import open_sessions

ENTRY = {"sessionId": "11111111-1111-4111-8111-111111111111", "updatedAt": 1_795_374_635_626}


@pytest.fixture
def state(tmp_path, clock):
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    store = "agents/{agentId}/sessions/sessions.json"
    (root / "openclaw.json").write_text(json.dumps({"session": {"store": store}}))
    with clawstate.open(root, clock=clock) as opened:
        yield opened


@pytest.fixture
def index(state):
    path = state.paths.root / "agents/main/sessions/sessions.json"
    path.parent.mkdir(parents=True)
    return path


K = "agent:main:k"


def put(index, **entries):
    index.write_text(json.dumps(entries))


def test_entries_keep_the_form_of_openclaw(state, index) -> None:
    """A new entry has its transcript as a relative file, and no profile and no key beside it."""
    made = state.sessions.resolve("agent:main:main")

    text = index.read_text()
    assert json.loads(text) == {
        "agent:main:main": {
            "sessionId": made.session_id,
            "updatedAt": 1_800_000_000_000,
            "sessionFile": f"{made.session_id}.jsonl",
        }
    }
    assert not text.endswith("\n")
    assert not (index.parent / "profile").exists()


def test_members_that_are_unknown_here_stay(state, index) -> None:
    """An update of one member leaves all others as OpenClaw wrote them."""
    put(index, k={**ENTRY, "custom": {"a": [1]}, "channel": "telegram"}, other=ENTRY)

    state.sessions.update("k", {"label": "Ada"})

    found = json.loads(index.read_text())
    assert found["other"] == ENTRY
    assert found[K]["custom"] == {"a": [1]}
    assert found[K]["label"] == "Ada"


@pytest.mark.parametrize("spelling", ["Agent:Main:X", " agent:main:x ", "AGENT:MAIN:X"])
def test_keys_that_differ_in_case_are_one_session(state, index, spelling) -> None:
    """Of several spellings the one updated last counts; the next update leaves one, normalised."""
    old = {**ENTRY, "updatedAt": 5, "sessionId": "old"}
    put(index, **{"agent:main:x": old, spelling: {**ENTRY, "n": 1}})

    assert state.sessions.get("Agent:main:X").session_id == ENTRY["sessionId"]
    assert [each.session_key for each in state.sessions.entries()] == ["agent:main:x"]
    state.sessions.update(" AGENT:main:x", {"n": 2})

    found = json.loads(index.read_text())
    assert found.keys() == {"agent:main:x"}
    assert (found["agent:main:x"]["n"], found["agent:main:x"]["sessionId"]) == (
        2,
        ENTRY["sessionId"],
    )


def test_deleting_a_session_deletes_all_its_spellings(state, index) -> None:
    """No other spelling of a deleted key brings the session back."""
    put(index, k=ENTRY, K={**ENTRY, "updatedAt": 1})

    assert state.sessions.delete("K")

    assert json.loads(index.read_text()) == {}
    assert state.sessions.get("k") is None


def test_a_spelling_that_appears_later_is_seen(state, index) -> None:
    """What another program adds under another spelling is found by the next look."""
    put(index, k={**ENTRY, "updatedAt": 1})
    assert state.sessions.get("k").session_id == ENTRY["sessionId"]

    put(index, k={**ENTRY, "updatedAt": 1}, K={**ENTRY, "sessionId": "newer"})

    assert state.sessions.get("k").session_id == "newer"


def test_members_of_older_releases_have_their_new_names(state, index) -> None:
    """Old names are read as the new ones, unless these are there; the next update writes them."""
    put(
        index,
        a={**ENTRY, "provider": "telegram", "lastProvider": "x", "room": "r"},
        b={**ENTRY, "provider": "old", "channel": "new"},
    )

    assert state.sessions.get("a").fields == {
        "channel": "telegram",
        "lastChannel": "x",
        "groupChannel": "r",
    }
    assert state.sessions.get("b").fields == {"channel": "new"}
    state.sessions.update("a", {"n": 1})

    assert "provider" not in json.loads(index.read_text())["agent:main:a"]


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd",
        "../../../../etc/passwd",
        "..",
        "sub/../../x.jsonl",
        "C:\\x",
        "..\\x",
        "",
        "a\0b",
        5,
        None,
        ["x"],
    ],
)
def test_a_file_outside_is_never_believed(state, index, text) -> None:
    """A path that leads out of the sessions is passed over, and gone with the next update."""
    put(index, k={**ENTRY, "sessionFile": text})
    own = f"{ENTRY['sessionId']}.jsonl"

    assert state.sessions.get("k").session_file == own
    state.sessions.update("k", {"n": 1})
    assert json.loads(index.read_text())[K]["sessionFile"] == own


def test_a_link_that_leads_outside_is_not_believed(state, index, tmp_path) -> None:
    """A directory in between that is a link out of the sessions does not help."""
    (index.parent / "sub").symlink_to(tmp_path)
    (index.parent / "real").mkdir()
    put(
        index,
        a={**ENTRY, "sessionFile": "sub/x.jsonl"},
        b={**ENTRY, "sessionFile": "real/x.jsonl"},
        c={**ENTRY, "sessionFile": str(index.parent / "t.jsonl")},
    )

    files = {each.session_key[-1]: each.session_file for each in state.sessions.entries()}

    own = f"{ENTRY['sessionId']}.jsonl"
    assert files == {"a": own, "b": "real/x.jsonl", "c": "t.jsonl"}


def test_an_id_that_leads_outside_names_no_file(state, index) -> None:
    """A session id with a path in it is an error, in reading and in writing."""
    put(index, k={**ENTRY, "sessionId": "../../x"})
    before = index.read_bytes()

    for call in (state.sessions.get, state.sessions.resolve):
        with pytest.raises(CorruptError):
            call("k")
    with pytest.warns(CorruptWarning):
        assert state.sessions.entries() == ()
    assert index.read_bytes() == before


def test_resolving_puts_an_absolute_file_right_and_nothing_else(state, index) -> None:
    """A path that OpenClaw wrote as absolute becomes relative; the time stays."""
    put(index, k={**ENTRY, "sessionFile": str(index.parent / "t.jsonl"), "n": 1})

    state.sessions.resolve("k")

    assert json.loads(index.read_text())[K] == {**ENTRY, "sessionFile": "t.jsonl", "n": 1}


def test_a_new_id_has_a_new_transcript(state, index) -> None:
    """A reset, or an update to another id, leaves the file of the old session."""
    old = state.sessions.resolve("k")

    new = state.sessions.reset("k")
    third = state.sessions.update("k", {"sessionId": "third"})

    assert old.session_file != new.session_file == f"{new.session_id}.jsonl"
    assert third.session_file == "third.jsonl"
    assert json.loads(index.read_text())[K]["sessionFile"] == "third.jsonl"


def test_each_agent_has_an_index_of_its_own(state, clock) -> None:
    """`{agentId}` in the setting stands for the agent that is asked for, or else for all."""
    open_sessions(state._context, "Ada").resolve("k")

    assert (state.paths.root / "agents/ada/sessions/sessions.json").exists()
    assert open_sessions(state._context, "bob").entries() == ()
    assert [each.session_key for each in state.sessions.entries()] == ["agent:ada:k"]
    assert state.sessions.get("k") is None  # a key that names nobody is of the default agent


def test_the_functions_need_no_state(tmp_path, clock) -> None:
    """The functions by the specification's names work on a bare index file, or a state."""
    path = tmp_path / "agents/main/sessions/sessions.json"

    made = resolve_and_persist_session_file("k", store_path=path, clock=clock)
    count = update_session_store(
        path, lambda store: store[K].update(label="Ada") or len(store), clock=clock
    )
    again = resolve_and_persist_session_file("k", session_id="mine", store_path=path, clock=clock)
    other = resolve_and_persist_session_file("k", state_dir=tmp_path / "state", clock=clock)

    assert count == 1
    assert (again.session_id, again.session_file) == ("mine", "mine.jsonl")
    assert json.loads(path.read_text())[K]["label"] == "Ada"
    assert made.session_file == f"{made.session_id}.jsonl"
    assert other.session_file == "profile/k.json"
    with clawstate.open(tmp_path / "state") as state:
        assert state.sessions.get("k").session_id == other.session_id


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("telegram:42", "agent:main:telegram:42"),
        (" Main ", "agent:main:main"),
        ("group:1@g.us", "agent:main:whatsapp:group:1@g.us"),
        ("global", "global"),
        ("agent:main:x", "agent:main:x"),
    ],
)
def test_a_key_names_its_agent_in_an_index_of_openclaw(state, index, key, kept) -> None:
    """OpenClaw's doctor takes a key without its agent for one of an older release, and moves it."""
    state.sessions.resolve(key)

    assert list(json.loads(index.read_text())) == [kept]


def test_an_entry_under_a_key_of_an_older_release_is_the_same_session(state, index) -> None:
    """A key without its agent, as older releases wrote it, is found, renamed when it changes."""
    put(index, k=ENTRY)

    state.sessions.update("agent:main:k", {"n": 1})

    assert state.sessions.get("k").session_id == ENTRY["sessionId"]
    assert list(json.loads(index.read_text())) == [K]
