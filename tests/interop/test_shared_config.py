"""One configuration, written by clawstate and by the real OpenClaw in turn."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from clawstate.config.service import Config
from clawstate.files.paths import StatePaths

pytestmark = pytest.mark.interop

TEXT = """\
// ours, with comments
{
  gateway: { port: 18789, mode: 'local' }, // the port
  models: { providers: {} },
  env: { vars: { GREETING: 'hello' } },
  messages: { responsePrefix: '${GREETING}!' },
}
"""


@pytest.fixture
def home(tmp_path) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path / "home"


@pytest.fixture
def config(tmp_path, home) -> Config:
    (tmp_path / "state/openclaw.json").write_text(TEXT)
    return Config(StatePaths(tmp_path / "state"), env={}, cwd=tmp_path)


@pytest.fixture
def run(openclaw, tmp_path, home):
    def run(*words: str) -> str:
        environment = openclaw.environment(home) | {
            "OPENCLAW_STATE_DIR": str(tmp_path / "state"),
            "NO_COLOR": "1",
        }
        command = [*openclaw.cli, *words]
        done = subprocess.run(
            command,
            env=environment,
            cwd=home,
            capture_output=True,
            check=False,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_openclaw_reads_what_we_write(config, run) -> None:
    """Values that are set here are read there, and the file is valid there, comments and all."""
    config.set("gateway.port", 18795)
    config.set("agents.list", [{"id": "main", "default": True, "name": "Ada"}])
    config.set("session.maintenance", {"mode": "warn", "maxEntries": 50})
    config.unset("models")

    assert "// the port" in config.text()
    assert json.loads(run("config", "get", "gateway.port")) == 18795
    found = json.loads(run("config", "get", "agents.list", "--json"))
    assert found[0]["name"] == "Ada"
    assert run("config", "get", "messages.responsePrefix").strip() == "hello!"


def test_we_read_what_openclaw_writes(config, run) -> None:
    """What is set there is read here, noticed as a change, and edited again without loss."""
    assert config.get("gateway.port") == 18789

    run("config", "set", "gateway.port", "18796")

    assert config.changed()
    assert config.get("gateway.port") == 18796
    assert config.get("messages.responsePrefix") == "hello!"
    assert not [issue for issue in config.issues() if issue.severity == "error"]
    config.set("gateway.port", 18797)
    assert json.loads(run("config", "get", "gateway.port")) == 18797
    assert "${GREETING}" in config.text()
