from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import clawstate
from clawstate.errors import (
    ConflictError,
    CorruptError,
    InvalidError,
    LockTimeoutError,
    StateError,
    UnavailableError,
    VersionError,
)

pytest.importorskip("nio", reason="the extra matrix is not installed")
from clawstate.matrix import log_in, open_client

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LOGIN = {
    "homeserver": "http://127.0.0.1:1",
    "user_id": "@bot:localhost",
    "access_token": "first",
    "device_id": "DEV",
}


@pytest.fixture
def opened(each_engine, tmp_path):
    with clawstate.open(tmp_path / "state", **each_engine) as state:
        yield state


def identity(state, **login) -> str:
    """Open a client, close it, and return the key by which others know its device."""
    client = open_client(state.matrix(**{**LOGIN, **login}))
    try:
        return client.olm.account.identity_keys["ed25519"]
    finally:
        close(client)


def close(client) -> None:
    client.store.close()
    client._lease.release()


def database(state):
    return state.matrix(**LOGIN).crypto_path / "nio.db"


def key_file(state):
    return database(state).with_name("nio-key.json")


def test_a_device_is_the_same_at_each_start(opened) -> None:
    """The keys are found again, also with a new token, and are noted beside their key."""
    first = identity(opened)

    assert identity(opened) == first
    assert identity(opened, access_token="second") == first
    assert opened.matrix(**LOGIN).keys.require().identity_key == first
    assert opened.matrix.known_device(LOGIN["homeserver"], LOGIN["user_id"]) == "DEV"


@pytest.mark.slow
def test_the_keys_are_private_from_their_birth(tmp_path) -> None:
    """No file of the keys can be read by others at any moment, whatever the umask."""
    code = (
        "import os, sys, clawstate; os.umask(0); from clawstate.matrix import open_client;"
        "state = clawstate.open(sys.argv[1]);"
        f"open_client(state.matrix(**{LOGIN!r})); os._exit(0)"
    )
    watched = ["strace", "-f", "-qq", "-e", "trace=openat,mkdir,chmod,fchmod", "-o"]
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")

    root, trace = tmp_path / "state", tmp_path / "trace"
    subprocess.run([*watched, trace, sys.executable, "-c", code, root], check=True)

    made = [line for line in trace.read_text().splitlines() if str(root) in line]
    wide = [line for line in made if "O_CREAT" in line and ", 0600" not in line]
    # SQLite asks for 0644 and takes the mode of the database for its journal.
    assert [line for line in wide if ".db" not in line] == []
    assert [line for line in made if "mkdir" in line and ", 0700" not in line] == []
    assert [each for each in (root, *root.rglob("*")) if each.stat().st_mode & 0o077] == []


def test_the_position_is_that_of_the_storage(opened) -> None:
    """A client begins where the storage says, and its keys are opened with a key of their own."""
    opened.matrix(**LOGIN).storage.set_sync_token("s9")

    client = open_client(opened.matrix(**LOGIN))

    assert client.loaded_sync_token == "s9"
    assert client.config.pickle_key == opened.matrix(**LOGIN).keys.require().pickle_key
    assert not client.config.store_sync_tokens
    close(client)


def test_one_client_at_a_time_has_the_keys(state) -> None:
    """A second client of the device is refused until the first is closed."""
    client = open_client(state.matrix(**LOGIN))

    with pytest.raises(LockTimeoutError):
        open_client(state.matrix(**LOGIN))

    close(client)
    identity(state)


def test_a_device_must_be_known(state) -> None:
    """Without a device id there are no keys to make."""
    with pytest.raises(InvalidError, match="device id"):
        open_client(state.matrix(**{**LOGIN, "device_id": None}))


def test_another_device_has_keys_of_its_own(state) -> None:
    """A login as another device neither finds nor changes the keys of the first."""
    first = identity(state)

    assert identity(state, access_token="second", device_id="OTHER") != first
    assert identity(state) == first


def test_the_keys_of_another_device_are_not_used(state) -> None:
    """A token whose storage holds the keys of another device is refused."""
    identity(state)

    with pytest.raises(ConflictError, match="DEV"):
        identity(state, device_id="OTHER")


def _empty(path) -> None:
    path.write_bytes(b"")


def _remove(path) -> None:
    path.unlink()


def _truncate(path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _overwrite(path) -> None:
    path.write_bytes(b"no database at all " * 500)


def _replace(path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()


def _make_newer(path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE storeversion SET version = 99")
    connection.close()


def _forget_account(path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM accounts")
    connection.close()


def _flip(path) -> None:
    raw = bytearray(path.read_bytes())
    raw[4096:4196] = bytes(100)
    path.write_bytes(raw)


DAMAGES = [_empty, _remove, _truncate, _overwrite, _replace, _make_newer, _forget_account, _flip]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_database_that_is_not_the_one_is_refused(state, damage) -> None:
    """What is gone, cut off, another program's or newer is an error, and is left as it is."""
    identity(state)
    path = database(state)
    damage(path)
    before = path.read_bytes() if path.exists() else None

    with pytest.raises(CorruptError) as caught:
        identity(state)

    assert str(path) in str(caught.value)
    assert (path.read_bytes() if path.exists() else None) == before
    assert isinstance(caught.value, VersionError) == (damage is _make_newer)
    findings = list(state.health.check("matrix"))
    assert damage is _forget_account or [each.severity for each in findings] == ["error"]


def test_a_wrong_key_is_refused_and_not_told(state) -> None:
    """With another key than its own a database does not open, and no error shows a key."""
    first = identity(state)
    text = key_file(state).read_text()
    key = json.loads(text)["pickleKey"]
    key_file(state).write_text(text.replace(key, key.swapcase()))
    before = database(state).read_bytes()

    with pytest.raises(CorruptError, match="does not open") as caught:
        identity(state)

    assert key not in str(caught.value)
    assert key.swapcase() not in str(caught.value)
    assert database(state).read_bytes() == before
    key_file(state).write_text(text)
    assert identity(state) == first


def test_a_missing_key_makes_no_new_one(state) -> None:
    """A database whose key is gone is an error that says what to restore."""
    identity(state)
    for folder in (key_file(state), key_file(state).parent / ".lastgood" / "nio-key.json"):
        folder.unlink()

    with pytest.raises(StateError, match="restore"):
        identity(state)

    assert not key_file(state).exists()
    assert [each.code for each in state.health.check("matrix")] == ["matrix-keys"]


def test_keys_that_are_gone_altogether_are_not_made_anew(opened) -> None:
    """With database and key gone a device gets no other keys; a new device of the user does."""
    first = identity(opened)
    shutil.rmtree(opened.matrix(**LOGIN).crypto_path)

    with pytest.raises(CorruptError, match="lost the keys of the device DEV"):
        identity(opened)

    assert not opened.matrix(**LOGIN).crypto_path.exists()
    assert [each.code for each in opened.health.check("matrix")] == ["matrix-keys"]
    opened.matrix(**LOGIN).storage.set_sync_token("s5")
    other = {"access_token": "second", "device_id": "OTHER"}
    assert identity(opened, **other) != first
    assert opened.matrix(**{**LOGIN, **other}).storage.get_sync_token() == "s5"
    assert list(opened.health.check("matrix")) == []


def test_a_second_machine_makes_no_keys_for_the_device_of_the_first(postgres, tmp_path) -> None:
    """Over one database the keys of a device are those of one machine, and a client runs once."""
    named = {"store": postgres.full_url, "tenant": tmp_path.name}
    with (
        clawstate.open(tmp_path / "one", **named) as one,
        clawstate.open(tmp_path / "two", **named) as two,
    ):
        first = open_client(one.matrix(**LOGIN))
        with pytest.raises(LockTimeoutError):
            open_client(two.matrix(**LOGIN))
        close(first)

        with pytest.raises(CorruptError, match="run the bot where they are"):
            open_client(two.matrix(**LOGIN))

        assert [each.severity for each in two.health.check("matrix")] == ["warning"]
        assert identity(one) == first.olm.account.identity_keys["ed25519"]


def test_the_database_of_another_device_is_refused(tmp_path) -> None:
    """A database that was put in the place of another opens nothing."""
    with clawstate.open(tmp_path / "one") as one, clawstate.open(tmp_path / "two") as two:
        identity(one)
        identity(two)
        shutil.copy(database(two), database(one))
        shutil.copy(key_file(two), key_file(one))
        document = json.loads(key_file(one).read_text())
        key_file(one).write_text(json.dumps({**document, "identityKey": "another"}))

        with pytest.raises(CorruptError, match="other keys"):
            identity(one)


def test_a_copy_is_the_same_device(opened, each_engine, tmp_path) -> None:
    """A copy of the directory of a state, put elsewhere, opens the keys as the state does."""
    first = identity(opened)
    opened.matrix(**LOGIN).storage.set_sync_token("s4")

    shutil.copytree(opened.paths.root, tmp_path / "copy")

    with clawstate.open(tmp_path / "copy", **each_engine) as copy:
        assert identity(copy) == first
        assert copy.matrix(**LOGIN).storage.get_sync_token() == "s4"


def test_a_kill_before_the_first_table_is_no_damage(state) -> None:
    """An empty database of a device that never had keys is filled at the next start."""
    matrix = state.matrix(**LOGIN)
    matrix.keys.make(LOGIN["homeserver"], LOGIN["user_id"], "DEV")
    database(state).touch(0o600)

    assert identity(state)


class NoHomeserver(BaseHTTPRequestHandler):
    """Some other web server."""

    def do_POST(self) -> None:
        self.send_response(404)
        self.end_headers()
        self.wfile.write(b"<html>nothing is here</html>")

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def other_server():
    """Return the address of a web server that is no homeserver."""
    with HTTPServer(("127.0.0.1", 0), NoHomeserver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kept", [False, True], ids=["by password", "by a credential"])
def test_a_wrong_address_of_the_server_is_an_error(state, other_server, kept) -> None:
    """Where nobody answers, or another server does, a login ends, and the error names it."""
    for homeserver in (LOGIN["homeserver"], other_server):
        if kept:
            state.matrix.credentials().save(homeserver, LOGIN["user_id"], "token", device_id="DEV")

        with pytest.raises(UnavailableError) as caught:
            asyncio.run(
                log_in(state, homeserver=homeserver, user_id=LOGIN["user_id"], password="pw")
            )

        assert homeserver in str(caught.value)
        assert "pw" not in str(caught.value)
        found = state.matrix.credentials().get()
        assert (found and found.access_token) == ("token" if kept else None)


def test_what_only_looks_does_not_load_nio(tmp_path) -> None:
    """The storage, and the package of the client, are there without matrix-nio being loaded."""
    code = (
        "import sys, clawstate, clawstate.matrix;"
        "state = clawstate.open(sys.argv[1]);"
        f"state.matrix(**{LOGIN!r}).storage.set_sync_token('s1');"
        "list(state.health.check('matrix'));"
        "sys.exit('nio' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == 0


def test_without_the_extra_it_says_what_to_install(tmp_path) -> None:
    """Where matrix-nio is not installed the error names the extra."""
    code = (
        "import sys; sys.modules['nio'] = None\n"
        "import clawstate\n"
        "try:\n"
        "    from clawstate.matrix import open_client\n"
        "except clawstate.MissingExtraError as error:\n"
        "    sys.exit('clawstate[matrix]' not in str(error))\n"
        "sys.exit(2)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
