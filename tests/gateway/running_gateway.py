"""A gateway as a process of its own, and a client that sends exactly what it is told."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.json["error"]["type"]


class Gateway:
    """A running `clawstate gateway run` on a free port of the loopback."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.root = root
        command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), "--json"]
        with (root.parent / "gateway.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "gateway", "run", "--port", "0", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONWARNINGS": "error"},
            )
        told = b""
        while not told.rstrip().endswith(b"}"):
            line = self.process.stdout.readline()
            assert line, self.log
            told += line
        self.told = json.loads(told)
        self.url: str = self.told["url"]
        self.token = (root / "state" / "gateway-token").read_text().strip()

    @property
    def log(self) -> str:
        return (self.root.parent / "gateway.log").read_text()

    @property
    def bearer(self) -> str:
        return f"Bearer {self.token}"

    @property
    def place(self) -> str:
        return urlsplit(self.url).netloc

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request; *token* is the owner's if not given, `None` for none."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.token}")
        is_raw = body is None or not isinstance(body, dict | list)
        data = body if is_raw else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.place, timeout=30)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **settings: Any) -> Answer:
        return self.ask("GET", path, **settings)

    def post(self, path: str, body: Any = None, **settings: Any) -> Answer:
        return self.ask("POST", path, body, **settings)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
