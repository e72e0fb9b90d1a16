"""`Endpoint`: JSON posted to one server within a deadline, and nothing of the key shown."""

from __future__ import annotations

import http.client
import os
import ssl
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from clawstate.errors import StateError
from clawstate.memory.embedders.address import Address
from clawstate.memory.embedders.connection import Connection, RefusedError, Remaining
from clawstate.memory.embedders.server_words import refusal_of

Key = Callable[[], str | None]
"""Returns the key, or None where the server wants none; raises `StateError`."""

_MOST = 128 << 20  # bytes of an answer
_CHUNK = 1 << 16
_IDLE = 20.0  # seconds that a connection is kept for the next request; servers close after more
_KEPT = 2  # connections
_REDIRECTS = 3
_SAME_METHOD = frozenset({307, 308})
_OF_TEXTS = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class Failure:
    """
    Why a request brought nothing; with the same request again it may, if that `passes`.

    `wait` is in how many seconds the server wants to be asked again, `status` what it answered.
    `of_texts`: others of the same server may fare better.
    """

    problem: str
    hint: str = ""
    passes: bool = False
    wait: float | None = None
    status: int | None = None
    of_texts: bool = False


class Endpoint:
    """
    What answers at *address*, asked with the *key*. Thread-safe.

    Connections are kept for the next request. Redirects are followed on the same server alone, so
    the key goes nowhere else.
    """

    def __init__(
        self, address: Address, key: Key, *, allow_plain: bool, now: Callable[[], float]
    ) -> None:
        self.address = address
        self._key = key
        self._allow_plain = allow_plain
        self._now = now
        self._context: ssl.SSLContext | None = None
        self._idle: deque[tuple[int, float, Connection]] = deque()
        self._busy: dict[int, Connection] = {}
        self._known: _Secret | None = None
        self.is_closed = False

    def __repr__(self) -> str:
        return f"Endpoint({str(self.address)!r})"

    def post(self, body: bytes, remaining: Remaining) -> bytes | Failure:
        """Return what the server answers to the JSON *body*, or why there is no answer."""
        for _ in range(2):
            secret = self._secret()
            if isinstance(secret, Failure):
                return secret
            answer = self._post(body, remaining, secret)
            if not isinstance(answer, Failure) or answer.status != http.client.UNAUTHORIZED:
                return answer
            # It may be another one by now: keys are changed while programs run.
            self._known = None
            if self._secret() == secret:
                return answer
        return answer

    def close(self) -> None:
        """Drop the connections, and wake whoever waits for an answer."""
        self.is_closed = True
        for each in [*self._busy.values()]:
            each.abort()
        while self._idle:
            self._idle.pop()[-1].close()

    def _secret(self) -> _Secret | Failure:
        if self._known is None:
            try:
                found = _Secret(self._key)
            except StateError as error:
                return Failure(f"has no key: {error}", "see apiKey in the configuration")
            if not found.is_sound:
                return Failure("was not asked: the key has signs that no key has", "set it again")
            self._known = found
        return self._known

    def _post(self, body: bytes, remaining: Remaining, secret: _Secret) -> bytes | Failure:
        address = self.address
        for _ in range(_REDIRECTS + 1):
            answer = self._exchange(address, body, remaining, secret)
            if not isinstance(answer, _Redirect):
                return answer
            there = address.at(answer.location) if answer.status in _SAME_METHOD else None
            if there is None:
                hint = "write the address that it means as baseUrl"
                return Failure("sends on to another place", hint, status=answer.status)
            address = there
        return Failure("sends on again and again", "see baseUrl")

    def _exchange(
        self, address: Address, body: bytes, remaining: Remaining, secret: _Secret
    ) -> bytes | Failure | _Redirect:
        if self.is_closed:
            return Failure("is not asked any more: the memory is closed", "open it again")
        connection = self._take(remaining)
        was_idle = connection.is_idle
        mark = id(connection)
        self._busy[mark] = connection
        answered = is_kept = False
        try:
            _send(connection, address, body, secret)
            response = connection.getresponse()
            answered = True
            data = _read(response)
            is_kept = not response.will_close and not self.is_closed and len(self._idle) < _KEPT
            return self._judge(response, data, secret)
        except RefusedError as error:
            failure = Failure(error.problem, error.hint)
        except TimeoutError:
            failure = Failure("did not answer in time", passes=True)
        except ssl.SSLCertVerificationError as error:
            failure = Failure(f"has no valid certificate: {error.verify_message}", "see baseUrl")
        except (OSError, http.client.HTTPException, zlib.error, EOFError, ValueError) as error:
            # By its kind alone: what http.client says may repeat a header.
            kind = "the answer was cut off" if answered else _reason(error)
            failure = Failure(f"could not be asked: {kind}", passes=True)
        except BaseException as error:
            # Below, frames of http.client hold the request with the key.
            error.__traceback__ = None
            raise
        finally:
            self._busy.pop(mark, None)
            if is_kept:
                connection.is_idle = True
                self._idle.append((os.getpid(), time.monotonic(), connection))
            else:
                connection.close()
        if was_idle and not answered and not self.is_closed:
            # Servers close what is idle; that says nothing about the next connection.
            return self._exchange(address, body, remaining, secret)
        return failure

    def _judge(
        self, response: http.client.HTTPResponse, data: bytes, secret: _Secret
    ) -> bytes | Failure | _Redirect:
        status = response.status
        if status == http.client.OK:
            return data
        if 300 <= status < 400:
            return _Redirect(status, response.getheader("Location") or "")
        problem, hint, passes = refusal_of(status, data, secret.hide)
        wait = _wait(response, self._now) if passes else None
        of_texts = status in _OF_TEXTS
        return Failure(problem, hint, passes, wait, status, of_texts)

    def _take(self, remaining: Remaining) -> Connection:
        while self._idle:
            try:
                owner, since, connection = self._idle.pop()
            except IndexError:
                break  # another thread took it
            # One that was inherited by a fork is still the parent's.
            if owner == os.getpid() and time.monotonic() - since < _IDLE:
                connection.remaining = remaining
                return connection
            connection.close()
        return Connection(self.address, remaining, allow_plain=self._allow_plain, context=self._tls)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context


@dataclass(frozen=True, slots=True)
class _Redirect:
    status: int
    location: str


class _Secret:
    """A key that shows itself to nobody: in no `repr`, and in no local name of a frame."""

    __slots__ = ("_read",)

    def __init__(self, ask: Key) -> None:
        held = (ask() or "").strip()
        self._read: Callable[[], str] = lambda: held

    def __repr__(self) -> str:
        return "<key>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Secret) and self._read() == other._read()

    def __hash__(self) -> int:
        return hash(self._read())

    @property
    def is_sound(self) -> bool:
        """Whether it can be sent: anything else http.client refuses, and repeats."""
        return self._read().isascii() and self._read().isprintable()

    def add_to(self, connection: Connection) -> None:
        """Put it into the header of a request."""
        if self._read():
            connection.putheader("Authorization", f"Bearer {self._read()}")

    def hide(self, text: str) -> str:
        """Return *text* without it."""
        return text.replace(self._read(), "<key>") if self._read() else text


def _send(connection: Connection, address: Address, body: bytes, secret: _Secret) -> None:
    connection.is_idle = False
    if connection.sock is None:
        connection.connect()
    connection.putrequest("POST", address.target, skip_accept_encoding=True)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Accept", "application/json")
    connection.putheader("Accept-Encoding", "gzip")
    connection.putheader("User-Agent", "clawstate")
    secret.add_to(connection)
    connection.endheaders(body)


def _read(response: http.client.HTTPResponse) -> bytes:
    """Return the body; raises for one that is cut off, too long, or damaged."""
    pieces, size = [], 0
    while piece := response.read(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > _MOST:
            raise RefusedError("gave far too long an answer", "see baseUrl")
    if response.length:  # an older `http.client` does not tell that bytes are missing
        raise EOFError
    data = b"".join(pieces)
    if (response.getheader("Content-Encoding") or "").lower() in {"gzip", "x-gzip"}:
        return _unpack(data)
    return data


def _unpack(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    # A few bytes may unpack to gigabytes.
    found = unpacking.decompress(data, _MOST)
    if unpacking.unconsumed_tail:
        raise RefusedError("gave far too long an answer", "see baseUrl")
    if not unpacking.eof:
        raise EOFError
    return found


def _wait(response: http.client.HTTPResponse, now: Callable[[], float]) -> float | None:
    """Return the seconds that `Retry-After` asks for: as a number, or as a date."""
    for name, unit in (("Retry-After-Ms", 1000.0), ("Retry-After", 1.0)):
        text = (response.getheader(name) or "").strip()
        if text.replace(".", "", 1).isdecimal() and text.isascii():
            return float(text) / unit
        if text and unit == 1.0:
            try:
                return max(parsedate_to_datetime(text).timestamp() - now(), 0.0)
            except (ValueError, TypeError, OverflowError, OSError):
                pass  # what cannot be read asks for nothing
    return None


def _reason(error: Any) -> str:
    text = getattr(error, "strerror", None)
    if isinstance(text, str) and text:
        return text
    return (
        "the connection was cut"
        if isinstance(error, EOFError | ConnectionError)
        else (
            "it speaks no HTTP"
            if isinstance(error, http.client.HTTPException | ValueError)
            else str(error) or type(error).__name__
        )
    )
