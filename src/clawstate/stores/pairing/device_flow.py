"""`DeviceFlow`: a device asks to be let in, and fetches its token by proof of its key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from clawstate.access.names import require_id, require_name, require_public_key
from clawstate.access.scopes import DEFAULT_SCOPES, require_operator_scopes
from clawstate.access.signing import verify
from clawstate.arguments import require_seconds, require_text
from clawstate.clock import Clock, from_ms, system_clock, to_ms
from clawstate.errors import InvalidError, LimitError, NotFoundError, StateError
from clawstate.records.contract import Collection, CollectionSpec, Json
from clawstate.records.layouts import MapLayout
from clawstate.stores.pairing.attempts import Attempts
from clawstate.stores.pairing.contract import Approvals, Issued
from clawstate.stores.pairing.request import PairingRequest, mark_of
from clawstate.stores.pairing.store import Pairing

INVITATIONS: Final = CollectionSpec(
    "pairing-invitations",
    PurePosixPath("state/pairing-invitations.json"),
    MapLayout("invitations", version=1),
)
"""`{version: 1, invitations: {<SHA-256 of the secret>: {scopes, expiresAtMs, name?, usedBy?}}}`."""

INVITATION_LIFETIME: Final = 600.0
"""Seconds for which an invitation is good."""

OWNER: Final = "owner"
"""Whose a device is that asks over the network and names nobody."""

SKEW: Final = 120.0
"""Seconds by which the clock of a device may differ from this one's."""

_MOST_INVITATIONS = 32
_LONGEST_LIFETIME = 86_400.0
_BYTES = 32
_LONGEST = 512  # characters of a secret that are looked at
_AGAIN = "ask again with 'clawstate devices pair'"


class AuthorizationPendingError(StateError):
    """Nobody has decided about the device yet: ask again in a while."""

    code = "authorization_pending"

    def __str__(self) -> str:
        return "nobody has approved the device yet; ask again in a while"


class AccessDeniedError(StateError):
    """The owner turned the device away, or let it in no more."""

    code = "access_denied"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.problem}; {_AGAIN}"


class ExpiredTokenError(StateError):
    """What the device asked for is over, or was never asked for."""

    code = "expired_token"

    def __str__(self) -> str:
        return f"the request has expired, or there never was one; {_AGAIN}"


@dataclass(frozen=True, slots=True)
class Invitation:
    """
    Lets one device in, with *scopes*, until *expires_at* (seconds since the epoch).

    The secret is shown this once, and is not part of the repr.
    """

    secret: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: float


@dataclass(frozen=True, slots=True)
class Proof:
    """
    A device's proof that it has its key: *signature* of `proof_text` in base64url.

    *public_key* is the raw Ed25519 key in base64url, whose SHA-256 in hex is *device_id*;
    *signed_at_ms* in milliseconds since the epoch by the clock of whoever checks it.
    """

    device_id: str
    public_key: str
    signed_at_ms: int
    signature: str = field(repr=False)


def proof_text(device_id: str, about: str, signed_at_ms: int) -> str:
    """Return what a device signs to fetch what *about*, a device code or a secret, brings it."""
    # A digest, so that what was signed gives no secret away where it is kept.
    digest = hashlib.sha256(about.encode("utf-8", "replace")).hexdigest()
    return f"clawstate-pairing|v1|{device_id}|{digest}|{signed_at_ms}"


class DeviceFlow:
    """
    The device's side of *pairing* (RFC 8628; decision 059). Safe for threads and processes.

    A device asks, shows its code, and fetches its token once somebody has approved it, wherever
    that was. The device code only names the request: what it brings goes to the key that asked.
    """

    def __init__(
        self,
        pairing: Pairing,
        invitations: Collection,
        *,
        approvals: Approvals,
        attempts: Attempts,
        clock: Clock = system_clock,
    ) -> None:
        self._pairing = pairing
        self._invitations = invitations
        self._approvals = approvals
        self._attempts = attempts
        self._clock = clock

    def __repr__(self) -> str:
        return f"DeviceFlow({self._pairing!r})"

    def ask(
        self,
        *,
        device_id: str,
        public_key: str,
        user_id: str = OWNER,
        name: str | None = None,
        scopes: Iterable[str] | None = None,
        source: str | None = None,
    ) -> PairingRequest:
        """
        Ask to be let in, and return the request with the code to show (`user_code`).

        *source* and what is raised are those of `Pairing.request`.
        """
        return self._pairing.request(
            user_id=user_id,
            device_id=device_id,
            name=name,
            scopes=scopes,
            public_key=public_key,
            collects=True,
            source=source,
        )

    @staticmethod
    def device_code(request: PairingRequest) -> str:
        """Return by which the device that made *request* asks what became of it."""
        return mark_of(request.code)

    def collect(self, device_code: str, proof: Proof) -> Issued:
        """
        Give a device that was approved its token; the proof is over *device_code*.

        It may be fetched again until it was used: an answer can be lost. Raises
        `AuthorizationPendingError`, `AccessDeniedError`, `ExpiredTokenError`, `ConflictError` once
        the token was used, `InvalidError` for a proof that is none.
        """
        self._require_proof(proof, device_code)
        # Before the request is looked for: approved in between, it would be found nowhere.
        is_pending = any(
            mark_of(each.code) == device_code and each.device_id == proof.device_id
            for each in self._pairing.pending()
        )
        if not self._approvals.was_used(device_code, proof.device_id):
            raise AuthorizationPendingError if is_pending else ExpiredTokenError
        try:
            return self._approvals.collect(
                proof.device_id, request=device_code, signed_at_ms=proof.signed_at_ms
            )
        except NotFoundError as error:
            raise AccessDeniedError("the owner did not let this device in") from error

    def invite(
        self,
        *,
        scopes: Iterable[str] | None = None,
        name: str | None = None,
        lifetime: float = INVITATION_LIFETIME,
    ) -> Invitation:
        """
        Make a secret that lets one device in, with *scopes*, within *lifetime* seconds.

        It is shown this once, and kept as its SHA-256. Raises `LimitError` when too many are open.
        """
        if not 0 < require_seconds("lifetime", lifetime) <= _LONGEST_LIFETIME:
            raise InvalidError("lifetime", "is no length of time up to a day", "give seconds")
        granted = DEFAULT_SCOPES if scopes is None else require_operator_scopes(scopes)
        shown = None if name is None else require_name(name)
        secret = secrets.token_urlsafe(_BYTES)

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], float]:
            now = self._clock()
            kept = _open(records, now)
            if len(kept) >= _MOST_INVITATIONS:
                hint = "wait until some are used, or have expired"
                raise LimitError("open invitations", _MOST_INVITATIONS, hint)
            until = now + lifetime
            made = {"scopes": list(granted), "expiresAtMs": to_ms(until), "createdAtMs": to_ms(now)}
            if shown is not None:
                made["name"] = shown
            return {**kept, _key(secret): made}, until

        return Invitation(secret, granted, self._invitations.change_all(change))

    def redeem(
        self,
        secret: str,
        proof: Proof,
        *,
        name: str | None = None,
        user_id: str = OWNER,
        source: str = "local",
    ) -> Issued:
        """
        Let in the device of *proof*, which is over *secret*, by an invitation; return its token.

        The first device that comes has it. The same may come again until it used its token: an
        answer can be lost. Raises `NotFoundError` for a secret that was used, is over or never
        was, `LimitError` after too many of these from *source*, `InvalidError` for a bad proof.
        """
        key = _key(require_text("secret", secret)[:_LONGEST])
        self._require_proof(proof, secret)
        is_known = any(hmac.compare_digest(each.key, key) for each in self._invitations.scan())
        # A good one is not refused for the tries of others: nobody guesses 256 bits.
        if not is_known:
            self._attempts.admit(source, right=False)
        called = None if name is None else require_name(name)
        require_id("user id", user_id)

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
            kept = _open(records, self._clock())
            found = kept.get(key)
            if found is None or found.get("usedBy") not in {None, proof.device_id}:
                hint = "let the owner make another one with 'clawstate devices invite'"
                raise NotFoundError("open invitation", f"{secret[:2]}…", hint)
            # Kept until it is over, for the same device alone, whose answer may have been lost.
            return {**kept, key: {**found, "usedBy": proof.device_id}}, found

        found = self._invitations.change_all(change)
        mark = mark_of(key)
        if not self._approvals.was_used(mark, proof.device_id):
            self._approvals.issue(
                device_id=proof.device_id,
                user_id=user_id,
                account_id=None,
                name=called or found.get("name"),
                public_key=proof.public_key,
                scopes=found["scopes"],
                caller_scopes=None,
                request=mark,
                collects=True,
            )
        return self._approvals.collect(
            proof.device_id, request=mark, signed_at_ms=proof.signed_at_ms
        )

    def prune(self) -> int:
        """Remove the invitations that are over, and return how many."""

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], int]:
            kept = _open(records, self._clock())
            return kept, len(records) - len(kept)

        return self._invitations.change_all(change)

    def _require_proof(self, proof: Proof, about: str) -> None:
        require_public_key(proof.public_key, proof.device_id)
        now = self._clock()
        if abs(now - from_ms(proof.signed_at_ms)) > SKEW:
            problem = f"was made at another time than it is here, {to_ms(now)} ms"
            raise InvalidError("proof", problem, "set the clock of the device, or use serverTimeMs")
        text = proof_text(proof.device_id, about, proof.signed_at_ms)
        if not verify(proof.public_key, text, proof.signature):
            problem = "is not signed by the key of the device"
            raise InvalidError("proof", problem, "sign the text that the documentation gives")


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _open(records: Mapping[str, Json], now: float) -> dict[str, Json]:
    """Return the invitations that are good *now*; what cannot be read is not."""
    return {key: value for key, value in records.items() if _is_open(value, now)}


def _is_open(value: Json, now: float) -> bool:
    if not isinstance(value, Mapping):
        return False
    scopes, until = value.get("scopes"), value.get("expiresAtMs")
    whole = isinstance(scopes, list) and all(isinstance(each, str) for each in scopes)
    if not whole or not isinstance(until, int) or isinstance(until, bool):
        return False
    # Not for longer than it can have been meant, should the clock have been set back.
    return now < from_ms(until) <= now + _LONGEST_LIFETIME
