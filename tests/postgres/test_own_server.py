from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from clawstate.postgres.local_server import LocalServer


@pytest.fixture
def cli(tmp_path):
    """Run a command on a state whose server is removed at the end."""

    def run(*words, code=0):
        told = subprocess.run(
            [
                sys.executable,
                "-m",
                "clawstate",
                "--state-dir",
                str(tmp_path / "s"),
                *words,
                "--json",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == code, told.stdout + told.stderr
        return json.loads(told.stdout)

    yield run
    home = run("store", "serve", "--stop")["home"]
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.slow
def test_a_server_of_ones_own(cli) -> None:
    """It starts with one command, is private, outlives a kill, and holds a state on its own."""
    assert cli("store", "serve", "--status")["running"] is False
    cli("sessions", "create", "telegram:42")
    begun = cli("store", "serve")
    assert cli("store", "serve") == begun

    cli("store", "migrate", "--to", begun["address"])
    assert [each["key"] for each in cli("sessions", "list")["sessions"]] == ["telegram:42"]

    server = LocalServer(Path(begun["home"]))
    password = server.password()
    assert password not in json.dumps(begun)
    assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.password_file.stat().st_mode) == 0o600
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert password.encode() not in words.read_bytes()

    cli("sessions", "create", "telegram:43")
    server.kill()
    assert cli("sessions", "list", code=1)["error"]["type"] == "unavailable"
    cli("store", "serve")
    assert cli("sessions", "list")["count"] == 2
    cli("store", "migrate", "--to", "file")
    assert cli("sessions", "list")["count"] == 2
