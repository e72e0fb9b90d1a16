from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from openclaw_home import SECRETS, OpenClawHome

import clawstate
from clawstate.cli import imports
from clawstate.cli.main import run
from clawstate.importers.openclaw import KINDS

SOURCE = Path(clawstate.__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path) -> OpenClawHome:
    return OpenClawHome(tmp_path / ".openclaw", time.time()).everything()


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(*arguments: object) -> tuple[int, str]:
        code = run([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out + err

    return call


def test_the_document_is_complete(cli, home) -> None:
    """With JSON, one document has the source, the counts by kind, and every problem."""
    code, out = cli("import", "openclaw", home.root, "--json")

    document = json.loads(out)
    assert code == 0
    assert document.keys() == {"dryRun", "source", "sourceIsState", "kinds", "problems"}
    assert document["sourceIsState"] is False
    assert (document["dryRun"], document["source"]) == (False, str(home.root))
    assert document["kinds"]["auth"] == {
        "found": 4,
        "new": 4,
        "changed": 0,
        "unchanged": 0,
        "skipped": 0,
        "failed": 0,
    }
    for problem in document["problems"]:
        assert problem.keys() == {"kind", "severity", "path", "line", "message"}


def test_a_person_reads_a_table_and_what_to_know(cli, home) -> None:
    """For people: a row for each kind, what was left and why, and one sentence at the end."""
    code, out = cli("import", "openclaw", "--dry-run")

    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["found", "new", "changed", "unchanged", "skipped", "failed"]
    assert lines[2].split() == ["auth", "4", "4", "-", "-", "-", "-"]
    assert any("LanceDB" in line for line in lines)
    assert lines[-1] == f"28 would be taken over from {home.root}; nothing was written"
    assert not (home.root.parent / "state").exists()


def test_the_last_sentence_tells_what_was_done(cli, home) -> None:
    """A first import tells how much was taken, a second that there was nothing new."""
    assert cli("import", "openclaw", home.root)[1].endswith(f"28 taken over from {home.root}\n")
    assert cli("import", "openclaw", home.root)[1].endswith(f"nothing new in {home.root}\n")


def test_a_failure_is_told_first_and_by_the_exit_code(cli, home) -> None:
    """A broken file makes the exit code 1 and the first line; its remark comes before others."""
    home.file("devices/paired.json", "{")

    code, out = cli("import", "openclaw", home.root)

    first, _, said = out.partition("\n\n")
    remarks = said.split("\n\n")[1].splitlines()
    assert code == 1
    assert first == "not everything was taken over, see 'failed' below: devices 1"
    assert remarks[0].startswith("failed   devices/paired.json: is not JSON")
    assert out.rstrip().endswith("; 1 failed")


def test_kinds_and_agents_are_chosen(cli, home) -> None:
    """Kinds may be repeated, the agent is given before or behind the verb; others are refused."""
    _, out = cli("import", "openclaw", home.root, "--only", "auth", "--only", "sessions", "--json")
    assert list(json.loads(out)["kinds"]) == ["auth", "sessions"]
    _, out = cli("--agent", "work", "import", "openclaw", home.root, "--only", "auth", "--json")
    assert json.loads(out)["kinds"]["auth"]["found"] == 1
    code, out = cli("import", "openclaw", home.root, "--only", "passwords")
    assert (code, "'passwords' is not one of" in out) == (2, True)


def test_nothing_to_take_is_a_sentence(cli, tmp_path) -> None:
    """An empty directory is told in a sentence, a missing one is an error that says what to do."""
    (tmp_path / "empty").mkdir()

    assert cli("import", "openclaw", tmp_path / "empty") == (
        0,
        f"{tmp_path / 'empty'} holds nothing to take over\n",
    )
    code, out = cli("import", "openclaw", tmp_path / "missing")
    assert code == 3
    assert "name the directory that OpenClaw uses" in out


def test_no_output_holds_a_secret_or_a_control_character(cli, home) -> None:
    """Names of files reach the terminal readable, and secrets never."""
    home.file(
        "agents/main/sessions/\x1b[31m\udcff.jsonl".encode(errors="surrogateescape").decode(
            errors="surrogateescape"
        ),
        "no\n",
    )

    for options in ([], ["--json"], ["--dry-run"], ["--replace"]):
        _, out = cli("import", "openclaw", home.root, *options)
        assert "\x1b[31m" not in out
        assert not [secret for secret in SECRETS if secret in out]


def test_the_kinds_of_the_option_are_those_there_are() -> None:
    """Each kind that can be taken can be named."""
    assert tuple(imports._KINDS) == KINDS


def test_a_terminal_sees_how_far_it_is(home, tmp_path) -> None:
    """On a terminal a bar is drawn while it works, and gone when it is done."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "clawstate", "import", "openclaw", home.root],
        env={
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "OPENCLAW_STATE_DIR": str(tmp_path / "state"),
            "TERM": "xterm",
        },
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = process.stdout.read().decode()
        drawn = b""
        while chunk := _read(ours):
            drawn += chunk
    os.close(ours)

    assert b"importing" in drawn
    assert "taken over" in said


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side is closed
        return b""
