"""
A token server on the loopback whose refresh tokens can be used once.

As RFC 9700 (section 4.14.2) wants it: a token that comes a second time is refused and takes all
tokens of its login with it. With *grace* seconds the same answer is given again within that time,
as large providers do for clients whose connection broke.
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode

from loopback import Handler, listening
from manual_clock import ManualClock

PATH = "/token"
LIFETIME = 3600
PATIENCE = 30.0  # seconds: far more than anything here takes


@dataclass
class Login:
    """One login: its tokens in the order they were issued."""

    issued: list[dict] = field(default_factory=list)
    revoked: bool = False
    used_at: dict[str, float] = field(default_factory=dict)

    @property
    def refresh(self):
        return self.issued[-1]["refresh_token"]


class TokenServer:
    def __init__(self, *, grace=0.0, clock=None, rotates=True):
        self.grace = grace
        self.clock = clock or ManualClock()
        self.rotates = rotates
        self.requests = 0
        self.failing = None  # (status, body) for every request
        self._mutex = threading.Lock()
        self._logins = []
        self._hold = None
        self._arrived = threading.Semaphore(0)
        self._released = threading.Event()
        self.port = 0

    def login(self):
        """Return the first tokens of a new login."""
        login = Login()
        self._logins.append(login)
        return self._issue(login)

    def is_valid(self, access):
        """Tell whether an API would accept the token."""
        return any(
            access == each["access_token"]
            for login in self._logins
            if not login.revoked
            for each in login.issued
        )

    def is_used(self, refresh):
        return any(refresh in login.used_at for login in self._logins)

    @property
    def revoked(self):
        return any(login.revoked for login in self._logins)

    @property
    def rotations(self):
        """How many pairs were issued for refresh tokens."""
        return sum(len(login.issued) - 1 for login in self._logins)

    def hold(self, when):
        """Let the next request wait for `release`, `before` or `after` its token is used."""
        self._hold = when

    def wait_for_request(self):
        """Wait until a request is held."""
        assert self._arrived.acquire(timeout=PATIENCE), "nobody asked"

    def release(self):
        self._released.set()

    def answer(self, refresh):
        """Return the status and the body for *refresh*."""
        with self._mutex:
            self.requests += 1
            hold, self._hold = self._hold, None
        if hold == "before":
            self._wait()
        with self._mutex:
            said = self.failing or self._judged(refresh)
        if hold == "after":
            self._wait()
        return said

    def _wait(self):
        self._arrived.release()
        self._released.wait(PATIENCE)

    def _judged(self, refresh):
        for login in self._logins:
            for place, pair in enumerate(login.issued):
                if pair["refresh_token"] == refresh:
                    return self._refreshed(login, place)
        return 400, {"error": "invalid_grant"}

    def _refreshed(self, login, place):
        refresh = login.issued[place]["refresh_token"]
        if login.revoked:
            return 400, {"error": "invalid_grant"}
        if not self.rotates:
            pair = {**self._issue(login), "refresh_token": None}
            login.issued[-1]["refresh_token"] = refresh
            return 200, {key: value for key, value in pair.items() if value is not None}
        if place == len(login.issued) - 1:
            login.used_at[refresh] = self.clock()
            return 200, self._issue(login)
        if self.clock() - login.used_at[refresh] < self.grace:
            return 200, login.issued[place + 1]
        login.revoked = True
        return 400, {"error": "invalid_grant", "error_description": "it was used before"}

    def _issue(self, login):
        pair = {
            "access_token": f"access-{len(login.issued)}-{secrets.token_hex(16)}",
            "refresh_token": f"refresh-{len(login.issued)}-{secrets.token_hex(16)}",
            "token_type": "Bearer",
            "expires_in": LIFETIME,
        }
        login.issued.append(pair)
        return dict(pair)


@contextmanager
def serving(**settings):
    """Give a `TokenServer` that answers at its `port`."""
    server = TokenServer(**settings)

    class TokenHandler(Handler):
        def post(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, body = server.answer(form["refresh_token"][0])
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # who asked is dead

    with listening(TokenHandler) as listener:
        server.port = listener.server_port
        try:
            yield server
        finally:
            server.release()


def exchange_with(port, *, timeout=PATIENCE):
    """Return the exchange that asks the server at *port*."""

    def exchange(credential):
        form = urlencode({"grant_type": "refresh_token", "refresh_token": credential.refresh})
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", PATH, form, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status >= 500:
            raise OSError(f"status {response.status}")
        return json.loads(data)

    return exchange
