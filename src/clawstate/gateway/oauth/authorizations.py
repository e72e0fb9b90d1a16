"""`Authorizations`: clients that wait for their owner, from the question to the token."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeVar

from clawstate.access.signing import load_private, new_pair, raw_of, to_base64url
from clawstate.gateway.oauth.clients import Client, place_of
from clawstate.gateway.oauth.errors import OAuthError
from clawstate.gateway.oauth.places import SCOPES
from clawstate.interrupts import Mutex
from clawstate.state import State
from clawstate.stores.devices import DEVICES
from clawstate.stores.devices.client_tokens import ClientToken, ClientTokens

CODE_LIFETIME: Final = 60.0
"""Seconds in which a client has to fetch its token once it was let in."""

_MOST = 256  # that wait, or whose code was given out
_LONGEST_STATE = 2048
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_LONGEST_NAME = 38  # of 80 characters that a request shows
_LONGEST_PLACE = 28
_READ, _WRITE = SCOPES

V = TypeVar("V")


class Verdict(Enum):
    """What became of a question."""

    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for: where the answer goes, its proof key, its scopes and for what."""

    client: Client
    redirect_uri: str
    state: str | None
    challenge: str = field(repr=False)
    scopes: tuple[str, ...]
    resource: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Question:
    """A wish that its owner is asked about, by a device of its own that shows *user_code*."""

    wish: Wish
    device_id: str
    mark: str = field(repr=False)
    user_code: str = field(repr=False)


@dataclass(slots=True)
class _Code:
    question: Question
    until: float
    is_used: bool = False


class Authorizations:
    """
    The questions of clients to the owner of *state*, and the codes that answered ones bring.

    They live as long as the gateway: what is cut off begins anew. The consent is the pairing of a
    device, so it is given wherever pairing is, and withdrawn by revoking that device.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._clock = state.clock
        self._mutex = Mutex()
        self._questions: OrderedDict[str, Question] = OrderedDict()
        self._codes: OrderedDict[str, _Code] = OrderedDict()
        self.tokens = ClientTokens(state.collection(DEVICES), clock=state.clock)

    def ask(self, wish: Wish, source: str | None) -> str:
        """Ask the owner, and return by what the page asks again; raises `LimitError`."""
        # A key that nobody keeps: it makes the id of the device, and the token goes to who has
        # the proof of the code, which is the client.
        raw = raw_of(load_private(new_pair()[1]))
        asked = self._state.device_flow.ask(
            device_id=hashlib.sha256(raw).hexdigest(),
            public_key=to_base64url(raw),
            name=_shown_name(wish),
            scopes=wish.scopes,
            source=source,
        )
        mark = self._state.device_flow.device_code(asked)
        code = f"{asked.code[:4]}-{asked.code[4:]}"
        key = secrets.token_urlsafe(32)
        self._keep(self._questions, key, Question(wish, asked.device_id, mark, code))
        return key

    def question(self, key: str) -> Question | None:
        """Return the question that a page shows."""
        with self._mutex:
            return self._questions.get(key)

    def verdict(self, question: Question) -> Verdict:
        """Tell what became of *question*, wherever that was decided."""
        # Before the request is looked for: approved in between, it would be found nowhere.
        pending = any(
            each.device_id == question.device_id for each in self._state.pairing.pending()
        )
        if not self._state.devices.was_used(question.mark, question.device_id):
            return Verdict.WAITING if pending else Verdict.EXPIRED
        device = self._state.devices.get(question.device_id)
        is_in = device is not None and device.revoked_at is None
        return Verdict.APPROVED if is_in else Verdict.DENIED

    def issue_code(self, key: str) -> str | None:
        """Return the code of an approved question, once; `None` after that."""
        with self._mutex:
            question = self._questions.pop(key, None)
        if question is None:
            return None
        code = secrets.token_urlsafe(32)
        self._keep(self._codes, _digest(code), _Code(question, self._clock() + CODE_LIFETIME))
        return code

    def drop(self, key: str) -> None:
        """Forget a question that was not approved."""
        with self._mutex:
            self._questions.pop(key, None)

    def redeem(self, code: str, *, client_id: str, redirect_uri: str, verifier: str) -> ClientToken:
        """
        Give the client that proves by *verifier* that it asked its tokens (RFC 7636).

        A code that comes twice was overheard: then the client is let in no more. Raises
        `OAuthError`.
        """
        now = self._clock()
        with self._mutex:
            found = self._codes.get(_digest(code))
            was_used = found is not None and found.is_used
            if found is not None:
                found.is_used = True
        if found is not None and was_used:
            self._state.devices.revoke(found.question.device_id)
        if found is None or was_used or not found.until - CODE_LIFETIME <= now < found.until:
            raise OAuthError("invalid_grant", "the code was used, or is too old")
        wish = found.question.wish
        if wish.client.client_id != client_id or wish.redirect_uri != redirect_uri:
            raise OAuthError("invalid_grant", "the code is for another client, or redirect_uri")
        if not hmac.compare_digest(challenge_of(verifier), wish.challenge):
            raise OAuthError("invalid_grant", "code_verifier is not what code_challenge was of")
        return self.tokens.issue(
            found.question.device_id,
            request=found.question.mark,
            client_id=client_id,
            resource=wish.resource,
        )

    def _keep(self, kept: OrderedDict[str, V], key: str, value: V) -> None:
        with self._mutex:
            kept[key] = value
            while len(kept) > _MOST:
                kept.popitem(last=False)


def wish_of(
    client: Client, redirect_uri: str, given: Mapping[str, str], *, resource: str, issuer: str
) -> Wish:
    """Return what the parameters *given* ask for; raises `OAuthError`."""
    if given.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type is 'code'")
    challenge = given.get("code_challenge", "")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        problem = "a proof key is needed: code_challenge, with code_challenge_method=S256"
        raise OAuthError("invalid_request", problem)
    if len(given.get("state", "")) > _LONGEST_STATE:
        raise OAuthError("invalid_request", f"state has more than {_LONGEST_STATE:,} characters")
    return Wish(
        client,
        redirect_uri,
        given.get("state"),
        challenge,
        scopes_of(given.get("scope")),
        resource,
        issuer,
    )


def scopes_of(text: str | None) -> tuple[str, ...]:
    """Return which of our scopes *text* asks for: all of them if it asks for nothing of ours."""
    wanted = set((text or "").split()) & set(SCOPES)
    if _WRITE in wanted or not wanted:
        return SCOPES
    return (_READ,)


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of *verifier*; raises `OAuthError` for what is none."""
    if not _VERIFIER.fullmatch(verifier):
        raise OAuthError("invalid_request", "code_verifier has 43 to 128 letters, digits or -._~")
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _shown_name(wish: Wish) -> str:
    """Return what the owner reads of a client, which may call itself what it likes."""
    name = wish.client.name[:_LONGEST_NAME].strip() or "unnamed"
    return f"MCP client {name} ({place_of(wish.redirect_uri)[-_LONGEST_PLACE:]})"


def _digest(code: str) -> str:
    # Looked up by its digest, so that how long it takes tells nothing about a code.
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
