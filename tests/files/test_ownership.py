"""Root leaves a state to its owner: every file and directory, and the doctor finds what is not."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

import clawstate
from clawstate.cli.main import run
from clawstate.doctor import examine
from clawstate.files.atomic import create_private_file, make_private_dir, write_atomic
from clawstate.files.lock import FileLock
from clawstate.files.ownership import make_directory

UID, GID = 65534, 65533
KEY = {"type": "api_key", "provider": "openai", "key": "sk-canary-0123456789"}
LOGIN = {"type": "oauth", "provider": "google", "access": "a", "refresh": "r", "expires": 1}

pytestmark = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can make files for another user"
)


@pytest.fixture
def home():
    """Give the home of another user, as an absolute directory that this one may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        place = Path(name) / "home"
        place.mkdir(mode=0o700)
        os.chown(place, UID, GID)
        yield place


@pytest.fixture(params=["file", "sqlite"])
def store(request):
    return request.param


def as_user(call):
    """Return what *call* returns, as text, when it runs in a process of the other user."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(read)
            os.setgroups([])
            os.setgid(GID)
            os.setuid(UID)
            os.write(write, repr(call()).encode())
            status = 0
        except BaseException as error:  # noqa: BLE001 - it is told to the parent
            os.write(write, repr(error).encode())
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, text
    return text


def foreign(place):
    """Return what below *place*, itself included, does not belong to the other user."""
    return [
        str(each.relative_to(place))
        for each in (place, *place.rglob("*"))
        if (each.lstat().st_uid, each.lstat().st_gid) != (UID, GID)
    ]


def used(root, store, name):
    """Use every store of the state *root*, with *name* in what is written."""
    with clawstate.open(root, store=store) as state:
        state.auth().upsert(f"openai:{name}", KEY)
        state.auth("worker").upsert(f"openai:{name}", KEY)
        state.auth().upsert("google:me", LOGIN)
        state.auth().refresh("google:me", lambda _: {"access_token": name}, force=True)
        state.config.set("gateway.port", 1024 + len(name))
        state.sessions.resolve(f"agent:main:{name}")
        state.sessions.delete(f"agent:main:{name}")
        state.sessions.resolve("agent:main:main")
        state.sessions.prune()
        session = state.sessions.require("agent:main:main").session_id
        state.transcripts.append(session, [{"role": "user", "content": name}])
        state.memory.add(f"a note of {name}")
        state.memory.search("note")
        state.dedupe.check_and_record(name, namespace="test")
        state.pairing.request(user_id="ada", device_id="phone")
        state.identity.load_or_create()
        state.encryption.turn_on("file")
        state.encryption.turn_off()
        return len(state.auth().profiles())


def test_everything_that_root_makes_belongs_to_the_owner(home, store, monkeypatch):
    """After root has used every store of a new state, its user can use it all, and root again."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    root = home / "state"

    used(root, store, "root")

    assert foreign(home) == []
    assert as_user(lambda: used(root, store, "user")) == "3"
    used(root, store, "root-again")
    assert foreign(home) == []
    assert as_user(lambda: used(root, store, "user-again")) == "5"


def test_the_owner_of_a_replaced_file_is_kept(home):
    """A file of the user in a directory of root's stays the user's; a new one is root's."""
    folder = home.parent / "shared"
    folder.mkdir(mode=0o755)
    path = folder / "a.json"
    write_atomic(path, b"old")
    os.chown(path, UID, GID)

    write_atomic(path, b"new")
    write_atomic(folder / "b.json", b"new")

    assert (path.stat().st_uid, path.stat().st_gid, path.read_bytes()) == (UID, GID, b"new")
    assert (folder / "b.json").stat().st_uid == 0


def test_locks_of_root_are_the_users(home):
    """While root holds a lock its file is the user's, who can see whose turn it is."""
    with FileLock(home / "a.json"):
        (lock,) = home.glob("*.lock")
        assert lock.stat().st_uid == UID
        owner = as_user(lambda: json.loads(lock.read_text())["pid"])

    assert owner == str(os.getpid())


def test_a_link_that_somebody_puts_in_the_way_changes_no_owner(home, monkeypatch):
    """Neither a link nor a full directory that takes the name of a new one is given away."""
    secret = home.parent / "secret"
    secret.mkdir(mode=0o700)
    (secret / "file").write_text("")
    mkdir = Path.mkdir

    def exchanged(self, mode=0o777, parents=False, exist_ok=False):  # noqa: FBT002 - as it is there
        mkdir(self, mode, parents, exist_ok)
        self.rmdir()
        if self.name == "link":
            self.symlink_to(secret)
        else:
            secret.rename(self)

    monkeypatch.setattr(Path, "mkdir", exchanged)
    make_directory(home / "link")
    assert secret.stat().st_uid == 0
    make_directory(home / "moved")

    assert (home / "moved").stat().st_uid == 0
    assert (home / "moved/file").stat().st_uid == 0


def test_the_user_changes_nothing(home):
    """Who is not root makes files as ever."""

    def made():
        make_private_dir(home / "a/b")
        create_private_file(home / "a/b/c.db")
        write_atomic(home / "a/b/d.json", b"x")
        return stat.S_IMODE((home / "a/b/d.json").stat().st_mode)

    assert as_user(made) == str(0o600)
    assert foreign(home) == []


def test_the_doctor_finds_and_mends_foreign_owners(home, store):
    """Files of root in a user's state are findings, with what to do; `--fix` gives them back."""
    root = home / "state"
    with clawstate.open(root, store=store) as state:
        state.auth().upsert("openai:a", KEY)
        state.sessions.resolve("agent:main:main")
    stolen = [each for each in root.rglob("*") if each.is_file() and each.suffix != ".lock"]
    for each in (*stolen, root):
        os.chown(each, 0, 0)

    with clawstate.open(root, store=store) as state:
        found = [each for each in examine(state) if each.code == "foreign-owner"]
        assert {each.path for each in found} >= {str(each) for each in (*stolen, root)}
        assert all(f"sudo chown {UID}:{GID}" in each.fix for each in found)
        told = [each.fix for each in examine(state, fix=True) if each.code == "foreign-owner"]
        assert set(told) == {f"given to user {UID}"}
        assert not [each for each in examine(state) if each.code == "foreign-owner"]

    assert foreign(home) == []


def test_the_doctor_gives_away_no_second_name(home):
    """A hard link or a link to a file of root's is not given to anybody."""
    root = home / "state"
    with closing(clawstate.open(root)) as state:
        state.auth().upsert("openai:a", KEY)
        secret = home.parent / "shadow"
        secret.write_text("root's own")
        os.link(secret, root / "hard")
        (root / "soft").symlink_to(secret)

        told = {each.path: each.fix for each in examine(state, fix=True)}

    assert "is no file of its own" in told[str(root / "hard")]
    assert str(root / "soft") not in told
    assert secret.stat().st_uid == 0


def test_one_command_under_sudo_shuts_nobody_out(home):
    """`sudo clawstate auth add` in a user's state leaves the user what it was."""
    as_user(lambda: clawstate.open(home / ".openclaw").auth().upsert("openai:a", KEY) and None)
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(home / ".openclaw")]

    subprocess.run(
        [*command, "auth", "add", "openai:b"], input=b"sk-b", check=True, capture_output=True
    )

    seen = as_user(
        lambda: [each.id for each in clawstate.open(home / ".openclaw").auth().profiles()]
    )
    assert seen == "['openai:a', 'openai:b']"
    assert foreign(home) == []


@pytest.mark.parametrize("noun", ["memory", "transcripts"])
def test_exported_file_is_of_the_owner_of_its_place(home, noun: str) -> None:
    """What root exports is the user's whose directory it is, or whose file it replaces."""
    with clawstate.open(home / "state") as state:
        state.memory.add("tea")
        session = state.sessions.resolve("agent:main:main").session_id
        state.transcripts.append(session, [{"role": "user", "content": "tea"}])
    folder, there = home.parent / "exports", home.parent / "exports/there"
    folder.mkdir()
    there.write_text("before")
    os.chown(there, UID, GID)
    (folder / "link").symlink_to("there")
    arguments = {"memory": ["export"], "transcripts": ["export", "--session", session]}[noun]

    for name in ("there", "link"):
        assert run(["--state-dir", str(home / "state"), noun, *arguments, str(folder / name)]) == 0
        assert (there.stat().st_uid, there.stat().st_gid) == (UID, GID)
        assert stat.S_IMODE(there.stat().st_mode) == 0o600
        assert "tea" in there.read_text()
    assert run(["--state-dir", str(home / "state"), noun, *arguments, str(home / "new")]) == 0
    assert run(["--state-dir", str(home / "state"), noun, *arguments, os.devnull]) == 0

    assert foreign(home) == []
    assert (folder / "link").is_symlink()
    assert sorted(each.name for each in folder.iterdir()) == ["link", "there"]
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)  # noqa: PTH116 - a device


def test_key_file_outside_of_the_state_is_of_the_owner_of_its_place(home) -> None:
    """A key that root makes in the directory of a user can be read by that user."""
    with clawstate.open(home / "state") as state:
        state.auth().upsert("openai:default", KEY)
    key = home / "keys/new/state.key"

    assert run(["--state-dir", str(home / "state"), "auth", "encrypt", "--key", f"file:{key}"]) == 0

    assert foreign(home) == []
