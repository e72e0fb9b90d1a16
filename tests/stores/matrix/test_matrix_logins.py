from __future__ import annotations

import json
import warnings

import pytest

import clawstate
from clawstate import resolve_matrix_storage_paths
from clawstate.errors import CorruptWarning, InvalidError, NotFoundError
from clawstate.state import matrix_places as places
from clawstate.stores.matrix import META

SERVER, USER = "https://example.org", "@bot:example.org"
PAIR = "matrix/accounts/default/example.org__bot_example.org"


@pytest.fixture
def opened(tmp_path, clock, each_engine):
    with clawstate.open(tmp_path / "state", clock=clock, **each_engine) as state:
        yield state


def storage(state, token, user=USER, **others):
    return state.matrix(homeserver=SERVER, user_id=user, access_token=token, **others)


def test_nothing_is_made_by_looking(opened) -> None:
    """Where a storage lies can be asked without making it."""
    found = storage(opened, "first")

    assert found.storage_path.name == "bot-storage.json"
    assert found.crypto_path == found.storage_path.parent / "crypto"
    assert not opened.paths.matrix_dir.exists()
    assert opened.matrix.logins() == ()


def test_the_storage_says_whose_it_is(state, clock) -> None:
    """The first use writes `storage-meta.json` as OpenClaw does, and the token is not in it."""
    found = storage(state, "first")
    found.storage.get_sync_token()

    document = json.loads(found.paths.meta_path.read_text())
    assert document == {
        "homeserver": SERVER,
        "userId": USER,
        "accountId": "default",
        "accessTokenHash": found.paths.token_hash,
        "createdAt": document["createdAt"],
    }
    assert found.paths.meta_path.stat().st_mode & 0o777 == 0o600
    assert found.paths.root.relative_to(state.paths.root).parent.as_posix() == PAIR


def test_a_new_token_continues_the_storage(opened) -> None:
    """After a new login, position and values are those of before; and again after the next one."""
    storage(opened, "first").storage.set_sync_token("s1")

    second = storage(opened, "second")
    second.storage.set_sync_token("s2")

    assert storage(opened, "third").storage.get_sync_token() == "s2"
    assert storage(opened, "first").storage.get_sync_token() == "s2"
    assert len(opened.matrix.logins()) == 1


def test_the_newest_storage_is_continued(opened, clock) -> None:
    """Of several storages of a user a new token continues the one that was used last."""
    for token, device in (("a", "A"), ("b", "B")):
        clock.advance(10)
        storage(opened, token, device_id=device).storage.set_sync_token(f"of-{token}")
        key = storage(opened, token, device_id=device).paths.crypto_path / "nio-key.json"
        key.parent.mkdir(parents=True, exist_ok=True)
        document = {"homeserver": SERVER, "userId": USER, "deviceId": device, "pickleKey": "k"}
        key.write_text(json.dumps(document))

    assert storage(opened, "c").storage.get_sync_token() == "of-b"
    assert storage(opened, "d", device_id="A").storage.get_sync_token() == "of-a"
    assert storage(opened, "e", device_id="E").storage.get_sync_token() is None


@pytest.mark.parametrize(
    ("server", "user"),
    [(SERVER, "@BOT:example.org"), ("http://example.org", USER), (f"{SERVER}/other", USER)],
)
def test_another_user_or_server_is_not_continued(opened, server, user) -> None:
    """A user whose directory is called the same has a storage of its own."""
    storage(opened, "first").storage.set_sync_token("s1")

    other = opened.matrix(homeserver=server, user_id=user, access_token="second")

    assert other.paths.pair_key == storage(opened, "first").paths.pair_key
    assert other.storage.get_sync_token() is None


def test_a_slash_at_the_end_is_the_same_server(opened) -> None:
    """The URL may be written in another way."""
    storage(opened, "first").storage.set_sync_token("s1")

    other = opened.matrix(homeserver="HTTPS://Example.org/", user_id=USER, access_token="second")

    assert other.storage.get_sync_token() == "s1"


def test_accounts_are_apart(opened) -> None:
    """Two accounts of one user share nothing."""
    storage(opened, "first").storage.set_sync_token("s1")

    assert storage(opened, "second", account_id="work").storage.get_sync_token() is None


def test_a_storage_in_the_fixed_directory_is_continued(state) -> None:
    """The directory `store`, which some releases of OpenClaw use, is one of the storages."""
    root = state.paths.root / PAIR / "store"
    root.mkdir(parents=True)
    meta = {"homeserver": SERVER, "userId": USER, "accountId": "default", "createdAt": "2026"}
    (root / "storage-meta.json").write_text(json.dumps(meta))
    (root / "bot-storage.json").write_text(json.dumps({"syncToken": "s5"}))

    assert storage(state, "new").storage.get_sync_token() == "s5"


def test_a_storage_of_nobody_is_not_continued(state) -> None:
    """A directory that does not say whose it is, or that a link leads to, stays alone."""
    root = state.paths.root / PAIR / ("0" * 16)
    root.mkdir(parents=True)
    (root / "bot-storage.json").write_text(json.dumps({"syncToken": "s5"}))
    (root.parent / ("1" * 16)).symlink_to(root)

    assert storage(state, "new").storage.get_sync_token() is None


def test_a_damaged_note_is_told(state) -> None:
    """A `storage-meta.json` cut off while OpenClaw wrote it gives its last good state, or warns."""
    first = storage(state, "first")
    first.storage.set_sync_token("s1")
    first.paths.meta_path.write_text('{"homeserver":')

    with pytest.warns(CorruptWarning, match="storage-meta"):
        second = storage(state, "second").paths

    assert second.root == first.paths.root


@pytest.mark.parametrize("parts", [("storage", "crypto"), ("storage",), ("crypto",)])
def test_the_flat_layout_is_moved_in(opened, parts) -> None:
    """What the first releases of OpenClaw had is taken over by the login that comes first."""
    folder = opened.paths.matrix_dir
    folder.mkdir(parents=True)
    if "storage" in parts:
        (folder / "bot-storage.json").write_text(json.dumps({"syncToken": "old"}))
    if "crypto" in parts:
        (folder / "crypto").mkdir()
        (folder / "crypto" / "bot-sdk.json").write_text("{}")

    first = storage(opened, "first")
    token = first.storage.get_sync_token()

    assert token == ("old" if "storage" in parts else None)
    assert (first.crypto_path / "bot-sdk.json").exists() == ("crypto" in parts)
    assert not (folder / "bot-storage.json").exists()
    assert not (folder / "crypto").exists()
    other = storage(opened, "other", "@other:example.org")
    assert other.storage.get_sync_token() is None


def test_the_flat_layout_takes_nothing_from_a_login(opened, each_engine) -> None:
    """A login that has a storage does not get what the first releases left."""
    storage(opened, "first").storage.set_sync_token("mine")
    old = opened.paths.matrix_dir / "bot-storage.json"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text(json.dumps({"syncToken": "old"}))

    with clawstate.open(opened.paths.root, **each_engine) as again:
        assert storage(again, "first").storage.get_sync_token() == "mine"
        assert [each.code for each in again.matrix.check()] == ["matrix-flat"]

    assert old.exists()


def test_a_credential_stands_for_the_login(opened) -> None:
    """What was saved after a login opens its storage without being given again."""
    saved = opened.matrix.credentials().save(SERVER, USER, "first", device_id="DEVICE")
    storage(opened, "first").storage.set_sync_token("s1")

    found = opened.matrix()

    assert found.storage.get_sync_token() == "s1"
    assert (found.device_id, found.access_token) == ("DEVICE", "first")
    assert opened.matrix.credentials().get() == saved
    assert "first" not in repr(saved) + repr(found)


def test_without_a_credential_a_login_is_asked_for(opened) -> None:
    """An account that is not logged in is an error that says what to do."""
    with pytest.raises(NotFoundError, match="log in first"):
        opened.matrix(account_id="work")


def test_the_function_does_what_the_state_does(tmp_path) -> None:
    """`resolve_matrix_storage_paths` notes the login, and gives the same paths."""
    root = tmp_path / "state"

    found = resolve_matrix_storage_paths(SERVER, USER, "first", state_dir=root)

    assert found.meta_path.exists()
    again = resolve_matrix_storage_paths(SERVER, USER, "second", state_dir=root)
    assert again == found
    with pytest.raises(InvalidError):
        resolve_matrix_storage_paths(SERVER, USER, "t", "../up", state_dir=root)


def test_records_move_from_one_engine_to_the_other(tmp_path, clock, postgres) -> None:
    """A migration takes position, values and credential along, there and back."""
    named = {"clock": clock, "tenant": tmp_path.name}
    with clawstate.open(tmp_path / "state", **named) as state:
        storage(state, "first").storage.set_sync_token("s1")
        state.matrix.credentials("work").save(SERVER, USER, "work")

    for engine in ("sqlite", postgres.full_url, "file"):
        with clawstate.open(tmp_path / "state", **named) as state:
            state.records.migrate(engine)
        with warnings.catch_warnings(), clawstate.open(tmp_path / "state", **named) as state:
            warnings.simplefilter("error")
            assert state.engine.startswith(engine.partition("@")[0].partition(":")[0])
            assert storage(state, "second").storage.get_sync_token() == "s1"
            assert state.matrix.credentials("work").require().access_token == "work"


def test_what_lay_in_files_counts_where_openclaw_moved_to_sqlite(tmp_path, clock) -> None:
    """After an upgrade of OpenClaw the position and the credential are still found."""
    root = tmp_path / "state"
    with clawstate.open(root, clock=clock) as state:
        storage(state, "first").storage.set_sync_token("s1")
        state.matrix.credentials().save(SERVER, USER, "first")
    (root / "state").mkdir(exist_ok=True)
    (root / "state" / "openclaw.sqlite").touch()

    with clawstate.open(root, clock=clock) as state:
        found = state.matrix()
        assert found.storage.get_sync_token() == "s1"
        found.storage.set_sync_token("s2")
        assert storage(state, "second").storage.get_sync_token() == "s2"

    assert json.loads(found.storage_path.read_text())["syncToken"] == "s1"


def test_a_kill_between_two_moves_loses_neither(opened) -> None:
    """A take-over of the flat layout that was cut off is carried on, by the login that began it."""
    folder = opened.paths.matrix_dir
    folder.mkdir(parents=True)
    (folder / "bot-storage.json").write_text(json.dumps({"syncToken": "old"}))
    first = storage(opened, "first")
    first.crypto_path.mkdir(parents=True)  # moved already
    (first.crypto_path / "bot-sdk.json").write_text("{}")
    begun = {"homeserver": SERVER, "userId": USER, "createdAt": "2026", "adopting": True}
    meta = places.collection(opened._context, META, first.paths)
    meta.put("login", begun)

    assert storage(opened, "first").storage.get_sync_token() == "old"

    assert not (folder / "bot-storage.json").exists()
    assert "adopting" not in meta.get("login").value
