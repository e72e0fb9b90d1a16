"""The gateway as a user service of systemd, with a systemctl that notes what it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> "$HOME/told"
test ! -e "$HOME/broken" || { echo no bus >&2; exit 1; }
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    return tmp_path


@pytest.fixture
def systemctl(home: Path) -> Path:
    program = home / "bin" / "systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    return program


def gateway(home: Path, *words: str) -> tuple[int, dict]:
    command = [sys.executable, "-m", "clawstate", "--json", "gateway", *words]
    # Nothing but the programs of the test, and what they are written in.
    paths = os.pathsep.join([str(home / "bin"), str(home / "sh")])
    (home / "sh").mkdir(exist_ok=True)
    if not (home / "sh" / "sh").exists():
        (home / "sh" / "sh").symlink_to("/bin/sh")
    done = subprocess.run(
        command, env={"HOME": str(home), "PATH": paths}, capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


def test_it_is_installed_and_removed(home: Path, systemctl: Path) -> None:
    """The unit is written, started and enabled; then stopped, and gone without a trace."""
    code, made = gateway(home, "install")
    unit = Path(made["path"])

    assert code == 0
    assert unit == home / ".config" / "systemd" / "user" / "clawstate-gateway.service"
    assert f'ExecStart="{sys.executable}" "-m" "clawstate"' in unit.read_text()
    assert gateway(home, "status")[1]["unit"] == str(unit)
    assert gateway(home, "uninstall")[0] == 0
    assert not unit.exists()
    told = (home / "told").read_text().splitlines()
    assert told == [
        "--user daemon-reload",
        "--user enable --now clawstate-gateway.service",
        "--user disable --now clawstate-gateway.service",
        "--user daemon-reload",
    ]


def test_a_dry_run_writes_nothing(home: Path) -> None:
    """The unit can be read before anything is written, also where there is no systemd."""
    code, made = gateway(home, "install", "--dry-run")

    assert code == 0
    assert "[Service]" in made["text"]
    assert not (home / ".config").exists()


def test_without_systemd_it_says_so(home: Path) -> None:
    """Where there is no systemd, nothing is written, and the error says what to do."""
    code, refused = gateway(home, "install")

    assert code == 1
    assert refused["error"]["type"] == "unavailable"
    assert "no systemctl" in refused["error"]["message"]
    assert not (home / ".config").exists()


def test_what_systemd_refuses_is_told(home: Path, systemctl: Path) -> None:
    """What systemctl answers when it fails is in the error."""
    (home / "broken").touch()

    code, refused = gateway(home, "install")

    assert code == 1
    assert "no bus" in refused["error"]["message"]


def test_nothing_is_removed_that_is_not_there(home: Path) -> None:
    """Removing a unit that is not there is no success."""
    assert gateway(home, "uninstall")[0] == 3
