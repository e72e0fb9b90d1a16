"""A backup holds the keys of a Matrix device, and a bot that is restored from it reads on."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

import clawstate
from clawstate.backup import create, restore, verify

pytest.importorskip("nio", reason="the extra matrix is not installed")
from nio import MegolmEvent

from clawstate.matrix import open_client

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROOM = "!room:localhost"
LOGIN = {"homeserver": "http://127.0.0.1:1", "access_token": "token"}
BOT = {**LOGIN, "user_id": "@bot:localhost", "device_id": "DEV"}
ALICE = {**LOGIN, "user_id": "@alice:localhost", "device_id": "PHONE"}


@contextmanager
def running(state, login):
    """Lend a client of *login*."""
    client = open_client(state.matrix(**login))
    try:
        yield client
    finally:
        client.store.close()
        client._lease.release()


def said(alice, bot, text: str) -> MegolmEvent:
    """Let Alice say *text* with a key of its own, which the bot is given; return the message."""
    alice.olm.outbound_group_sessions.clear()
    alice.olm.create_outbound_group_session(ROOM)
    session = alice.olm.outbound_group_sessions[ROOM]
    session.shared = True
    keys = alice.olm.account.identity_keys
    bot.olm.create_group_session(
        keys["curve25519"], keys["ed25519"], ROOM, session.id, session.session_key
    )
    content = {"type": "m.room.message", "content": {"msgtype": "m.text", "body": text}}
    sealed = alice.olm.group_encrypt(ROOM, content)
    event = MegolmEvent.from_dict(
        {
            "content": sealed,
            "type": "m.room.encrypted",
            "event_id": f"${text}",
            "sender": ALICE["user_id"],
            "origin_server_ts": 1,
        }
    )
    event.room_id = ROOM
    return event


def read(client, event: MegolmEvent) -> str | None:
    """Return what *event* says to the client, or `None` where it has no key for it."""
    found = client.olm._decrypt_megolm_no_error(event)
    return None if found is None else found.body


@pytest.mark.parametrize("sealed", [False, True], ids=["in the clear", "encrypted"])
def test_a_restored_bot_reads_what_it_could_read(
    tmp_path, monkeypatch, each_engine, sealed
) -> None:
    """From a backup of a running bot the same device decrypts what was said before, and goes on."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "keys"))
    file = tmp_path / "kept.tar.gz"
    with (
        clawstate.open(tmp_path / "alice") as hers,
        running(hers, ALICE) as alice,
        clawstate.open(tmp_path / "bot", **each_engine) as state,
    ):
        if sealed:
            state.encryption.turn_on("file")
        state.matrix.credentials().save(
            BOT["homeserver"], BOT["user_id"], BOT["access_token"], device_id=BOT["device_id"]
        )
        with running(state, BOT) as bot:
            identity = bot.olm.account.identity_keys
            before = said(alice, bot, "before")
            state.matrix().storage.set_sync_token("s7")
            create(state, file)  # while the bot has its database open
            after = said(alice, bot, "after")
        assert not verify(file).damaged
    shutil.rmtree(tmp_path / "bot")

    restore(file, tmp_path / "bot")

    # What lay on a server lies in a file of the restored state, which names its engine itself.
    named = dict(each_engine)
    if "://" in named["store"]:
        del named["store"]
    with clawstate.open(tmp_path / "bot", **named) as state, running(state, {}) as bot:
        assert bot.olm.account.identity_keys == identity
        assert bot.loaded_sync_token == "s7"
        assert read(bot, before) == "before"
        assert read(bot, after) is None  # said later, with another key
        with clawstate.open(tmp_path / "alice") as hers, running(hers, ALICE) as alice:
            assert read(bot, said(alice, bot, "again")) == "again"
        assert list(state.health.check("matrix")) == []
        assert list(state.health.check("encryption")) == []


def test_a_bot_goes_back_to_a_backup_of_its_own(tmp_path) -> None:
    """Restored over a state whose keys were destroyed, a bot is the device that it was."""
    file = tmp_path / "kept.tar.gz"
    with clawstate.open(tmp_path / "bot") as state:
        with running(state, BOT) as bot:
            identity = bot.olm.account.identity_keys
        create(state, file)
        state.matrix(**BOT).crypto_path.joinpath("nio.db").write_bytes(b"")
        with pytest.raises(clawstate.CorruptError, match="restore it"):
            open_client(state.matrix(**BOT))

    restore(file, tmp_path / "bot")

    with clawstate.open(tmp_path / "bot") as state, running(state, BOT) as bot:
        assert bot.olm.account.identity_keys == identity
