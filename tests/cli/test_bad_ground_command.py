"""What the command line says on ground that is damaged, or out of reach."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CANARY = "sk-canary-0123456789"


@pytest.fixture
def locked(cli) -> Iterator[Path]:
    """Have a state whose directory this user may not look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = folder / "state"
    cli("--state-dir", root, "auth", "add", "openai:default", stdin=CANARY.encode())
    cli("--state-dir", root, "memory", "add", "tea")
    root.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield root
    if is_root:
        os.seteuid(0)
    root.chmod(0o700)
    shutil.rmtree(folder)


def test_the_doctor_tells_what_it_may_not_look_at(cli, locked) -> None:
    """A state of another user is a finding each, and no crash."""
    ran = cli("--state-dir", locked, "doctor", "--json")

    assert ran.code == 1
    assert {"unavailable"} <= {each["code"] for each in ran.json["findings"]}
    assert cli("--state-dir", locked, "doctor", "--fix").code == 1


def test_the_status_says_what_cannot_be_read(cli, locked) -> None:
    """The `status` of a state of another user says so of each part, and does not call it empty."""
    ran = cli("--state-dir", locked, "status", "--json")

    assert (ran.code, ran.json["memory"]["error"]["type"]) == (1, "unavailable")
    assert str(locked) in ran.json["memory"]["error"]["message"]
    assert "records" not in ran.json["memory"]


def test_the_status_says_which_store_cannot_be_read(cli, tmp_path) -> None:
    """A document of a later release is told in its place, and the others are counted."""
    cli("sessions", "create", "k")
    path = tmp_path / "state" / "state" / "pairing.json"
    path.parent.mkdir()
    path.write_bytes(b'{"version": 99}')

    ran = cli("status", "--json")

    records = ran.json["records"]
    assert ran.code == 1
    assert "pairing.json" in records["pairingRequests"]
    assert (records["sessions"], records["pairedDevices"]) == (1, 0)


def test_the_status_counts_what_is_whole_beside_a_damaged_memory(cli, tmp_path) -> None:
    """A memory that cannot be read says why in its place, and all else is told as always."""
    cli("sessions", "create", "k")
    cli("memory", "add", "tea")
    (tmp_path / "state" / "memory" / "memory.db").write_bytes(b"no database" * 1000)

    ran = cli("status", "--json")

    assert ran.code == 1
    assert ran.json["memory"]["error"]["type"] == "corrupt"
    assert "memory.db" in ran.json["memory"]["path"]
    assert (ran.json["records"]["sessions"], ran.json["records"]["engine"]) == (1, "file")


def test_the_status_counts_what_is_whole_beside_a_broken_configuration(cli, tmp_path) -> None:
    """What needs the configuration says what is wrong with it; the memory is counted."""
    cli("memory", "add", "tea")
    (tmp_path / "state" / "openclaw.json").write_text("{gateway: ")

    ran = cli("status", "--json")

    assert ran.code == 1
    assert "openclaw.json" in ran.json["records"]["sessions"]
    assert ran.json["memory"]["records"] == 1


def test_a_damaged_document_is_told_once(cli, tmp_path) -> None:
    """However often a command reads a damaged file, people read one warning, without a secret."""
    cli("auth", "add", "openai:default", stdin=CANARY.encode())
    path = tmp_path / "state" / "agents" / "main" / "agent" / "auth-profiles.json"
    path.write_bytes(path.read_bytes()[:-9])

    ran = cli("auth", "list")

    assert ran.code == 0
    assert ran.err.count("warning:") == 1
    assert CANARY not in ran.out + ran.err


def test_a_full_waiting_room_says_what_to_do(cli) -> None:
    """The fourth request to pair is refused with the commands that make room."""
    for device in ("a", "b", "c"):
        cli("pairing", "request", "--user", "ada", "--device", device)

    ran = cli("pairing", "request", "--user", "ada", "--device", "d")

    assert ran.code == 1
    assert "clawstate pairing list" in ran.err
