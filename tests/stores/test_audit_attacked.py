from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from urllib.parse import quote

import apsw
import pytest

from clawstate.doctor.audit import audit
from clawstate.files.atomic import make_private_dir
from clawstate.state.encryption import Encryption

SECRET = "sk-canary/0123456789+abcdefgh"
KEY = {"type": "api_key", "provider": "openai", "key": SECRET}
LOGIN = {
    "type": "oauth",
    "provider": "google",
    "access": "canary-access-1234567",
    "refresh": "canary-refresh-12345",
}


@pytest.fixture(autouse=True)
def sealed(state, tmp_path, monkeypatch):
    """Encrypt one secret, so that only what a test plants is in the clear."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    state.auth().upsert("openai:default", KEY)
    Encryption(state._context).turn_on("file")


@pytest.fixture
def root(state):
    return state.paths.root


def put(path, data):
    make_private_dir(path.parent)
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def database(path, *statements):
    """Make the database *path*; what is deleted in it stays in free pages."""
    make_private_dir(path.parent)
    connection = apsw.Connection(str(path))
    connection.pragma("secure_delete", 0)
    for each in statements:
        connection.execute(each)
    connection.close()
    path.chmod(0o600)
    return path


def found(report, code="SECRET_COPY"):
    """Return where the secret was found; the report must not hold it."""
    told = json.dumps(report.document()) + repr(report)
    assert "canary" not in told.replace("canary.log", "")
    return [(each.file, each.where) for each in report.exposures if each.code == code]


@pytest.mark.parametrize(
    "data",
    [
        SECRET.encode("utf-16"),
        SECRET.encode("utf-16-be"),
        b"\0" * ((1 << 20) - 7) + SECRET.encode("utf-16-le"),
        b"GET /?key=" + quote(SECRET, safe="").encode(),
        b"\x7fELF\0\xff\xfe" + SECRET.encode() + b"\0",
    ],
    ids=["utf-16", "utf-16-be", "border", "address", "binary"],
)
def test_a_copy_is_found_in_whatever_way_it_is_written(state, root, data) -> None:
    """A secret is found in UTF-16, in an address, and among bytes that are no text."""
    file = put(root / "a/b/c/d.bin", data)

    assert found(audit(state)) == [(file, "line 1")]


def test_deleted_text_in_a_database_is_found(state, root) -> None:
    """What a program deleted stays in free pages, from where anybody can read it."""
    row = f"INSERT INTO t VALUES ('{SECRET}' || hex(zeroblob(3000)))"
    path = database(root / "x.db", "CREATE TABLE t (a)", row, "DELETE FROM t")

    assert found(audit(state)) == [(path, "free pages")]


def test_a_log_that_outlived_its_rows_is_found(state, root) -> None:
    """What only the log of a database holds any more is found there, and its locks stay."""
    path = database(root / "x.db", "PRAGMA journal_mode = wal", "CREATE TABLE t (a)")
    connection = apsw.Connection(str(path))
    connection.pragma("secure_delete", 1)
    connection.execute(f"INSERT INTO t VALUES ('{SECRET}')")
    connection.execute("DELETE FROM t")

    ((file, _),) = found(audit(state))
    connection.close()

    assert file == path.with_name("x.db-wal")


def test_an_audit_drops_no_lock(state, root) -> None:
    """A transaction that is open in this process keeps others out, however often it is audited."""
    path = database(root / "x.db", "CREATE TABLE t (a)")
    connection = apsw.Connection(str(path))
    connection.execute("BEGIN IMMEDIATE")

    audit(state)

    child = os.fork()
    if child == 0:  # another process, by another way to the file
        other = apsw.Connection(str(path))
        other.set_busy_timeout(0)
        try:
            other.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    connection.close()


STRANGE = [
    "INSERT INTO records VALUES ('auth:main', 7, '{\"type\": \"api_key\"}')",
    "INSERT INTO records VALUES ('auth:main', 'profile/x', NULL)",
    "INSERT INTO records VALUES ('auth:main', 'profile/x', '{no')",
    "INSERT INTO records VALUES ('auth:main', CAST(x'fffe41' AS TEXT), '{}')",
    "INSERT INTO records VALUES ('auth' || char(0), x'00', x'ff')",
]


@pytest.mark.parametrize("statement", STRANGE)
def test_a_database_of_others_is_searched_whatever_it_holds(state, root, statement) -> None:
    """Rows that are none of ours stop nothing: what is planted beside them is found."""
    columns = "CREATE TABLE records (kind, id, body)"
    planted = f"INSERT INTO records VALUES ('other', 'x', '{SECRET}')"
    path = database(root / "other.db", columns, statement, planted)

    assert found(audit(state)) == [(path, "records.body")]


def test_names_that_are_no_text_are_passed(state, root) -> None:
    """A file or database whose name is no UTF-8 is searched as any other."""
    name = os.fsdecode(b"\xff")
    log = put(root / f"{name}.log", SECRET.encode())
    path = database(root / "x.db", "CREATE TABLE t (a)", f"INSERT INTO t VALUES ('{SECRET}')")
    path = path.rename(root / f"{name}.db")

    assert sorted(found(audit(state))) == sorted([(log, "line 1"), (path, "t.a")])


def test_what_is_no_file_stops_nothing(state, root) -> None:
    """Pipes, sockets, links in a circle and directories under names of files are passed over."""
    for place in (".env", "x.db", "credentials/oauth.json", "logs/pipe"):
        make_private_dir((root / place).parent)
        os.mkfifo(root / place)
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(root)  # the name of a socket is short
        listening.bind("socket")
        os.chdir(here)
    (root / "circle").symlink_to("circle")
    (root / "state/devices.json").mkdir(parents=True)
    file = put(root / "logs/a.log", SECRET.encode())

    assert found(audit(state)) == [(file, "line 1")]


def test_a_file_that_vanishes_stops_nothing(state, root) -> None:
    """What is removed while an audit runs is noted at most."""
    files = [put(root / f"logs/{number}.log", SECRET.encode()) for number in range(3)]
    files.append(database(root / "logs/x.db", "CREATE TABLE t (a)"))

    def progress(_done, _total, _what) -> None:
        for each in files[1:]:
            each.unlink(missing_ok=True)

    assert found(audit(state, progress=progress)) == [(files[0], "line 1")]


def test_answers_of_killed_refreshes_are_looked_at(state, root) -> None:
    """Tokens that only a journalled response holds are found, and copies of them elsewhere."""
    spool = put(
        root / "locks/auth/main/google%3ame/0123.answer",
        json.dumps({"generation": "x", "record": LOGIN}).encode(),
    )
    log = put(root / "logs/canary.log", LOGIN["refresh"].encode())

    report = audit(state)

    clear = [(spool, "record.access"), (spool, "record.refresh")]
    assert found(report, "PLAINTEXT_FOUND") == clear
    assert found(report) == [(log, "line 1")]
    assert {each.profile_id for each in report.exposures if each.file == spool} == {"google:me"}


def test_variables_are_found_in_any_directory(state, root) -> None:
    """A file `.env` is one wherever it lies."""
    file = put(root / "skills/x/.env", b"XAI_API_KEY=canary-variable-0123456789\n")

    assert found(audit(state), "PLAINTEXT_FOUND") == [(file, "XAI_API_KEY")]
