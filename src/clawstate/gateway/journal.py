"""`Journal`: what a gateway counts, and notes as JSON lines; nothing that anybody sent is in it."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import IO, Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clawstate.clock import Clock, to_iso
from clawstate.files.atomic import create_private_file
from clawstate.interrupts import Mutex

OPERATION: Final = "clawstate.operation"
"""Where an operation leaves its name in the scope of a request."""

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds that requests are counted by."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FRAMES: Final = 12  # of a defect that are noted


class Journal:
    """
    Counts requests, and writes lines to *out*: of defects, and with *everything* of requests.

    A line has no path, query, header, body nor the message of an exception: any of them may hold a
    secret, by mistake or as part of an attack. It has the name of the operation and the status.
    """

    def __init__(self, clock: Clock, out: IO[str], *, everything: bool = False) -> None:
        self._clock = clock
        self._out = out
        self._everything = everything
        self._mutex = Mutex()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """How often an operation (method, name) had a status."""
        self.durations: Counter[float] = Counter()
        """How many requests took at most so many seconds, by the least of `BOUNDS`."""
        self.seconds = 0.0
        self.defects = 0

    def note_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request, and write its line."""
        operation, method = str(scope.get(OPERATION, "")), str(scope.get("method", ""))
        # A method that nobody knows is text of whoever sent it.
        method = method if method in _METHODS else "other"
        self.requests[method, operation, status] += 1
        self.durations[next((each for each in BOUNDS if seconds <= each), float("inf"))] += 1
        self.seconds += seconds
        if self._everything:
            self._write(
                event="request",
                method=method,
                operation=operation,
                status=status,
                ms=round(seconds * 1000, 1),
                device=scope.get("state", {}).get("device"),
            )

    def note_defect(self, error: BaseException) -> None:
        """Write which exception it was and where it came from, without its message."""
        self.defects += 1
        self._write(event="defect", error=type(error).__qualname__, at=_places(error.__traceback__))

    def note_failure(self, event: str, code: str) -> None:
        """Write what nobody asked for and did not work, and the code of its error."""
        self._write(event=event, error=code)

    def note(self, event: str, **facts: Any) -> None:
        """Write a line about *event*."""
        if self._everything:
            self._write(event=event, **facts)

    def _write(self, **facts: Any) -> None:
        line = json.dumps({"time": to_iso(self._clock()), **facts})
        with self._mutex:
            # A full disk under the log is no reason to refuse anybody.
            try:
                self._out.write(f"{line}\n")
                self._out.flush()
            except (OSError, ValueError):
                return


class ServerLog(logging.Handler):
    """Takes what the server itself logs: its tracebacks have what was sent, its texts may have."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Note that there was something, and an exception as a defect."""
        error = None if record.exc_info is None else record.exc_info[1]
        if error is None:
            self._journal.note("server", level=record.levelname.lower(), at=record.funcName)
        else:
            self._journal.note_defect(error)


class Watch:
    """Notes what becomes of each request in a *journal*."""

    def __init__(self, app: ASGIApp, *, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and take the time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_look)
        finally:
            self._journal.note_request(scope, status, time.perf_counter() - begun)


def _places(trace: TracebackType | None) -> list[str]:
    found = [
        f"{frame.f_globals.get('__name__', '?')}:{line} in {frame.f_code.co_name}"
        for frame, line in walk_tb(trace)
    ]
    return found[-_FRAMES:]


def open_log(path: Path) -> IO[str]:
    """Open the file *path* to append to it; it is made private (0600)."""
    create_private_file(path)
    return path.open("a", encoding="utf-8")
