"""The storage of a Matrix client, handed back and forth between clawstate and matrix-bot-sdk."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from openclaw_package import MATRIX_SDK

from clawstate import SimpleFsStorageProvider
from conftest import installed
from matrix.local_synapse import Synapse, reason_to_skip

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
PUPPET = "@puppet:localhost"


@pytest.fixture(scope="session")
def sdk(request):
    return installed(request, MATRIX_SDK)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bot-storage.json"


@pytest.fixture
def run(sdk, path, tmp_path):
    """Return what runs the SDK on the file, and returns the documents that it printed."""

    def start(*arguments: str, stdin: str = "") -> list[dict]:
        done = subprocess.run(
            [sdk.node, HERE / "matrix_sdk.cjs", sdk.root, path, *arguments],
            env=sdk.environment(tmp_path),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return start


@pytest.fixture
def theirs(run):
    """Return what calls the storage of the SDK: (name, arguments), and a user or none."""

    def call(*calls: tuple) -> list:
        asked = [
            {"call": name, "args": args, "user": user[0] if user else None}
            for name, args, *user in calls
        ]
        return [each["answer"] for each in run(stdin="".join(f"{json.dumps(a)}\n" for a in asked))]

    return call


def test_the_sdk_finds_all_that_we_kept(theirs, path) -> None:
    """Token, filter, users, transactions and values of ours are those that the SDK reads."""
    ours = SimpleFsStorageProvider(path, track_transactions_in_memory=False)
    ours.set_sync_token("s1")
    ours.set_filter({"id": 3, "filter": {"room": {}}})
    ours.store_value("key ä", "value")
    ours.add_registered_user(PUPPET)
    ours.set_transaction_completed("txn")
    for_user = ours.storage_for_user(PUPPET)
    for_user.set_sync_token("s2")
    for_user.set_filter({"id": 4})
    for_user.store_value("a", "b")

    found = theirs(
        ("getSyncToken", []),
        ("getFilter", []),
        ("readValue", ["key ä"]),
        ("isUserRegistered", [PUPPET]),
        ("isTransactionCompleted", ["txn"]),
        ("isTransactionCompleted", ["other"]),
        ("getSyncToken", [], PUPPET),
        ("getFilter", [], PUPPET),
        ("readValue", ["a"], PUPPET),
    )

    filters = [{"id": 3, "filter": {"room": {}}}, {"id": 4}]
    assert found == ["s1", filters[0], "value", True, True, None, "s2", filters[1], "b"]


def test_we_find_all_that_the_sdk_kept(theirs, path) -> None:
    """Token, filter, users, transactions and values of the SDK are those that we read."""
    theirs(
        ("setSyncToken", ["s1"]),
        ("setFilter", [{"id": 3}]),
        ("storeValue", ["key ä", "value"]),
        ("addRegisteredUser", [PUPPET]),
        ("setTransactionCompleted", ["txn"]),
        ("setSyncToken", ["s2"], PUPPET),
        ("setFilter", [{"id": 4}], PUPPET),
        ("storeValue", ["a", "b"], PUPPET),
    )

    ours = SimpleFsStorageProvider(path, track_transactions_in_memory=False)
    for_user = ours.storage_for_user(PUPPET)
    assert (ours.get_sync_token(), ours.get_filter()) == ("s1", {"id": 3})
    assert ours.read_value("key ä") == "value"
    assert ours.is_user_registered(PUPPET)
    assert ours.is_transaction_completed("txn")
    assert (for_user.get_sync_token(), for_user.get_filter()) == ("s2", {"id": 4})
    assert for_user.read_value("a") == "b"


def test_the_file_is_byte_for_byte_the_same(theirs, path) -> None:
    """What one wrote, the other writes again without a difference, back and forth."""
    theirs(
        ("setSyncToken", ["s1"]), ("storeValue", ["a", "ä\u2028"]), ("addRegisteredUser", ["@a:b"])
    )
    by_them = path.read_bytes()

    ours = SimpleFsStorageProvider(path)
    ours.set_sync_token("s2")
    ours.set_sync_token("s1")
    assert path.read_bytes() == by_them

    ours.store_value("b", "c")
    by_us = path.read_bytes()
    theirs(("storeValue", ["b", "d"]), ("storeValue", ["b", "c"]))
    assert path.read_bytes() == by_us


@pytest.mark.timeout(600)
def test_each_goes_on_where_the_other_stopped(run, path, tmp_path_factory) -> None:
    """Both sync with a real homeserver by turns, and each message is seen by one of them."""
    if (reason := reason_to_skip()) is not None:
        pytest.skip(reason)
    with Synapse(tmp_path_factory.mktemp("synapse")) as server:
        server.register("bot", "pw")
        server.register("alice", "pw")
        login = {"type": "m.login.password", "password": "pw"}
        bot = server.ask("POST", "login", body={**login, "user": "bot"})["access_token"]
        alice = server.ask("POST", "login", body={**login, "user": "alice"})["access_token"]
        made = server.ask("POST", "createRoom", alice, {"invite": ["@bot:localhost"]})
        room = made["room_id"]
        server.ask("POST", f"rooms/{room}/join", bot, {})

        def say(text: str) -> None:
            content = {"msgtype": "m.text", "body": text}
            server.ask("PUT", f"rooms/{room}/send/m.room.message/{text}", alice, content)

        seen: list[tuple[str, str]] = []
        for turn in range(3):
            say(f"theirs-{turn}")
            seen += [("theirs", each["said"]) for each in run(server.url, bot, "1")]
            say(f"ours-{turn}")
            ours = SimpleFsStorageProvider(path)
            since = ours.get_sync_token()
            answer = server.ask("GET", f"sync?since={since}", bot)
            events = answer["rooms"]["join"][room]["timeline"]["events"]
            seen += [
                ("ours", e["content"]["body"]) for e in events if e["sender"] != "@bot:localhost"
            ]
            ours.set_sync_token(answer["next_batch"])

    assert seen == [(who, f"{who}-{turn}") for turn in range(3) for who in ("theirs", "ours")]
