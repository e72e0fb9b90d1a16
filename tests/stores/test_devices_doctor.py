from __future__ import annotations

import json
import stat

import pytest

from clawstate.doctor.examination import check_part
from clawstate.errors import NotFoundError
from clawstate.health import repair_all


@pytest.fixture
def filled(state):
    """Have a key pair, a held token, a paired device and a pending request."""
    state.device_auth.set("gateway", "a-secret-token")
    state.devices.issue(device_id="tv", user_id="ada", scopes=["operator.read"])
    state.pairing.request(user_id="ada", device_id="phone")
    return state


def check(state):
    parts = ("identity", "device_auth", "pairing", "devices")
    return list(dict.fromkeys(found for part in parts for found in check_part(state, part)))


def codes(findings):
    return [each.code for each in findings]


def rewritten(path, change):
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def test_what_is_well_has_no_findings(state, filled) -> None:
    """Neither an empty state nor one with devices is ill, and looking makes nothing."""
    assert list(check(filled)) == repair_all(check(filled)) == []


def test_looking_at_nothing_makes_nothing(state) -> None:
    """A state without devices stays empty."""
    assert list(check(state)) == []
    assert not state.paths.root.exists()


def test_wide_modes_are_found_and_mended(filled) -> None:
    """A secret that others may read is told, and made private when asked."""
    paths = filled.paths
    for path in (paths.device_auth, paths.devices, paths.device_identity, paths.pairing):
        path.chmod(0o644)
    paths.pairing.parent.chmod(0o755)

    assert codes(check(filled)) == ["wide-mode"] * 5
    assert codes(repair_all(check(filled))) == ["wide-mode"] * 5

    assert list(check(filled)) == []
    assert stat.S_IMODE(paths.device_identity.stat().st_mode) == 0o600


def test_a_wrong_id_is_found_and_mended(filled) -> None:
    """An id that is not that of the key is told, and corrected only when asked."""
    path = filled.paths.device_identity
    mine = filled.identity.device_id
    rewritten(path, lambda each: each.update(deviceId="0" * 64))
    wrong = path.read_bytes()

    assert codes(check(filled)) == ["device-id"]
    assert path.read_bytes() == wrong
    assert codes(repair_all(check(filled))) == ["device-id"]

    assert json.loads(path.read_bytes())["deviceId"] == mine
    assert list(check(filled)) == []


def test_keys_that_do_not_belong_together_are_found(filled) -> None:
    """A private key of another pair is told, without a word of it."""
    rewritten(filled.paths.device_identity, lambda each: each.update(privateKeyPem="a-secret"))

    (finding,) = repair_all(check(filled))

    assert (finding.code, finding.severity) == ("corrupt", "error")
    assert "a-secret" not in repr(finding)


def test_tokens_of_another_device_are_found(filled) -> None:
    """Held tokens that are not used are told, and stay."""
    path = filled.paths.device_auth
    rewritten(path, lambda each: each.update(deviceId="another"))

    (finding,) = repair_all(check(filled))

    assert finding.code == "foreign-tokens"
    assert "a-secret-token" not in repr(finding)
    assert json.loads(path.read_bytes())["tokens"] == {"gateway": "a-secret-token"}


def test_old_requests_are_found_and_removed(filled, clock) -> None:
    """Requests that can be used no more are told, and go when asked."""
    clock.advance(3601)

    assert codes(check(filled)) == ["old-requests"]
    assert codes(repair_all(check(filled))) == ["old-requests"]

    assert list(check(filled)) == []
    assert json.loads(filled.paths.pairing.read_bytes())["requests"] == []


def test_scopes_that_nobody_approved_are_found(filled) -> None:
    """A token with more than was approved is told, with the command that ends it."""

    def change(each):
        each["devices"]["tv"]["tokens"]["operator"]["scopes"].append("operator.admin")

    rewritten(filled.paths.devices, change)

    (finding,) = repair_all(check(filled))
    assert finding.code == "excess-scopes"
    assert "operator.admin" in finding.message
    assert "devices rotate tv" in finding.fix

    filled.devices.rotate("tv")
    assert list(check(filled)) == []


def test_a_malformed_device_is_found(filled) -> None:
    """A device whose record cannot be used is told, with the command that removes it."""
    rewritten(filled.paths.devices, lambda each: each["devices"].update(tv=7))

    (finding,) = repair_all(check(filled))
    assert (finding.code, finding.severity) == ("bad-device", "error")

    filled.devices.remove("tv")
    assert list(check(filled)) == []
    with pytest.raises(NotFoundError):
        filled.devices.rotate("tv")
