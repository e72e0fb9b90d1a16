from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.errors import InvalidError, NotFoundError, StateError
from clawstate.stores.pairing import Pairing


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def in_file(tmp_path, clock):
    with clawstate.open(tmp_path / "state", clock=clock) as opened:
        yield opened


class Interrupted:
    """Approvals of *devices* before which somebody else does *something*, once."""

    def __init__(self, devices, something) -> None:
        self._devices = devices
        self._something = [something]

    def __getattr__(self, name):
        return getattr(self._devices, name)

    def issue(self, **given):
        self._interrupt()
        return self._devices.issue(**given)

    def refuse(self, *given):
        self._interrupt()
        return self._devices.refuse(*given)

    def _interrupt(self) -> None:
        while self._something:
            self._something.pop()()


def interrupted(state, something):
    """Return the pairing of *state*, in which *something* comes before any verdict is kept."""
    own = state.pairing
    return Pairing(
        own._requests,
        attempts=own._attempts,
        approvals=Interrupted(state.devices, something),
        clock=own._clock,
    )


def test_what_was_rejected_is_not_approved_by_who_read_it_before(state) -> None:
    """An approval that had found the request when somebody rejected it lets nobody in."""
    code = state.pairing.request(user_id="ada", device_id="phone").code
    pairing = interrupted(state, lambda: state.pairing.reject(code))

    with pytest.raises(NotFoundError):
        pairing.approve(code)

    assert state.devices.paired() == ()
    assert state.pairing.pending() == ()


def test_what_was_approved_is_not_rejected_by_who_read_it_before(state) -> None:
    """A rejection that had found the request when somebody approved it does not claim success."""
    code = state.pairing.request(user_id="ada", device_id="phone").code
    pairing = interrupted(state, lambda: state.pairing.approve(code))

    with pytest.raises(NotFoundError):
        pairing.reject(code)

    assert [each.device_id for each in state.devices.paired()] == ["phone"]
    assert state.pairing.pending() == ()


def test_a_rejected_device_may_ask_again(state) -> None:
    """Rejecting ends one request, not the device; a paired one stays as it is."""
    first = state.pairing.request(user_id="ada", device_id="phone")
    state.pairing.reject(first.code)
    second = state.pairing.request(user_id="ada", device_id="phone")
    issued = state.pairing.approve(second.code)
    third = state.pairing.request(user_id="ada", device_id="phone", scopes=["operator.read"])

    state.pairing.reject(third.code)

    assert len({first.code, second.code, third.code}) == 3
    assert state.devices.verify("phone", issued.token) is not None
    with pytest.raises(NotFoundError):
        state.pairing.approve(first.code)


def test_a_rejection_is_remembered_for_a_month(in_file, clock) -> None:
    """What is left of a device that was never let in goes with a change a month later."""
    code = in_file.pairing.request(user_id="ada", device_id="phone").code
    in_file.pairing.reject(code)
    kept = json.loads(in_file.paths.devices.read_bytes())["devices"]
    assert set(kept) == {"phone"}
    assert set(kept["phone"]) == {"deviceId", "removedAtMs", "requests"}
    assert in_file.devices.paired(revoked=True) == in_file.devices.malformed() == ()

    clock.advance(31 * 86_400)
    in_file.devices.issue(device_id="tv", user_id="ada")

    assert set(json.loads(in_file.paths.devices.read_bytes())["devices"]) == {"tv"}


def test_a_malformed_device_keeps_its_requests_from_coming_in(in_file) -> None:
    """Rejecting the request of a device whose record is broken leaves the record as it is."""
    code = in_file.pairing.request(user_id="ada", device_id="phone").code
    in_file.paths.devices.write_text(json.dumps({"version": 1, "devices": {"phone": 7}}))

    assert in_file.pairing.reject(code).device_id == "phone"

    assert json.loads(in_file.paths.devices.read_bytes())["devices"] == {"phone": 7}
    assert in_file.pairing.pending() == ()


def test_a_revoked_token_is_not_rotated_into_a_good_one(state) -> None:
    """A role that was revoked comes back by pairing alone."""
    state.devices.issue(device_id="phone", user_id="ada")
    state.devices.revoke("phone", role="operator")

    with pytest.raises(InvalidError, match="revoked"):
        state.devices.rotate("phone")

    issued = state.devices.issue(device_id="phone", user_id="ada")
    assert state.devices.verify("phone", issued.token) is not None


@pytest.mark.parametrize("scopes", [[["operator.read"]], [{}], [None], [7], "operator.read"])
def test_what_is_no_scope_is_not_allowed(state, scopes) -> None:
    """Whoever asks for what is no scope is not let in, and nothing breaks."""
    issued = state.devices.issue(device_id="phone", user_id="ada")

    assert state.devices.verify("phone", issued.token, scopes) is None


def test_a_removed_token_does_not_come_back_from_openclaw(in_file) -> None:
    """With the last token gone, those that OpenClaw holds do not count again."""
    held = in_file.paths.device_identity.with_name("device-auth.json")
    held.parent.mkdir(parents=True, mode=0o700)
    held.write_text(json.dumps({"version": 1, "tokens": {"operator": "theirs"}}))
    held.chmod(0o600)
    assert in_file.device_auth.tokens() == {"operator": "theirs"}

    assert in_file.device_auth.remove("operator")

    assert in_file.device_auth.tokens() == {}
    assert not in_file.device_auth.remove("operator")


@pytest.mark.parametrize("setting", ["pairing.path", "session.store"])
@pytest.mark.parametrize("place", ["a\0b", "\ud800", "~nobody-of-that-name/x.json", "../x.json"])
def test_a_place_that_cannot_be_is_told(tmp_path, monkeypatch, setting, place) -> None:
    """A path in a setting is used below the state, or refused with what is wrong with it."""
    root, elsewhere = tmp_path / "here/state", tmp_path / "elsewhere"
    root.mkdir(parents=True)
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    section, name = setting.split(".")
    (root / "openclaw.json").write_text(json.dumps({section: {name: place}}))

    told = []
    with clawstate.open(root) as state:
        for deed in (
            lambda: state.pairing.request(user_id="ada", device_id="phone"),
            lambda: state.sessions.resolve("main"),
        ):
            try:
                deed()
            except StateError as error:
                told.append(str(error))

    assert all(setting in each for each in told)
    assert list(elsewhere.iterdir()) == []


def test_a_path_that_leads_up_is_refused(in_file) -> None:
    """Pairing requests lie below the state, or where an absolute path says."""
    (in_file.paths.root).mkdir(parents=True, exist_ok=True)
    (in_file.paths.root / "openclaw.json").write_text('{"pairing": {"path": "x/../../y.json"}}')

    with pytest.raises(InvalidError, match="leads up"):
        in_file.pairing.pending()
