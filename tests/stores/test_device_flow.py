from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

import clawstate
from clawstate.clock import to_ms
from clawstate.errors import ConflictError, InvalidError, LimitError, NotFoundError
from clawstate.state import State
from clawstate.stores.pairing import (
    AccessDeniedError,
    AuthorizationPendingError,
    ExpiredTokenError,
    PairingRequest,
    Proof,
    proof_text,
)
from manual_clock import ManualClock


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path: Path, clock: ManualClock) -> Iterator[State]:
    with clawstate.open(tmp_path / "host", store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def phone(tmp_path: Path, clock: ManualClock) -> Iterator[State]:
    """Open the state of the device that wants in."""
    with clawstate.open(tmp_path / "phone", clock=clock) as opened:
        yield opened


@pytest.fixture
def stranger(tmp_path: Path, clock: ManualClock) -> Iterator[State]:
    with clawstate.open(tmp_path / "stranger", clock=clock) as opened:
        yield opened


def ask(state: State, device: State, **wishes) -> tuple[PairingRequest, str]:
    found = device.identity.load_or_create()
    request = state.device_flow.ask(
        device_id=found.device_id, public_key=found.public_key, **wishes
    )
    return request, state.device_flow.device_code(request)


def prove(device: State, about: str, moment: float | None = None) -> Proof:
    found = device.identity.load_or_create()
    at = to_ms(device.clock() if moment is None else moment)
    signature = device.identity.sign(proof_text(found.device_id, about, at))
    return Proof(found.device_id, found.public_key, at, signature)


def test_an_approved_device_fetches_its_token(state, phone) -> None:
    """Who asked and was approved fetches a token that lets it in, with the scopes that it got."""
    request, code = ask(state, phone, name="phone")
    approved = state.pairing.approve(request.code)

    issued = state.device_flow.collect(code, prove(phone, code))

    device = state.devices.verify(request.device_id, issued.token)
    assert device is not None
    assert device.scopes == approved.scopes == issued.scopes
    assert approved.collects
    assert issued.token not in repr(issued)


def test_what_the_host_was_shown_is_good_no_more(state, phone) -> None:
    """Once a device has fetched its token, the one of the approval lets nobody in."""
    request, code = ask(state, phone)
    approved = state.pairing.approve(request.code)

    state.device_flow.collect(code, prove(phone, code))

    assert state.devices.verify(request.device_id, approved.token) is None


def test_it_waits_until_somebody_decides(state, phone) -> None:
    """Before that a device is told to ask again, and nothing changes."""
    _, code = ask(state, phone)

    for _ in range(3):
        with pytest.raises(AuthorizationPendingError):
            state.device_flow.collect(code, prove(phone, code))

    assert len(state.pairing.pending()) == 1


def test_who_was_turned_away_is_told(state, phone) -> None:
    """A rejected device is denied, also one that is paired by an earlier request."""
    first, code = ask(state, phone)
    state.pairing.approve(first.code)
    state.device_flow.collect(code, prove(phone, code))
    second, again = ask(state, phone, scopes=["operator.admin"])
    state.pairing.reject(second.code)

    with pytest.raises(AccessDeniedError):
        state.device_flow.collect(again, prove(phone, again))


@pytest.mark.parametrize("seconds", [3601, -3601])
def test_a_request_does_not_wait_for_ever(state, phone, clock, seconds: float) -> None:
    """After its time a request is over, whichever way the clock was set."""
    _, code = ask(state, phone)
    clock.advance(seconds)

    with pytest.raises(ExpiredTokenError):
        state.device_flow.collect(code, prove(phone, code))


def test_a_code_that_was_never_given_brings_nothing(state, phone) -> None:
    """An invented device code is as one that is over."""
    with pytest.raises(ExpiredTokenError):
        state.device_flow.collect("0" * 32, prove(phone, "0" * 32))


def test_a_stolen_device_code_brings_nothing(state, phone, stranger) -> None:
    """Another key than the one that asked fetches nothing by the code of the device."""
    request, code = ask(state, phone)
    state.pairing.approve(request.code)

    with pytest.raises(ExpiredTokenError):
        state.device_flow.collect(code, prove(stranger, code))

    assert state.device_flow.collect(code, prove(phone, code)).token


def test_a_key_that_is_only_named_proves_nothing(state, phone, stranger) -> None:
    """A proof that another key signed, or that is about something else, is refused."""
    request, code = ask(state, phone)
    state.pairing.approve(request.code)
    good = prove(phone, code)

    bad = [
        replace(good, signature=prove(stranger, code).signature),
        replace(good, signed_at_ms=good.signed_at_ms + 1),
        prove(phone, "another code"),
        replace(good, signature="no signature"),
        replace(good, public_key=prove(stranger, code).public_key),
    ]

    for each in bad:
        with pytest.raises(InvalidError):
            state.device_flow.collect(code, each)


@pytest.mark.parametrize("seconds", [121, -121])
def test_an_old_proof_is_none(state, phone, clock, seconds: float) -> None:
    """What was signed minutes ago, or will be, counts no more."""
    request, code = ask(state, phone)
    state.pairing.approve(request.code)

    with pytest.raises(InvalidError, match="time"):
        state.device_flow.collect(code, prove(phone, code, clock() + seconds))


def test_an_answer_that_was_lost_is_given_again(state, phone, clock) -> None:
    """Until its token was used a device may fetch it again; the one before is good no more."""
    request, code = ask(state, phone)
    state.pairing.approve(request.code)
    lost = state.device_flow.collect(code, prove(phone, code))
    clock.advance(5)

    issued = state.device_flow.collect(code, prove(phone, code))

    assert state.devices.verify(request.device_id, issued.token) is not None
    assert state.devices.verify(request.device_id, lost.token) is None


def test_a_token_that_is_in_use_is_not_given_again(state, phone, clock) -> None:
    """Once a token was used, nobody fetches another by that request, which takes it away."""
    request, code = ask(state, phone)
    state.pairing.approve(request.code)
    issued = state.device_flow.collect(code, prove(phone, code))
    assert state.devices.verify(request.device_id, issued.token)
    clock.advance(5)

    with pytest.raises(ConflictError):
        state.device_flow.collect(code, prove(phone, code))

    assert state.devices.verify(request.device_id, issued.token)


def test_a_proof_that_was_overheard_is_good_once(state, phone) -> None:
    """The same proof, sent again, brings nothing, and takes nothing away."""
    request, code = ask(state, phone)
    state.pairing.approve(request.code)
    proof = prove(phone, code)
    issued = state.device_flow.collect(code, proof)

    with pytest.raises(ConflictError):
        state.device_flow.collect(code, proof)

    assert state.devices.verify(request.device_id, issued.token)


def test_who_is_let_in_no_more_fetches_nothing(state, phone) -> None:
    """A device that was revoked, or removed, before it came gets no token."""
    request, code = ask(state, phone)
    state.pairing.approve(request.code)
    state.devices.revoke(request.device_id)

    with pytest.raises(AccessDeniedError):
        state.device_flow.collect(code, prove(phone, code))

    state.devices.remove(request.device_id)
    with pytest.raises(AccessDeniedError):
        state.device_flow.collect(code, prove(phone, code))


def test_what_was_asked_for_is_what_is_fetched(state, phone) -> None:
    """A device that asks for something else has another code; the old one brings it nothing."""
    _, old = ask(state, phone)
    changed, code = ask(state, phone, scopes=["operator.read"])
    state.pairing.approve(changed.code)

    assert old != code
    with pytest.raises(ExpiredTokenError):
        state.device_flow.collect(old, prove(phone, old))
    assert state.device_flow.collect(code, prove(phone, code)).scopes == ("operator.read",)


def test_of_many_that_fetch_at_once_one_token_counts(state, phone, clock) -> None:
    """Whoever fetched last has the token; all others fail, or hold one that is good no more."""
    request, code = ask(state, phone)
    state.pairing.approve(request.code)
    proofs = [prove(phone, code, clock() + each) for each in range(8)]
    tokens: list[str] = []

    def fetch(proof: Proof) -> None:
        with suppress(ConflictError):
            tokens.append(state.device_flow.collect(code, proof).token)

    threads = [threading.Thread(target=fetch, args=(each,)) for each in proofs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    good = [each for each in tokens if state.devices.verify(request.device_id, each)]
    assert len(good) == 1


def test_an_invitation_lets_one_device_in(state, phone, stranger) -> None:
    """The first device that comes with its secret is let in, with its scopes; no other is."""
    invitation = state.device_flow.invite(scopes=["operator.admin"], name="from the sofa")

    issued = state.device_flow.redeem(invitation.secret, prove(phone, invitation.secret))

    device = state.devices.verify(issued.device_id, issued.token)
    assert device is not None
    assert device.scopes == ("operator.admin",)
    assert device.name == "from the sofa"
    with pytest.raises(NotFoundError):
        state.device_flow.redeem(invitation.secret, prove(stranger, invitation.secret))


def test_an_invitation_is_over_after_ten_minutes(state, phone, clock) -> None:
    """It is good for ten minutes, whichever way the clock was set."""
    late, early = state.device_flow.invite(), state.device_flow.invite(lifetime=86_400)
    clock.advance(600)

    with pytest.raises(NotFoundError):
        state.device_flow.redeem(late.secret, prove(phone, late.secret))
    clock.advance(-601)
    with pytest.raises(NotFoundError):
        state.device_flow.redeem(early.secret, prove(phone, early.secret))


def test_a_lost_answer_to_an_invitation_is_given_again(state, phone, clock) -> None:
    """The device that came first may come again until it used its token, and then no more."""
    invitation = state.device_flow.invite()
    lost = state.device_flow.redeem(invitation.secret, prove(phone, invitation.secret))
    clock.advance(1)
    issued = state.device_flow.redeem(invitation.secret, prove(phone, invitation.secret))

    assert state.devices.verify(issued.device_id, lost.token) is None
    assert state.devices.verify(issued.device_id, issued.token)
    clock.advance(1)
    with pytest.raises(ConflictError):
        state.device_flow.redeem(invitation.secret, prove(phone, invitation.secret))


def test_secrets_of_invitations_cannot_be_guessed_for_long(state, phone) -> None:
    """After five wrong ones in a minute no more count; a good one lets in all the same."""
    invitation = state.device_flow.invite()

    def guess(number: int) -> None:
        wrong = f"wrong {number}"
        state.device_flow.redeem(wrong, prove(phone, wrong), source="here")

    for each in range(5):
        with pytest.raises(NotFoundError):
            guess(each)
    with pytest.raises(LimitError):
        guess(5)

    proof = prove(phone, invitation.secret)
    assert state.device_flow.redeem(invitation.secret, proof, source="here").token


def test_no_secret_of_an_invitation_is_kept(state) -> None:
    """No byte of the state holds the secret, nor does its repr."""
    invitation = state.device_flow.invite()

    kept = b"".join(each.read_bytes() for each in state.paths.root.rglob("*") if each.is_file())

    assert invitation.secret.encode() not in kept
    assert invitation.secret not in repr(invitation)


def test_open_invitations_are_few(state, clock) -> None:
    """Not more than 32 are open at once; those that are over make room, and can be removed."""
    for _ in range(32):
        state.device_flow.invite()
    with pytest.raises(LimitError):
        state.device_flow.invite()
    clock.advance(600)

    state.device_flow.invite()

    clock.advance(600)
    assert state.device_flow.prune() == 1


@pytest.mark.parametrize("lifetime", [0, -1, 86_401, float("nan"), float("inf")])
def test_an_invitation_lasts_a_day_at_most(state, lifetime: float) -> None:
    """A lifetime that is none, or longer than a day, is refused."""
    with pytest.raises(InvalidError):
        state.device_flow.invite(lifetime=lifetime)
