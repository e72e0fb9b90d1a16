"""The tokens of clients that the authorization server let in."""

from __future__ import annotations

import hashlib
import json

import pytest

import clawstate
from clawstate.access.signing import load_private, new_pair, raw_of, to_base64url
from clawstate.errors import ConflictError, NotFoundError
from clawstate.stores.devices import DEVICES
from clawstate.stores.devices.client_tokens import ACCESS_LIFETIME, REFRESH_LIFETIME, ClientTokens


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def tokens(state, clock) -> ClientTokens:
    return ClientTokens(state.collection(DEVICES), clock=clock)


@pytest.fixture
def let_in(state) -> tuple[str, str]:
    """Let a client in, and return its device and the mark of its request."""
    raw = raw_of(load_private(new_pair()[1]))
    device_id = hashlib.sha256(raw).hexdigest()
    asked = state.device_flow.ask(
        device_id=device_id, public_key=to_base64url(raw), scopes=["operator.read"]
    )
    state.pairing.approve(asked.code)
    return device_id, state.device_flow.device_code(asked)


def issue(tokens: ClientTokens, let_in: tuple[str, str]):
    device_id, mark = let_in
    return tokens.issue(device_id, request=mark, client_id="c", resource="https://h.org/mcp")


def test_a_token_ends_after_an_hour_and_is_renewed(state, tokens, let_in, clock) -> None:
    """An access token is good for an hour; the refresh token brings the next, with its scopes."""
    first = issue(tokens, let_in)
    assert state.devices.verify(first.device_id, first.access).scopes == ("operator.read",)

    clock.advance(ACCESS_LIFETIME)
    gone = state.devices.verify(first.device_id, first.access)
    second = tokens.refresh(first.refresh, client_id="c")

    assert gone is None
    assert second.scopes == ("operator.read",)
    assert state.devices.verify(second.device_id, second.access) is not None


def test_a_client_that_was_away_too_long_asks_again(tokens, let_in, clock) -> None:
    """A refresh token that nobody used for 90 days is good no more."""
    first = issue(tokens, let_in)

    clock.advance(REFRESH_LIFETIME)

    with pytest.raises(NotFoundError):
        tokens.refresh(first.refresh, client_id="c")


def test_a_request_brings_tokens_once(tokens, let_in) -> None:
    """What an approval brings is given once, and for that request alone."""
    device_id, mark = let_in
    with pytest.raises(NotFoundError):
        tokens.issue(device_id, request="another", client_id="c", resource="r")

    issue(tokens, let_in)

    with pytest.raises(ConflictError):
        tokens.issue(device_id, request=mark, client_id="c", resource="r")


def test_a_copied_token_ends_the_client_once_the_new_one_was_used(
    state, tokens, let_in, clock
) -> None:
    """A lost answer is given again; after the new token was used, the old one is a copy."""
    first = issue(tokens, let_in)
    second = tokens.refresh(first.refresh, client_id="c")
    clock.advance(3000)
    again = tokens.refresh(first.refresh, client_id="c")
    assert state.devices.verify(second.device_id, second.access) is None
    assert state.devices.verify(again.device_id, again.access) is not None
    clock.advance(61)

    with pytest.raises(NotFoundError):
        tokens.refresh(first.refresh, client_id="c")

    assert state.devices.verify(again.device_id, again.access) is None


def test_no_token_is_kept_in_the_clear(state, tokens, let_in) -> None:
    """What is kept of both tokens is their digest."""
    made = issue(tokens, let_in)

    kept = json.dumps([each.value for each in state.collection(DEVICES).scan()])

    assert made.access not in kept
    assert made.refresh not in kept
    assert made.access not in repr(made)
