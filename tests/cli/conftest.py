from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import clawstate
from clawstate.cli.main import run

SOURCES = Path(clawstate.__file__).parents[1]


@dataclass(frozen=True)
class Ran:
    """What one run of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run the command line in this process, on a state of its own."""
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        code = run([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a real process: its own home and state, this very source."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return kept | {
        "HOME": str(tmp_path),
        "OPENCLAW_STATE_DIR": str(tmp_path / "state"),
        "PYTHONPATH": str(SOURCES),
        "PYTHONUTF8": "1",
        "TERM": "xterm-256color",
        "COLUMNS": "100",
    }


@pytest.fixture
def program(environment: Mapping[str, str], tmp_path: Path) -> Cli:
    """Run the command line as a process of its own."""

    def raw(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "clawstate", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            env=dict(environment),
            cwd=tmp_path,
            timeout=120,
            check=False,
        )

    def call(*arguments: object, stdin: bytes = b"") -> Ran:
        done = raw(*arguments, stdin=stdin)
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    call.raw = raw  # type: ignore[attr-defined]
    return call


@pytest.fixture
def terminal(environment: Mapping[str, str], tmp_path: Path) -> Cli:
    """Run the command line on a terminal; both streams come back in `out`."""

    def call(*arguments: object, typed: bytes = b"") -> Ran:
        with _pty() as (master, slave):
            os.write(master, typed)
            process = subprocess.Popen(
                [sys.executable, "-m", "clawstate", *map(str, arguments)],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=dict(environment),
                cwd=tmp_path,
            )
            os.close(slave)
            text = b"".join(_chunks(master)).decode()
            return Ran(process.wait(timeout=120), text, "")

    return call


@contextmanager
def _pty() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    try:
        yield master, slave
    finally:
        os.close(master)


def _chunks(master: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(master, 65_536)
        except OSError:  # the last writer closed its end
            return
        if not chunk:
            return
        yield chunk
