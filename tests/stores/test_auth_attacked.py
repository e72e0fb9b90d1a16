from __future__ import annotations

import json
import threading

import pytest

import clawstate
from clawstate.encryption import keys as sealed_keys
from clawstate.errors import CorruptError, InvalidError, StateError
from clawstate.state.encryption import Encryption
from clawstate.stores.auth.documents import AuthProfileStore
from clawstate.stores.auth.profile_store import read_profiles

SECRET = "sk-canary-0123456789-abcdefgh"
KEY = {"type": "api_key", "provider": "openai", "key": SECRET}
LOGIN = {"type": "oauth", "provider": "google", "access": "old", "refresh": "r-0", "expires": 1}
ANSWER = {"access_token": "canary-access", "refresh_token": "canary-refresh", "expires_in": 3600}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give a home of its own to the keys."""
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(place))
    for name in ("XDG_CONFIG_HOME", "CLAWSTATE_KEY_FILE", "CLAWSTATE_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


CRAFTED = [
    ("current", []),
    ("current", {}),
    ("keys", None),
    ("keys", []),
    ("keys", {"x": 3}),
    ("keys", {"x": None}),
    ("state", []),
    ("source", []),
    ("source", {"kind": [], "place": "/x"}),
    ("source", {"kind": "file", "place": "a\0b"}),
    ("source", {"kind": "file", "place": "/\ud800"}),
    ("source", {"kind": "file", "place": "relative"}),
    ("source", {"kind": "passphrase", "salt": "", "cost": []}),
]


@pytest.mark.parametrize(("member", "value"), CRAFTED)
def test_keys_with_a_fitting_digest_are_judged_all_the_same(root, member, value) -> None:
    """The digest in `keys.json` is no proof: what cannot be keys is damage, and is told."""
    with clawstate.open(root) as state:
        state.auth().upsert("openai:default", KEY)
        Encryption(state._context).turn_on("file")
    path = root / "state/keys.json"
    document = {**json.loads(path.read_bytes()), member: value}
    path.write_text(json.dumps({**document, "check": sealed_keys._check(document)}))

    with clawstate.open(root) as state, pytest.raises(CorruptError):
        state.auth().secret("openai:default")


def test_keys_are_not_made_behind_a_link(root, tmp_path) -> None:
    """Where `state` is a link, no key leaves the state directory."""
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir(mode=0o700)
    (root / "state").symlink_to(outside)

    with clawstate.open(root) as state, pytest.raises(InvalidError, match="link"):
        Encryption(state._context).turn_on("file")

    assert [each for each in outside.rglob("*") if each.is_file()] == []


@pytest.mark.parametrize("place", ["locks", "locks/auth", "locks/auth/main"])
def test_an_answer_is_not_written_behind_a_link(root, tmp_path, place) -> None:
    """A refresh whose directory is reached by a link asks nobody: its answer would leave."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / place).parent.mkdir(parents=True, mode=0o700)
    (root / place).symlink_to(outside)
    asked = []

    def exchange(credential):
        asked.append(credential)
        return ANSWER

    with clawstate.open(root) as state:
        state.auth().upsert("google:me", LOGIN)
        with pytest.raises(InvalidError, match="link"):
            state.auth().refresh("google:me", exchange)
        assert state.auth().require("google:me").refresh == "r-0"

    assert asked == []


def test_no_value_of_the_store_shows_a_secret(root) -> None:
    """What is read at one moment, and the document as a dict, hide what they hold."""
    with clawstate.open(root) as state:
        state.auth().upsert("openai:default", {**KEY, "more": SECRET})
        store = state.auth()._own
        rows = read_profiles(store.collection.scan(), store.codec, store.read())
        store = clawstate.load_auth_profile_store(state_dir=root)

        assert SECRET in json.dumps(store)
        shown = [
            repr(rows),
            *map(repr, rows.profiles.values()),
            repr(store),
            repr(state.auth().get),
        ]

    assert all("canary" not in each for each in shown)
    assert "openai:default" in repr(store)
    assert repr(AuthProfileStore({"profiles": 7})) == "AuthProfileStore()"


def test_what_was_resolved_before_a_reload_is_not_kept_after_it(root) -> None:
    """A reload in the middle of a resolution counts: the next look resolves anew."""
    values = ["first-value"]
    began, go_on = threading.Event(), threading.Event()
    with clawstate.open(root) as state:
        profiles = state.auth()
        reference = {"source": "env", "provider": "default", "id": "OPENAI_API_KEY"}
        profiles.upsert(
            "openai:default", {"type": "api_key", "provider": "openai", "keyRef": reference}
        )

        def slow(_reference):
            value = values[0]
            began.set()
            go_on.wait(10)
            return value

        profiles._own.codec._resolve = slow
        reader = threading.Thread(target=profiles.secret, args=("openai:default",))
        reader.start()
        assert began.wait(10)
        values[0] = "second-value"
        profiles.reload()
        go_on.set()
        reader.join()

        assert profiles.secret("openai:default") == "second-value"


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_an_import_that_waits_while_encryption_comes_is_sealed(root, store) -> None:
    """Whatever comes in after encryption is on is sealed, though it was read before."""
    folder = root / "agents/main/agent"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "auth.json").write_text(json.dumps({"openai": {"type": "api_key", "key": SECRET}}))
    with clawstate.open(root, store=store) as state, clawstate.open(root, store=store) as other:
        store = state.auth()._own
        change_all = store.collection.change_all

        def delayed(change):
            store.collection.change_all = change_all
            (folder / "auth.json").rename(folder / "auth.json.away")
            Encryption(other._context).turn_on("file")
            (folder / "auth.json.away").rename(folder / "auth.json")
            return change_all(change)

        store.collection.change_all = delayed
        state.auth().mark_used("openai:default")

        record = state.auth().document()["profiles"]["openai:default"]
        assert "key" not in record
        assert "keySealed" in record
        assert state.auth().secret("openai:default") == SECRET


def test_the_function_returns_what_it_kept_whoever_removes_it(root) -> None:
    """`upsert_auth_profile` answers with its own record, not with what is there a moment later."""
    with clawstate.open(root) as state:
        profiles = state.auth()
        put = profiles._own.put

        def removing(profile_id, change):
            record = put(profile_id, change)
            profiles._own.remove(profile_id)
            return record

        profiles._own.put = removing

        assert profiles.keep("openai:default", KEY)["key"] == SECRET


@pytest.mark.filterwarnings("ignore::clawstate.errors.ElsewhereWarning")
def test_encryption_names_what_other_engines_and_refreshes_left(root) -> None:
    """Files that the engine does not use, and answers of killed refreshes, are told."""
    with clawstate.open(root, store="file") as state:
        state.auth().upsert("openai:default", KEY)
    spool = root / "locks/auth/main/google%3ame/0123.answer"
    spool.parent.mkdir(parents=True, mode=0o700)
    spool.write_text(json.dumps({"generation": "x", "record": {**LOGIN, "access": SECRET}}))
    (spool.parent / "4567.answer").write_text("")
    with clawstate.open(root, store="sqlite") as state:
        state.auth().upsert("openai:default", KEY)

        remains = Encryption(state._context).turn_on("file").remains

    told = [str(root / "agents/main/agent/auth-profiles.json"), str(spool)]
    assert [any(each in line for line in remains) for each in told] == [True, True]
    assert not any("4567" in line for line in remains)


def test_a_linked_quarantine_is_named_and_not_cleaned(root, tmp_path) -> None:
    """What lies behind a link is not ours to write."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "notes").write_text(SECRET)
    with clawstate.open(root) as state:
        state.auth().upsert("openai:default", KEY)
        (root / "agents/main/agent/.quarantine").symlink_to(outside)

        remains = Encryption(state._context).turn_on("file").remains

    assert (outside / "notes").read_text() == SECRET
    assert any(".quarantine is a link" in each for each in remains)


def test_profiles_behind_a_link_are_no_sessions(root, tmp_path) -> None:
    """A linked directory of profiles brings no session in, and nothing in it is removed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    entry = {"sessionId": "stranger", "sessionKey": "k", "sessionFile": "profile/k.json"}
    (outside / "k.json").write_text(json.dumps({**entry, "updatedAt": 1}))
    left = outside / f"k.json.{'0' * 16}.tmp"
    left.write_text("theirs")
    (root / "sessions").mkdir(parents=True, mode=0o700)
    (root / "sessions/profile").symlink_to(outside)

    with clawstate.open(root) as state:
        assert state.sessions.get("k") is None
        assert state.sessions.entries() == ()
        with pytest.raises(StateError):
            state.sessions.repair()

    assert left.exists()
