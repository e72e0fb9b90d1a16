from __future__ import annotations

import hashlib
import json
import threading

import pytest
from openclaw_home import key_pair

import clawstate
from clawstate.errors import ConflictError, InvalidError
from clawstate.files.paths import StatePaths
from clawstate.importers.openclaw import import_openclaw
from clawstate.state.sessions import open_index

HELD = {"version": 1, "deviceId": "a" * 64, "tokens": {"operator": "held", "bad": 7}}


def device(name: str, token: str = "t", **more: object) -> dict[str, object]:
    digest = hashlib.sha256(token.encode()).hexdigest()
    return {
        "deviceId": name,
        "userId": "ada",
        "approvedScopes": ["operator.read"],
        "tokens": {"operator": {"hash": digest, "scopes": ["operator.read"], "createdAtMs": 1}},
        "createdAtMs": 1,
        "approvedAtMs": 2,
        **more,
    }


def identity(private: str | None = None) -> dict[str, object]:
    name, public, own = key_pair()
    return {
        "version": 1,
        "deviceId": name,
        "publicKeyPem": public,
        "privateKeyPem": private or own,
        "createdAtMs": 5,
    }


def test_devices_are_adopted_with_unknown_members(state) -> None:
    """A device comes in as it is, and one that is malformed is refused without stopping others."""
    answer = state.devices.merge({"p": device("p", platform="ios"), "q": {}, "r": device("x")})

    assert answer.new == ("p",)
    assert answer.refused == {"q": "is malformed", "r": "is malformed"}
    assert '"platform": "ios"' in state.paths.devices.read_text()
    assert state.devices.verify("p", "t", ["operator.read"]) is not None


def test_a_device_of_other_tokens_gives_way_only_when_told(state) -> None:
    """Ours stays, unless it is to be replaced; the same device is the same however it was used."""
    state.devices.merge({"p": device("p")})
    state.devices.verify("p", "t")

    assert state.devices.merge({"p": device("p")}).same == ("p",)
    assert state.devices.merge({"p": device("p", "u")}).kept == ("p",)
    assert state.devices.merge({"p": device("p", "u")}, replace=True).changed == ("p",)
    assert state.devices.verify("p", "u") is not None


def test_held_tokens_of_another_device_are_refused(state) -> None:
    """Tokens are merged by name, and not beside those of another device."""
    answer = state.device_auth.merge(HELD)
    assert (answer.new, answer.refused) == (("operator",), {"bad": "is no text"})

    with pytest.raises(ConflictError):
        state.device_auth.merge({**HELD, "deviceId": "b" * 64})
    state.identity.load_or_create()
    with pytest.raises(ConflictError):
        state.device_auth.merge(HELD)


def test_one_identity_is_adopted_by_many_at_once(state) -> None:
    """Of threads that merge and create, all end as one device."""
    ids: list[str] = []

    def merge() -> None:
        state.identity.merge(identity())
        ids.append(state.identity.device_id)

    threads = [threading.Thread(target=merge) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert set(ids) == {key_pair()[0]}
    assert state.identity.sign("x")


def test_an_identity_that_is_none_is_refused(state) -> None:
    """A document without a key pair raises, and nothing is kept."""
    for document in (None, [], {}, {**identity(), "privateKeyPem": "no"}):
        with pytest.raises(InvalidError):
            state.identity.merge(document)

    assert state.identity.get() is None


def test_too_many_marks_lose_the_oldest(state, clock) -> None:
    """No more marks are merged than are kept, and a dry run knows which."""
    state.config.set("caches.dedupe.fileMaxEntries", 3)
    now = int(clock() * 1000)
    marks = {f"k{number}": now - number for number in range(5)}

    dry = state.dedupe.merge(marks, "n", dry_run=True)
    answer = state.dedupe.merge(marks, "n")

    assert dry == answer
    assert sorted(answer.new) == ["k0", "k1", "k2"]
    assert sorted(answer.kept) == ["k3", "k4"]
    assert state.dedupe.merge(marks, "n").new == ()


def test_a_mark_here_is_not_made_older(state, clock) -> None:
    """A mark that is here stays as it was made here."""
    state.dedupe.check_and_record("k", "n")
    clock.advance(50_000)

    answer = state.dedupe.merge({"k": 1, "other": int(clock() * 1000)}, "n")

    assert answer.new == ("other",)
    assert state.dedupe.seen("k", "n")


def test_an_index_that_openclaw_shares_takes_entries(tmp_path) -> None:
    """Where OpenClaw keeps the index itself, keys are folded and files are beside the index."""
    folder = tmp_path / "agents/main/sessions"
    folder.mkdir(parents=True)
    sessions = open_index(folder / "sessions.json")
    entry = {"sessionId": "s-1", "updatedAt": 1_000_000}

    answer = sessions.merge({"Agent:Main:X": entry})

    assert answer.new == ("agent:main:x",)
    assert sessions.require("agent:main:x").session_file == "s-1.jsonl"
    assert sessions.merge({"AGENT:main:X": entry}).same == ("agent:main:x",)


def test_entries_that_cannot_be_kept_are_refused_alone(state) -> None:
    """An id that leads out of a directory, or an entry too large, leaves the others be."""
    good = {"sessionId": "good", "updatedAt": 1000}
    wrong = {
        "way-out": {"sessionId": "../x", "updatedAt": 1},
        "no-object": 7,
        "large": {**good, "blob": "x" * (2 << 20)},
        "": good,
    }

    answer = state.sessions.merge({**wrong, "fine": good})

    assert answer.new == ("fine",)
    assert answer.refused.keys() == wrong.keys()
    assert [each.session_key for each in state.sessions.entries()] == ["fine"]


def test_a_dry_run_makes_nothing(state) -> None:
    """Each store tells what it would merge, and no file comes to be."""
    state.auth().merge(
        {"profiles": {"a:b": {"type": "api_key", "provider": "a", "key": "k"}}}, dry_run=True
    )
    state.sessions.merge({"k": {"sessionId": "s", "updatedAt": 1}}, dry_run=True)
    state.devices.merge({"p": device("p")}, dry_run=True)
    state.device_auth.merge(HELD, dry_run=True)
    state.dedupe.merge({"k": 1}, dry_run=True)
    assert state.identity.merge(identity(), dry_run=True)

    assert not StatePaths(state.paths.root).root.exists()


def test_an_index_in_json5_is_taken_over_where_it_lies(tmp_path) -> None:
    """In a directory that is shared, an old index in JSON5 becomes the JSON that it means."""
    root = tmp_path / "openclaw"
    (root / "sessions").mkdir(parents=True)
    path = root / "sessions/sessions.json"
    path.write_text("{// mine\n'main': {sessionId: 'one', updatedAt: 5,},}")

    with clawstate.open(root, store="file") as state:
        tried = import_openclaw(state, root, kinds=["sessions"], dry_run=True)
        assert path.read_text().startswith("{//")
        report = import_openclaw(state, root, kinds=["sessions"])
        found = state.sessions.require("main")

    assert json.loads(path.read_text())["main"]["updatedAt"] == 5
    assert found.session_id == "one"
    assert report.counts["sessions"] == tried.counts["sessions"]
    assert report.counts["sessions"].unchanged == 1
