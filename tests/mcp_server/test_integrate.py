from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from clawstate.cli import main as cli
from clawstate.json5.parse import parse_json5

PLACES = {
    "claude-code": ".claude.json",
    "codex": ".codex/config.toml",
    "openclaw": ".openclaw/openclaw.json",
    "hermes": ".hermes/config.yaml",
}
TABLES = {
    "claude-code": ("mcpServers",),
    "codex": ("mcp_servers",),
    "openclaw": ("mcp", "servers"),
    "hermes": ("mcp_servers",),
}
KEY = "sk-proj-0123456789abcdefghijABCDEFGHIJ0123456789abcdefgh"

TEXTS = {
    "claude-code": [
        "{}",
        "{}\n",
        '{"numStartups": 3,\t"mcpServers": {}}',
        '{\n    "mcpServers": {\n        "other": {"command": "x"}\n    },\n    "a": 1\n}\n',
        '{"mcpServers": {"clawstate": {"type": "stdio", "command": "old", "args": []}}}',
    ],
    "codex": [
        "",
        "# mine\nmodel = 'x'  # keep\n",
        'model = "x"\n\n[mcp_servers.other]\ncommand = "y"\n\n[tui]\ntheme = "dark"',
        '[mcp_servers.clawstate]\ncommand = "old"\n\n[mcp_servers.clawstate.env]\nA = "b"\n# x\n',
        'a = """\n[mcp_servers.clawstate]\n"""\r\n[b]\r\n"c d" = 1\r\n',
        '[mcp_servers."clawstate"]\ncommand = "old"\ntimeout = 20\n[z]\nk = 1979-05-27\n',
    ],
    "openclaw": [
        "{\n  // mine\n  gateway: { mode: 'local' },\n}\n",
        '{"mcp": {"servers": {"other": {"command": "y"}}}}',
    ],
    "hermes": [
        "",
        "# mine\nmodel: x  # keep\n",
        "mcp_servers:\n  other:\n    command: y\n    args:\n      - a\n      - b\n\n# tail\nz: 1\n",
        "mcp_servers: {}\nz: |\n  text\n",
        "mcp_servers:   # none yet\nz: 1",
        "mcp_servers:\n    clawstate:\n        timeout: 7\n    o:\n        x: |\n            y\n",
    ],
}  # fmt: skip
CASES = [(client, text) for client, texts in TEXTS.items() for text in texts]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Give what runs the command in a home of its own, and returns its document."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("OPENCLAW_STATE_DIR", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "HERMES_HOME"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*words: str, codes: tuple[int, ...] = (0,)) -> Any:
        assert cli.run(["--json", "integrate", *words]) in codes
        return json.loads(capsys.readouterr().out)

    return run_command


def meaning(client: str, path: Path) -> Any:
    text = path.read_text()
    if client == "codex":
        return tomllib.loads(text)
    return yaml.safe_load(text) if client == "hermes" else parse_json5(text or "{}", path=path)


def entry_in(client: str, document: Any) -> Any:
    for step in (*TABLES[client], "clawstate"):
        document = (document or {}).get(step)
    return document


@pytest.mark.parametrize(("client", "text"), CASES)
def test_only_the_entry_changes_and_undo_restores_every_byte(
    tmp_path: Path, run, client: str, text: str
) -> None:
    """The entry is put among all else that stays; a second time changes nothing; undo is exact."""
    path = tmp_path / PLACES[client]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())
    path.chmod(0o644)

    shown = run(client, "--dry-run")
    untouched = path.read_bytes()
    done = run(client)
    entry = entry_in(client, meaning(client, path))
    again = run(client)
    kept_mode = stat.S_IMODE(path.stat().st_mode)
    comments = [line for line in text.splitlines() if "keep" in line or "mine" in line]
    kept = all(line in path.read_text() for line in comments)
    run(client, "--undo")

    assert untouched == text.encode()
    assert (shown["changed"], done["changed"], again["changed"]) == (False, True, False)
    assert shown["diff"] == done["diff"]
    assert entry["command"].endswith(("clawstate", "python", "python3"))
    assert entry["args"][-2:] == ["mcp", "serve"]
    assert kept
    assert kept_mode == 0o644
    assert path.read_bytes() == text.encode()
    assert not list(path.parent.glob("*backup*"))


@pytest.mark.parametrize("client", PLACES)
def test_undo_removes_a_file_that_was_not_there(tmp_path: Path, run, client: str) -> None:
    """Where the client had no settings, undo leaves none."""
    path = tmp_path / PLACES[client]

    run(client)
    mode = stat.S_IMODE(path.stat().st_mode)
    again = run(client, "--read-only")
    entry = entry_in(client, meaning(client, path))
    run(client, "--undo")

    assert mode == 0o600
    assert again["changed"]
    assert entry["args"][-1] == "--read-only"
    assert not path.exists()
    assert not list(path.parent.glob("*backup*"))


@pytest.mark.parametrize(("client", "text"), CASES)
def test_undo_spares_what_was_changed_since(tmp_path: Path, run, client: str, text: str) -> None:
    """What the client wrote after our entry stays; what the entry was before comes back."""
    path = tmp_path / PLACES[client]
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, newline="")
    old = entry_in(client, meaning(client, path))
    run(client)
    later = path.read_text()
    if client == "codex":
        later = f"added = 1\n{later}"
    elif client == "hermes":
        later = f"added: 1\n{later}"
    else:
        start = later.index("{") + 1
        later = f'{later[:start]}"added": 1,{later[start:]}'
    path.write_text(later, newline="")

    run(client, "--undo")

    found = meaning(client, path)
    assert found["added"] == 1
    assert entry_in(client, found) == old


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("claude-code", "{nonsense"),
        ("claude-code", "[]"),
        ("claude-code", '{"mcpServers": []}'),
        ("codex", "nonsense = "),
        ("codex", "mcp_servers = { other = { command = 'x' } }\n"),
        ("codex", "mcp_servers.clawstate.command = 'x'\n"),
        ("hermes", "a: [\n"),
        ("hermes", "- a\n"),
        ("hermes", "mcp_servers: {other: {command: x}}\n"),
    ],
)
def test_what_cannot_be_changed_alone_is_left_alone(
    tmp_path: Path, run, client: str, text: str
) -> None:
    """Settings that are damaged, or written in a way that we cannot edit, are refused untouched."""
    path = tmp_path / PLACES[client]
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)

    refused = run(client, codes=(1, 2))

    assert refused["error"]["message"]
    assert path.read_text() == text
    assert not list(path.parent.glob("*backup*"))


def test_the_state_that_is_meant_is_named(tmp_path: Path) -> None:
    """The entry names the directory where it is not the usual one, and the agent."""
    root = tmp_path / "elsewhere"
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), "--agent", "work"]

    subprocess.run(
        [*command, "integrate", "codex"],
        check=True,
        capture_output=True,
        env={**os.environ, "HOME": str(tmp_path), "CODEX_HOME": str(tmp_path / "codex")},
    )

    found = tomllib.loads((tmp_path / "codex" / "config.toml").read_text())
    args = found["mcp_servers"]["clawstate"]["args"]
    assert args[-6:] == ["--state-dir", str(root), "--agent", "work", "mcp", "serve"]


def test_the_settings_of_a_project_are_its_own(tmp_path: Path, run) -> None:
    """With --project the entry goes to the project; clients that know none refuse."""
    project = tmp_path / "project"
    project.mkdir()

    run("claude-code", "--project", str(project))
    run("codex", "--project", str(project))
    refused = run("hermes", "--project", str(project), codes=(1, 2))

    assert "clawstate" in json.loads((project / ".mcp.json").read_text())["mcpServers"]
    assert (project / ".codex" / "config.toml").exists()
    assert "project" in refused["error"]["message"]
    assert not (tmp_path / ".claude.json").exists()


def test_a_link_is_followed_and_secrets_are_not_shown(tmp_path: Path, run) -> None:
    """Settings behind a link are changed where they lie; keys beside the entry are masked."""
    real = tmp_path / "dotfiles.json"
    real.write_text(json.dumps({"mcpServers": {"other": {"env": {"KEY": KEY}}}}, indent=2))
    link = tmp_path / ".claude.json"
    link.symlink_to(real)

    done = run("claude-code")

    assert link.is_symlink()
    assert "clawstate" in json.loads(real.read_text())["mcpServers"]
    assert KEY not in json.dumps(done)


def test_an_openclaw_that_knows_no_servers_is_spared(tmp_path: Path, run) -> None:
    """An OpenClaw that keeps its state in files would refuse the setting, so it is not written."""
    root = tmp_path / ".openclaw"
    (root / "agents" / "main" / "sessions").mkdir(parents=True)
    (root / "agents" / "main" / "sessions" / "sessions.json").write_text("{}")
    (root / "openclaw.json").write_text('{"meta": {"lastTouchedVersion": "2026.2.26"}}')

    refused = run("openclaw", codes=(1, 2))

    assert "upgrade OpenClaw" in refused["error"]["message"]
    assert "mcp" not in (root / "openclaw.json").read_text()
