"""
Notices that something moved, between the processes that use one database (decision 080).

They only shorten the wait of who looks now and then, and carry nothing but whose rows moved. A
process that waits has one connection that listens. Where a pooler stands between there is none: it
would listen on a connection that others are given.
"""

from __future__ import annotations

import hashlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg
from psycopg.sql import Literal

from clawstate.errors import StateError
from clawstate.interrupts import Mutex
from clawstate.postgres.connection import Connection, is_direct

CHANNEL: Final = "clawstate"
POOLER: Final = "a pooler stands between, which passes no notices on"

_EACH = 0.01  # seconds between two notices of one process: who hears one looks twice
_PATIENCE = 1.0  # seconds that giving notice may take, behind a change that is made
_AGAIN = 0.02  # seconds after a notice until who waits looks a second time
_ALIVE = 30.0  # seconds between two questions whether the server is still there
_ANSWER = 5.0  # seconds for its answer
_PAUSE = 1.0  # seconds before it is connected anew


def payload_of(tenant: str) -> str:
    """Return what stands for *tenant* in a notice, which all users of a database can read."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:16]


class Announcer:
    """Gives notice of changes, behind their commit, at most once in a hundredth of a second."""

    def __init__(self) -> None:
        self._last = 0.0
        self._works = True

    def tell(self, connection: Connection, tenant: str) -> None:
        """Give notice on *connection* that *tenant* changed; never raises what the server says."""
        # Not within the transaction: there all commits of a database would wait for each other.
        now = time.monotonic()
        if not self._works or now - self._last < _EACH:
            return
        self._last = now
        connection.deadline = min(connection.deadline, now + _PATIENCE)
        try:
            connection.execute(f"NOTIFY {CHANNEL}, {Literal(payload_of(tenant)).as_string()}")
        except psycopg.Error as error:
            self._works = not isinstance(error, psycopg.errors.FeatureNotSupported)


class Notices:
    """Calls who waits as soon as another process gives notice, from a thread of its own."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._mutex = Mutex()
        self._waiting: dict[object, tuple[str, Callable[[], object]]] = {}
        self._thread: _Listening | None = None
        self.problem: str | None = None

    def add(self, tenant: str, wake: Callable[[], object]) -> Callable[[], None]:
        """Call *wake* when *tenant* may have changed; the answer ends that."""
        token = object()
        with self._mutex:
            self._waiting[token] = payload_of(tenant), wake
            if self._thread is None or not self._thread.is_ours():
                self._thread = _Listening(self._connect, self._wake, self._note)

        def end() -> None:
            with self._mutex:
                self._waiting.pop(token, None)
                ended = None if self._waiting else self._thread
                if ended is not None:
                    self._thread = None
            if ended is not None:
                ended.close()

        return end

    def close(self) -> None:
        """Listen no more."""
        with self._mutex:
            self._waiting.clear()
            ended, self._thread = self._thread, None
        if ended is not None:
            ended.close()

    def _wake(self, payloads: set[str] | None) -> None:
        for payload, wake in list(self._waiting.values()):
            if payloads is None or payload in payloads:
                wake()

    def _note(self, problem: str | None) -> None:
        self.problem = problem


class _Listening:
    """The thread that listens, with its connection, which it makes anew when it is lost."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        wake: Callable[[set[str] | None], object],
        note: Callable[[str | None], object],
    ) -> None:
        self._connect, self._wake, self._note = connect, wake, note
        self._pid = os.getpid()
        self._closed = False
        self._near, self._far = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="clawstate notices", daemon=True)
        self._thread.start()

    def is_ours(self) -> bool:
        """Tell whether the thread runs in this process, and not in the one it was forked from."""
        return self._pid == os.getpid() and self._thread.is_alive()

    def close(self) -> None:
        """End it."""
        self._closed = True
        if not self.is_ours():
            return
        with suppress(OSError):
            self._near.send(b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            while not self._closed:
                try:
                    with self._connect() as connection:
                        if not is_direct(connection):
                            self._note(POOLER)
                            return
                        self._listen(connection)
                except (psycopg.Error, StateError, OSError) as error:
                    self._note(f"the connection that listens was lost: {type(error).__name__}")
                    # What was missed meanwhile is found by looking.
                    self._pause(_PAUSE)
        finally:
            self._near.close()
            self._far.close()

    def _listen(self, connection: Connection) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        self._note(None)
        self._wake(None)  # what moved before it listened
        asked, again = time.monotonic(), False
        while not self._closed:
            left = _AGAIN if again else max(asked + _ALIVE - time.monotonic(), 0.0)
            is_heard = self._await(connection, left)
            payloads = _heard(connection) if is_heard else set()
            if payloads:
                self._wake(payloads)
                # A change that came right behind gave no notice of its own.
                again = True
            elif again:
                self._wake(None)
                again = False
            if time.monotonic() - asked >= _ALIVE:
                connection.deadline = time.monotonic() + _ANSWER
                connection.execute("SELECT 1")
                asked = time.monotonic()

    def _await(self, connection: Connection, seconds: float) -> bool:
        """Wait for the server, or for the end; tell whether the server said something."""
        poll = select.poll()
        poll.register(connection.pgconn.socket, select.POLLIN)
        poll.register(self._far, select.POLLIN)
        found = poll.poll(seconds * 1000)
        return any(number == connection.pgconn.socket for number, _ in found)

    def _pause(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._far, select.POLLIN)
        poll.poll(seconds * 1000)


def _heard(connection: Connection) -> set[str]:
    """Return the payloads of the notices that came."""
    connection.pgconn.consume_input()  # raises where the connection is lost
    found: set[str] = set()
    while (notice := connection.pgconn.notifies()) is not None:
        found.add(bytes(notice.extra).decode(errors="replace"))
    return found
