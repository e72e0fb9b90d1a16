"""A home with a real OpenClaw in it: its commands, its gateway, and the turns it takes."""

from __future__ import annotations

import json
import os
import re
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

from fake_model import FakeModel
from openclaw_package import FILES, OpenClaw

TOKEN = "made-up-gateway-token"
PATIENCE = 240.0  # seconds that a command, or the start of a gateway, may take
REFUSED = 78  # the exit code of a gateway that does not start with this state

# What a command prints that is another at every run: times, counts, ids.
_VARIES = re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d+")
_FRAME = re.compile(r"[│◇╮╯├╭╰─┌└●○◆]")


@dataclass(frozen=True)
class Ended:
    """How a command of OpenClaw ended, and what it printed."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def lines(self) -> frozenset[str]:
        """What it printed, without frames and without what is another at every run."""
        lines = (_FRAME.sub("", line).strip() for line in f"{self.out}\n{self.err}".splitlines())
        return frozenset(_VARIES.sub("N", line) for line in lines if line)

    def __str__(self) -> str:
        return f"openclaw {' '.join(self.words)}: exit {self.code}\n{self.out}\n{self.err}"


class GatewayError(Exception):
    """The gateway did not start; the message has the last lines of its log."""

    def __init__(self, code: int | None, log: str) -> None:
        super().__init__(f"the gateway ended with {code}: {log[-3000:]}")
        self.code = code


@dataclass(frozen=True)
class RealState:
    """What one OpenClaw keeps below *home*, and a model for it to talk to."""

    openclaw: OpenClaw
    home: Path
    model: FakeModel
    port: int

    @property
    def root(self) -> Path:
        return self.home / ".openclaw"

    @property
    def config(self) -> Path:
        return self.root / "openclaw.json"

    @property
    def log(self) -> Path:
        return self.home / "gateway.log"

    def settings(self) -> dict[str, Any]:
        """Return a configuration that reaches nothing beyond loopback."""
        model = {
            "id": "fake",
            "name": "Fake",
            "reasoning": False,
            "input": ["text"],
            "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
            "contextWindow": 200_000,
            "maxTokens": 4096,
        }
        provider = {"baseUrl": self.model.url, "apiKey": "made-up", "api": "openai-completions"}
        nothing = {"enabled": False}  # no search in memory: it would ask a provider of embeddings
        defaults: dict[str, Any] = {"model": {"primary": "fake/fake"}}
        if self.openclaw.release is FILES:
            defaults["memorySearch"] = nothing
        return {
            "gateway": {
                "mode": "local",
                "port": self.port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": TOKEN},
            },
            "update": {"checkOnStart": False},
            "models": {"providers": {"fake": {**provider, "models": [model]}}},
            "agents": {"defaults": defaults},
            **({} if self.openclaw.release is FILES else {"memory": {"search": nothing}}),
        }

    def configure(self) -> None:
        """Write these settings as the whole configuration."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps(self.settings(), indent=2) + "\n")

    def environment(self) -> dict[str, str]:
        return self.openclaw.environment(self.home) | {"NO_COLOR": "1"}

    def run(self, *words: str, stdin: str = "") -> Ended:
        """Run a command of OpenClaw's command line."""
        done = subprocess.run(
            [*self.openclaw.cli, *words],
            env=self.environment(),
            cwd=self.home,
            input=stdin,
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE,
        )
        return Ended(words, done.returncode, done.stdout, done.stderr)

    def turn(self, text: str, *, local: bool = False) -> Ended:
        """Say *text* in the main session: through the gateway, or without one."""
        where = ("--local",) if local else ()
        return self.run("agent", *where, "--agent", "main", "--message", text, "--json")

    def seen(self, text: str) -> list[str]:
        """Return what the model was sent with *text*: the words of each message."""
        return [str(each.get("content")) for each in self.model.said_to(text)]

    @contextmanager
    def gateway(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the gateway, and end it; raises `GatewayError` if it does not start."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [*self.openclaw.cli, "gateway", "run", "--port", str(self.port)],
                env=self.environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its command line may start a second node
            )
        try:
            self._wait_for(process)
            yield process
        finally:
            _end(process)

    def said(self) -> str:
        """Return what the gateway has printed since it was started."""
        return self.log.read_text(errors="replace")

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if process.poll() is not None:
                raise GatewayError(process.returncode, self.said())
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise GatewayError(None, self.said())


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def copy_tree(source: Path, to: Path) -> None:
    """Make *to* a copy of *source*, with links and times; what was there is gone."""
    if to.exists():
        shutil.rmtree(to)
    shutil.copytree(source, to, symlinks=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and those it started: all of its own group, which is of nobody else."""
    for each in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, each)
            process.wait(timeout=20)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()
