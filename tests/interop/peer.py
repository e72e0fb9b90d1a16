"""A real OpenClaw process that is asked, over a pipe, to lock, read and write files."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from openclaw_package import OpenClaw

HERE = Path(__file__).parent
PATIENCE = 120.0  # seconds until a silent process counts as stuck


class PeerError(Exception):
    """What OpenClaw answered instead of a result, in its own words."""


class NodePeer:
    """One process of OpenClaw; to be closed, or used with `with`."""

    def __init__(self, openclaw: OpenClaw, home: Path) -> None:
        self._complaints = home / "complaints"
        with self._complaints.open("ab") as complaints:
            self._process = subprocess.Popen(
                [openclaw.node, HERE / "node_peer.mjs", openclaw.dist],
                env=openclaw.environment(home),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        self._early: dict[int, list[dict[str, Any]]] = {}
        self._asked = 0

    def __enter__(self) -> Self:
        self.wait_until_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Return when all of OpenClaw is loaded, some seconds after the start."""
        while self._line() != "READY":
            pass

    def ask(self, ask: str, **arguments: object) -> dict[str, Any]:
        """Return the answer, or raise `PeerError`."""
        return self.answer(self.send(ask, **arguments))

    def run(self, chunk: str, source: str, **data: object) -> Any:
        """Return what the JavaScript *source*, `async (by, input, tell) => ...`, returns."""
        return self.ask("run", chunk=chunk, source=source, input=data)["value"]

    def send(self, ask: str, **arguments: object) -> int:
        """Ask without waiting; the number is for `answer`, `event` and `events`."""
        self._asked += 1
        question = {"id": self._asked, "ask": ask, **arguments}
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(question, default=str) + "\n")
        stdin.flush()
        return self._asked

    def answer(self, number: int) -> dict[str, Any]:
        """Return the answer to that question, or raise `PeerError`; its events are dropped."""
        return self.events(number)[-1]

    def event(self, number: int) -> dict[str, Any]:
        """Return the next event of that question; raises `PeerError` if it ends without one."""
        return _checked(self._next(number))

    def events(self, number: int) -> list[dict[str, Any]]:
        """Return the events of that question, and its answer as the last."""
        found = [_checked(self._next(number))]
        while "ok" not in found[-1]:
            found.append(_checked(self._next(number)))
        return found

    def close(self) -> None:
        """End the process; a stuck one is killed."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        """Kill the process, which can clean up nothing."""
        self._process.kill()
        self._process.wait()

    def _next(self, number: int) -> dict[str, Any]:
        early = self._early.setdefault(number, [])
        while not early:
            line = self._line()
            if line.startswith('{"id":'):  # the package itself may print, too
                message = json.loads(line)
                self._early.setdefault(message["id"], []).append(message)
        return early.pop(0)

    def _line(self) -> str:
        line = self._lines.get(timeout=PATIENCE)
        if not line:
            raise PeerError(f"OpenClaw ended: {self._complaints.read_text()[-2000:]}")
        return line.rstrip("\n")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in _lines_of(self._process):
            self._lines.put(line)
        self._lines.put("")


def _lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    yield from process.stdout


def _checked(message: dict[str, Any]) -> dict[str, Any]:
    if message.get("ok") is False:
        raise PeerError(message["error"])
    return message
