"""`PairingClient`: this device asks the gateway of another machine to be let in (RFC 8628)."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from clawstate.clock import to_ms
from clawstate.errors import InvalidError, StateError, UnavailableError
from clawstate.gateway.exchange import AwayError, Exchange
from clawstate.gateway.links import INVITATION
from clawstate.state import State
from clawstate.stores.pairing import Proof, proof_text
from clawstate.wire import to_wire
from clawstate.wire.members import Members

_BASE: Final = "/api/v1/pairing"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LATER: Final = frozenset({"authorization_pending", "slow_down", "limit"})
_LONGEST_WAIT: Final = 86_400.0  # seconds, whatever a gateway says
_LONGEST_PAUSE: Final = 60.0
_LAST_MOMENT: Final = 2.0**52


class RefusedError(StateError):
    """The gateway refused; *kind* is its type of error, and the message its own."""

    code = "refused"

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"the gateway refuses: {self.message}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that waits for its answer; times in seconds."""

    device_code: str
    user_code: str
    expires_in: float
    interval: float


@dataclass(frozen=True, slots=True)
class Paired:
    """What came of it: under which *name* the token is kept, and what it allows."""

    name: str
    scopes: tuple[str, ...]


class PairingClient:
    """
    Asks the gateway at *url* to let the device of *state* in, and keeps its token (0600).

    The token goes to `state.device_auth` under the origin of the gateway, from where other programs
    of this device take it. *ca* is a file of certificates (PEM) to trust instead of the system's.
    Plain HTTP to another machine is refused unless *allow_http*: a token could be read on the way.
    """

    def __init__(
        self, state: State, url: str, *, ca: Path | None = None, allow_http: bool = False
    ) -> None:
        self._state = state
        self.origin = _origin(url, allow_http=allow_http)
        self._ca = ca
        self._ahead = 0.0  # seconds by which the clock of the gateway is ahead of ours

    def ask(self, *, name: str | None, scopes: Iterable[str] | None) -> Waiting:
        """Ask to be let in; raises `UnavailableError`, `RefusedError`."""
        wish: dict[str, Any] = dict(self._device())
        if name is not None:
            wish["name"] = name
        if scopes is not None:
            wish["scopes"] = list(scopes)
        told = self._post("/device_authorization", wish)
        self._ahead = self._moment(told, "serverTimeMs") - self._state.clock()
        return Waiting(
            told.text("deviceCode"),
            told.text("userCode"),
            min(max(0.0, told.number("expiresIn")), _LONGEST_WAIT),
            min(max(1.0, told.number("interval")), _LONGEST_PAUSE),
        )

    def collect(self, waiting: Waiting) -> Paired | None:
        """
        Fetch the token, and keep it; `None` while nobody has decided, or no gateway runs.

        Raises `RefusedError` once it was turned away, or is too late.
        """
        code = waiting.device_code
        try:
            told = self._post("/token", {**self._proof(code), "deviceCode": code})
        except RefusedError as error:
            if error.kind in _LATER:
                return None
            raise
        except AwayError:
            return None
        return self._keep(told)

    def redeem(self, secret: str, *, name: str | None) -> Paired:
        """Be let in by an invitation, and keep the token; raises as `ask` does."""
        self._ahead = self._server_time() - self._state.clock()
        wish = {**self._proof(secret), "secret": secret}
        return self._keep(self._post("/redeem", wish if name is None else {**wish, "name": name}))

    def _keep(self, told: Members) -> Paired:
        scopes = told.texts("scopes")
        self._state.device_auth.set(self.origin, told.text("token"), scopes)
        return Paired(self.origin, scopes)

    def _device(self) -> dict[str, str]:
        found = self._state.identity.load_or_create()
        return {"deviceId": found.device_id, "publicKey": found.public_key}

    def _proof(self, about: str) -> dict[str, Any]:
        found = self._state.identity.load_or_create()
        at = to_ms(self._state.clock() + self._ahead)
        signature = self._state.identity.sign(proof_text(found.device_id, about, at))
        proof: dict[str, Any] = to_wire(Proof(found.device_id, found.public_key, at, signature))
        return proof

    def _server_time(self) -> float:
        told = self._request("GET", "/health", None)
        if told.maybe_text("service") != "clawstate":
            raise self._foreign()
        return self._moment(told, "timeMs")

    def _moment(self, told: Members, name: str) -> float:
        moment = told.number(name)
        if not 0 <= moment < _LAST_MOMENT:
            raise self._foreign()
        return moment / 1000

    def _post(self, path: str, body: Any) -> Members:
        return self._request("POST", f"{_BASE}{path}", body)

    def _request(self, method: str, path: str, body: Any) -> Members:
        status, text = Exchange(self.origin, context=self._trust).ask(method, path, body)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._foreign() from error
        if not isinstance(found, dict):
            raise self._foreign()
        if status < http.client.BAD_REQUEST:
            return Members(found, f"answer of {self.origin}")
        told = found.get("error")
        if not isinstance(told, dict) or not isinstance(told.get("message"), str):
            raise self._foreign()
        raise RefusedError(str(told.get("type")), told["message"])

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=None if self._ca is None else str(self._ca))
        except (OSError, ValueError) as error:  # an `SSLError` is one
            problem = f"{self._ca} holds no certificate in PEM"
            raise InvalidError("ca", problem, "name another file") from error

    def _foreign(self) -> UnavailableError:
        hint = "'clawstate gateway status' on the other machine tells its URL"
        return UnavailableError(self.origin, "answers, but is no gateway of clawstate", hint)


def split_invitation(link: str) -> tuple[str, str]:
    """Return the URL and the secret in the *link* of an invitation; raises `InvalidError`."""
    place, _, fragment = link.strip().partition("#")
    if not fragment.startswith(INVITATION) or len(fragment) == len(INVITATION):
        hint = "give what 'clawstate devices invite' printed, with all that follows #"
        raise InvalidError("invitation", "is no link of an invitation", hint)
    return place, fragment.removeprefix(INVITATION)


def _origin(url: str, *, allow_http: bool) -> str:
    shown = url if "://" in url else f"http://{url}"
    try:
        place = urlsplit(shown)
        name, port = place.hostname, place.port
    except ValueError as error:
        raise InvalidError("url", "is no URL", "write it as in http://localhost:18789") from error
    if place.scheme not in {"http", "https"} or not name or place.username is not None:
        raise InvalidError("url", "is no URL of a gateway", "write it as in http://localhost:18789")
    if place.scheme == "http" and name not in _LOOPBACK and not allow_http:
        problem = "is plain HTTP to another machine, where the token could be read on the way"
        hint = "use https, a tunnel to localhost, or --allow-http on a private network"
        raise InvalidError("url", problem, hint)
    host = f"[{name}]" if ":" in name else name
    return f"{place.scheme}://{host}" if port is None else f"{place.scheme}://{host}:{port}"
