"""
What a real OpenClaw of the SQLite era lists is found again after an import, also while it runs.

`CLAWSTATE_OPENCLAW_STATE` names a directory that an OpenClaw 2026.9.6 made (it is copied), and
`CLAWSTATE_OPENCLAW_SQLITE` the one that this OpenClaw was installed in, with its Node.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import clawstate
from clawstate.importers.openclaw import import_openclaw
from clawstate.state import State

TOKEN = "made-up-gateway-token"
PATIENCE = 300.0
DATABASES = ("state/openclaw.sqlite", "agents/main/agent/openclaw-agent.sqlite")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::clawstate.errors.StateWarning"),
]


@dataclass(frozen=True)
class Running:
    """An OpenClaw with its state below *home*, whose gateway listens on *port* of loopback."""

    home: Path
    package: Path
    node: Path
    port: int

    @property
    def root(self) -> Path:
        return self.home / ".openclaw"

    def command(self, *words: str) -> list[str]:
        return [str(self.node), str(self.package / "openclaw.mjs"), "--no-color", *words]

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "OPENCLAW_STATE_DIR": str(self.root),
            "OPENCLAW_NO_RESPAWN": "1",
            "OPENCLAW_GATEWAY_TOKEN": TOKEN,
            "OPENROUTER_API_KEY": "made-up",
            "NO_COLOR": "1",
            "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def says(self, *words: str) -> Any:
        done = subprocess.run(
            self.command(*words),
            env=self.environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return json.loads(done.stdout[done.stdout.index("{") :])

    def call(self, method: str, **params: Any) -> Any:
        address = f"ws://127.0.0.1:{self.port}"
        words = ("--params", json.dumps(params), "--timeout", "120000", "--json")
        return self.says("gateway", "call", method, *words, "--token", TOKEN, "--url", address)

    @contextmanager
    def gateway(self) -> Iterator[None]:
        with (self.home / "gateway.log").open("wb") as log:
            process = subprocess.Popen(
                self.command("gateway", "run", "--port", str(self.port)),
                env=self.environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait(process)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + PATIENCE
        while b"[gateway] ready" not in (self.home / "gateway.log").read_bytes():
            said = (self.home / "gateway.log").read_text(errors="replace")
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.2)


@pytest.fixture
def theirs(tmp_path: Path) -> Running:
    given = os.environ.get("CLAWSTATE_OPENCLAW_STATE")
    installed = os.environ.get("CLAWSTATE_OPENCLAW_SQLITE")
    if not given or not installed:
        pytest.skip("set CLAWSTATE_OPENCLAW_STATE and CLAWSTATE_OPENCLAW_SQLITE, see above")
    home = tmp_path / "home"
    shutil.copytree(given, home / ".openclaw", symlinks=True)
    port = _free_port()
    config = home / ".openclaw" / "openclaw.json"
    settings = json.loads(config.read_bytes())
    settings["gateway"] |= {"port": port, "bind": "loopback"}
    settings["gateway"]["auth"] = {"mode": "token", "token": TOKEN}
    config.write_text(json.dumps(settings, indent=2))
    root = Path(installed)
    node = next(root.glob("**/node_modules/node-linux-*/bin/node"))
    return Running(home, root / "node_modules" / "openclaw", node, port)


def test_what_a_running_openclaw_lists_is_found_again(theirs, tmp_path, tell) -> None:
    """Each session, message and credential that the program lists is here after the import."""
    with theirs.gateway():
        sessions = theirs.call("sessions.list", limit=1000)["sessions"]
        listed = theirs.says("sessions", "--json", "--limit", "1000")["sessions"]
        histories = {
            each["key"]: theirs.call("chat.history", sessionKey=each["key"], limit=1000)
            for each in listed
        }
        auth = theirs.says("models", "status", "--json")["auth"]
        with clawstate.open(tmp_path / "ours") as state:
            report = import_openclaw(state, theirs.root, archives=True, secrets=True)

    assert not report.has_failed(), report.remarks
    assert {each["key"] for each in listed} <= {each["key"] for each in sessions} | {"global"}
    with clawstate.open(tmp_path / "ours") as state:
        for each in listed:
            _require_session(state, each)
        messages = sum(_require_history(state, each) for each in histories.values())
        profiles = _profiles(auth)
        assert profiles == set(state.auth("main").document()["profiles"])
    tell(f"{len(listed)} sessions, {messages} messages, {len(profiles)} credentials found again")
    assert messages > 0


def test_a_stopped_state_is_byte_equal_after_imports(theirs, tmp_path) -> None:
    """An import elsewhere, and one into the directory itself, changes no byte of the databases."""
    before = _digests(theirs.root)

    with clawstate.open(tmp_path / "ours") as state:
        elsewhere = import_openclaw(state, theirs.root)
    assert _digests(theirs.root) == before
    with clawstate.open(theirs.root) as state:
        inside = import_openclaw(state, theirs.root)
        again = import_openclaw(state, theirs.root)

    after = _digests(theirs.root)
    assert {path: after.get(path) for path in before} == before
    for report in (elsewhere, inside, again):
        assert not report.has_failed(), report.remarks
    assert elsewhere.count("sessions").new == inside.count("sessions").new > 0
    assert sum(count.new + count.changed for count in again.counts.values()) == 0


def test_after_an_import_into_its_directory_openclaw_goes_on(theirs) -> None:
    """What was taken over beside its databases changes nothing of what OpenClaw shows."""
    with theirs.gateway():
        before = theirs.call("chat.history", sessionKey="agent:main:main", limit=1000)
    with clawstate.open(theirs.root) as state:
        import_openclaw(state, theirs.root, secrets=True)

    with theirs.gateway():
        after = theirs.call("chat.history", sessionKey="agent:main:main", limit=1000)

    assert after["sessionId"] == before["sessionId"]
    assert _said(after) == _said(before)


def _require_session(state: State, listed: dict[str, Any]) -> None:
    found = state.sessions.require(listed["key"])
    document = found.document()
    assert found.session_id == listed["sessionId"]
    for name in ("updatedAt", "label", "model", "modelProvider", "totalTokens"):
        assert document.get(name) == listed.get(name), name


def _require_history(state: State, history: dict[str, Any]) -> int:
    page = state.transcripts.messages(history["sessionId"], limit=10_000)
    ours = {each.id: each.entry for each in page}
    shown = [each for each in history["messages"] if each["role"] != "system"]
    for each in shown:
        entry = ours[each["__openclaw"]["id"]]
        assert entry["message"]["role"] == each["role"]
        assert _text(entry["message"]) == _text(each)
        assert entry["message"].get("timestamp") == each.get("timestamp")
    return len(shown)


def _said(history: dict[str, Any]) -> list[str]:
    return [_text(each) for each in history["messages"]]


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", part)) for part in content or ())


def _profiles(auth: dict[str, Any]) -> set[str]:
    labels = [label for each in auth["providers"] for label in each["profiles"]["labels"]]
    return {label.partition("=")[0] for label in labels}


def _digests(root: Path) -> dict[str, str]:
    return {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in DATABASES}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
