"""The operations by which a device asks to be let in, and fetches its token (RFC 8628)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.clock import to_ms
from clawstate.errors import LimitError, StateError
from clawstate.gateway.access import source_of
from clawstate.gateway.attempts import Attempts
from clawstate.gateway.bodies import Body
from clawstate.gateway.device_names import free_name
from clawstate.gateway.links import join_invitation
from clawstate.gateway.pairing import Issued, routes
from clawstate.gateway.routing import Asking, Opened
from clawstate.interrupts import Mutex
from clawstate.stores.pairing import Proof
from clawstate.wire import to_wire

INTERVAL: Final = 5
"""Seconds that a device lets pass before it asks again."""

ASKED: Final = 20
"""How often in a minute devices of one address may ask to be let in."""

_MOST = 1024  # device codes whose last question is remembered
_EARLY = 0.8  # of the interval: a network delays one question more than the next


class DeviceKey(Body):
    """A device: its raw Ed25519 key in base64url, and the SHA-256 of that in hex."""

    device_id: Annotated[str, Field(max_length=256)]
    public_key: Annotated[str, Field(max_length=256)]


class NewDevice(DeviceKey):
    """A device that wants in: what people call it, and what it would like to be allowed."""

    name: Annotated[str | None, Field(max_length=100)] = None
    user_id: Annotated[str, Field(max_length=256)] = "owner"
    scopes: tuple[str, ...] | None = None


class Signed(DeviceKey):
    """
    A device's proof of its key.

    *signature*, Ed25519 in base64url, is of the text
    `clawstate-pairing|v1|<deviceId>|<SHA-256 of the code or secret, in hex>|<signedAtMs>`.
    """

    signed_at_ms: int
    signature: Annotated[str, Field(max_length=256)]

    def proof(self) -> Proof:
        """Return it as the state takes it."""
        return Proof(self.device_id, self.public_key, self.signed_at_ms, self.signature)


class Question(Signed):
    """What a device asks while it waits."""

    device_code: Annotated[str, Field(max_length=256)]


class Redemption(Signed):
    """The secret of an invitation, and what the device calls itself."""

    secret: Annotated[str, Field(max_length=512)]
    name: Annotated[str | None, Field(max_length=100)] = None


class NewInvitation(Body):
    """What the device that comes may do, and for how many seconds the invitation is good."""

    scopes: tuple[str, ...] | None = None
    name: Annotated[str | None, Field(max_length=100)] = None
    lifetime: float = 600.0


class DeviceAuthorization(TypedDict):
    """
    What a device shows, and by what it asks again.

    `interval` and `expiresIn` are seconds; a device whose clock is wrong goes by `serverTimeMs`.
    """

    deviceCode: str
    userCode: str
    verificationUri: str
    verificationUriComplete: str
    expiresIn: int
    interval: int
    serverTimeMs: int


class Invited(TypedDict):
    """
    An invitation, whose secret is shown this once.

    *link* leads a browser here with the secret in its fragment, and *qr* is the same drawn for the
    camera of a phone: an SVG image as a `data:` URI.
    """

    secret: str
    link: str
    qr: str
    scopes: list[str]
    expiresAtMs: int


class SlowDownError(StateError):
    """A device asks more often than it was told."""

    code = "slow_down"

    def __str__(self) -> str:
        return f"let {INTERVAL} seconds pass before you ask again"


class Pace:
    """Remembers, of a bounded number of device codes, when they were asked about last."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mutex = Mutex()
        self._last: OrderedDict[str, float] = OrderedDict()

    def require_patience(self, code: str) -> None:
        """Raise `SlowDownError` if *code* was asked about just now."""
        now = self._clock()
        with self._mutex:
            before = self._last.pop(code, None)
            self._last[code] = now
            while len(self._last) > _MOST:
                self._last.popitem(last=False)
        if before is not None and 0 <= now - before < INTERVAL * _EARLY:
            raise SlowDownError


@routes.write("/device_authorization", DeviceAuthorization, scope="open", status=201)
def ask(state: Opened, request: Request, body: NewDevice) -> Any:
    """Ask to be let in: the device shows `userCode` to its owner, who approves it."""
    _require_few(request.app.state.asked, source_of(request))
    made = state.device_flow.ask(
        device_id=body.device_id,
        public_key=body.public_key,
        user_id=body.user_id,
        name=free_name(body.name, state, device_id=body.device_id),
        scopes=body.scopes,
        source=source_of(request) or None,
    )
    now = state.clock()
    shown = f"{made.code[:4]}-{made.code[4:]}"
    place = f"{request.url.scheme}://{request.url.netloc}/"
    return {
        "deviceCode": state.device_flow.device_code(made),
        "userCode": shown,
        "verificationUri": f"{place}#pair",
        # In the fragment, which no server sees and no log keeps.
        "verificationUriComplete": f"{place}#pair={shown}",
        "expiresIn": max(0, int(state.pairing.expires_at(made) - now)),
        "interval": INTERVAL,
        "serverTimeMs": to_ms(now),
    }


@routes.write("/token", Issued, scope="open", status=201)
def collect(state: Opened, request: Request, body: Question) -> Any:
    """
    Give a device that was approved its token, until it was used.

    Errors are `authorization_pending`, `slow_down`, `access_denied` and `expired_token`.
    """
    pace: Pace = request.app.state.pace
    pace.require_patience(f"{body.device_id} {body.device_code}")
    issued = state.device_flow.collect(body.device_code, body.proof())
    return {**to_wire(issued), "token": issued.token}


@routes.write("/invitations", Invited, scope="admin", status=201)
def invite(state: Opened, asking: Asking, request: Request, body: NewInvitation) -> Any:
    """Make an invitation, which lets one device in without a question."""
    del asking  # who may do anything may let in with any scope
    made = state.device_flow.invite(scopes=body.scopes, name=body.name, lifetime=body.lifetime)
    # As the caller reached the gateway: its other addresses are not known.
    link = join_invitation(f"{request.url.scheme}://{request.url.netloc}", made.secret)
    return {**to_wire(made), "secret": made.secret, "link": link, "qr": _draw(link)}


@routes.write("/redeem", Issued, scope="open", status=201)
def redeem(state: Opened, request: Request, body: Redemption) -> Any:
    """Let a device in by an invitation, and give it its token."""
    issued = state.device_flow.redeem(
        body.secret,
        body.proof(),
        name=free_name(body.name, state, device_id=body.device_id),
        source=source_of(request) or "network",
    )
    return {**to_wire(issued), "token": issued.token}


def _draw(link: str) -> str:
    import segno  # noqa: PLC0415 - slow, and rarely needed

    # A ground of its own: cameras read dark on light only.
    picture: str = segno.make(link, error="l", micro=False).svg_data_uri(
        scale=4, border=3, dark="#000", light="#fff"
    )
    return picture


def _require_few(asked: Attempts, source: str) -> None:
    if (wait := asked.wait(source)) > 0:
        raise LimitError("questions to be let in", asked.limit, "wait", wait)
    asked.note(source)
