from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import pickle
import re
import warnings
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clawstate
from clawstate.clock import to_ms
from clawstate.errors import (
    ConflictError,
    CorruptError,
    CorruptWarning,
    InvalidError,
    NotFoundError,
    StateError,
)
from clawstate.files.lock import FileLock
from clawstate.stores.devices import covers

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
TEN_YEARS = 10 * 365.25 * 86_400
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
SCOPES = ["operator.read", "operator.write", "operator.admin", "operator.pairing", "node.camera"]


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def in_file(tmp_path, clock):
    with clawstate.open(tmp_path / "state", store="file", clock=clock) as opened:
        yield opened


def issue(state, device_id="phone", **settings):
    return state.devices.issue(device_id=device_id, user_id="ada", **settings)


def document(state, device_id="phone"):
    return json.loads(state.paths.devices.read_bytes())["devices"][device_id]


def rewritten(state, change, device_id="phone"):
    """Change the record of a device behind the store's back."""
    whole = json.loads(state.paths.devices.read_bytes())
    change(whole["devices"][device_id])
    state.paths.devices.write_text(json.dumps(whole))


def test_a_token_is_kept_as_its_digest(in_file, clock) -> None:
    """A token has 256 bits in base64url; the file has its SHA-256 and nothing else of it."""
    issued = issue(in_file, name="Ada's phone", account_id="work")

    assert re.fullmatch("[A-Za-z0-9_-]{43}", issued.token)
    scopes = ["operator.read", "operator.write"]
    digest = hashlib.sha256(issued.token.encode()).hexdigest()
    assert document(in_file) == {
        "deviceId": "phone",
        "userId": "ada",
        "accountId": "work",
        "name": "Ada's phone",
        "scopes": scopes,
        "approvedScopes": scopes,
        "tokens": {"operator": {"hash": digest, "scopes": scopes, "createdAtMs": to_ms(clock())}},
        "createdAtMs": to_ms(clock()),
        "approvedAtMs": to_ms(clock()),
    }


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_no_token_is_anywhere_but_where_it_is_issued(tmp_path, clock, caplog, store) -> None:
    """No file, repr, log or error holds a token, but the one value that is returned."""
    caplog.set_level(logging.DEBUG)
    with clawstate.open(tmp_path / "state", store=store, clock=clock) as state:
        issued = issue(state)
        rotated = state.devices.rotate("phone")
        said = [repr(issued), str(issued), repr(state.devices.paired()), repr(rotated)]
        assert hashlib.sha256(rotated.token.encode()).hexdigest() not in said[2]
        state.devices.verify("phone", rotated.token)
        for attempt in (
            lambda: state.devices.rotate("phone", scopes=[rotated.token + " "]),
            lambda: state.devices.rotate("phone", scopes=["operator.admin"]),
            lambda: issue(state, device_id="x" * 300),
        ):
            with pytest.raises(StateError) as caught:
                attempt()
            said.append(repr(caught.value))
    said.append(caplog.text)
    said += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]

    assert not [each for each in said if issued.token in each or rotated.token in each]
    assert pickle.loads(pickle.dumps(issued)) == issued


def test_only_the_right_token_is_good(state) -> None:
    """A token lets in its own device, and nobody else's."""
    phone, tv = issue(state), issue(state, "tv")

    assert state.devices.verify("phone", phone.token).device_id == "phone"
    for device, token in (
        ("phone", tv.token),
        ("tv", phone.token),
        ("phone", phone.token[:-1]),
        ("phone", phone.token + "="),
        ("phone", ""),
        ("phone", hashlib.sha256(phone.token.encode()).hexdigest()),
        ("phone", None),
        ("phone", b"x"),
        ("phone", "\ud800"),
        ("phone", "x" * 10**6),
        ("car", phone.token),
        ("", phone.token),
        ("\ud800", phone.token),
        (None, phone.token),
    ):
        assert state.devices.verify(device, token) is None


def test_a_token_is_good_for_its_scopes(state) -> None:
    """All of the scopes asked for have to be allowed, with those that they include."""
    issued = issue(state, scopes=["operator.write", "operator.pairing"])

    for scopes, good in {
        (): True,
        ("operator.read",): True,
        ("operator.read", "operator.pairing"): True,
        ("operator.admin",): False,
        ("operator.read", "node.camera"): False,
    }.items():
        assert bool(state.devices.verify("phone", issued.token, scopes)) == good
    assert state.devices.verify("phone", issued.token, "operator.read") is None


def test_other_roles_include_nothing(state) -> None:
    """In another role than the operator's a scope stands for itself."""
    issued = issue(state, role="node", scopes=["operator.admin"])

    assert state.devices.verify("phone", issued.token, ["operator.admin"], role="node")
    assert state.devices.verify("phone", issued.token, ["operator.read"]) is None
    assert state.devices.verify("phone", issued.token, role="operator") is None


@given(granted=st.lists(st.sampled_from(SCOPES)), wanted=st.lists(st.sampled_from(SCOPES)))
def test_scopes_include_each_other_in_order(granted, wanted) -> None:
    """What covers something covers each part of it, and itself; granting more takes nothing."""
    assert covers(granted, granted)
    assert covers(granted, wanted) == all(covers(granted, [each]) for each in wanted)
    if covers(granted, wanted):
        assert covers([*granted, "operator.read"], wanted)
    if "node.camera" in wanted and "node.camera" not in granted:
        assert not covers(granted, wanted)


def test_a_token_ends_in_time(state, clock) -> None:
    """A token with a lifetime is good until its end, and not a moment longer."""
    issued = issue(state, lifetime=60)
    assert issued.expires_at == clock() + 60

    clock.advance(59)
    assert state.devices.verify("phone", issued.token)
    clock.advance(1)

    assert state.devices.verify("phone", issued.token) is None


def test_rotation_ends_the_old_token(state, clock) -> None:
    """After a rotation the new token is good and the old one is not, with the same scopes."""
    old = issue(state, lifetime=600)
    clock.advance(5)

    new = state.devices.rotate("phone")

    assert state.devices.verify("phone", old.token) is None
    assert state.devices.verify("phone", new.token).scopes == old.scopes
    assert new.expires_at == old.expires_at
    assert state.devices.get("phone").tokens["operator"].rotated_at == clock()


@pytest.mark.parametrize(
    ("wanted", "caller"),
    [
        (["operator.admin"], None),
        (["operator.admin"], ["operator.admin"]),
        (["operator.read", "node.camera"], None),
        (["operator.write"], ["operator.read"]),
        (None, ["operator.read"]),
        (["operator.read"], []),
    ],
)
def test_rotation_never_widens(state, wanted, caller) -> None:
    """No token gets more than was approved, nor more than whoever asks has; then it stays."""
    issued = issue(state)

    with pytest.raises(InvalidError, match="beyond"):
        state.devices.rotate("phone", scopes=wanted, caller_scopes=caller)

    assert state.devices.verify("phone", issued.token, ["operator.write"])


def test_rotation_may_narrow_and_go_back(state) -> None:
    """A narrower token can become as wide again as what was approved."""
    issue(state)

    narrow = state.devices.rotate(
        "phone", scopes=["operator.read"], caller_scopes=["operator.admin"]
    )
    assert state.devices.verify("phone", narrow.token, ["operator.write"]) is None
    wide = state.devices.rotate("phone", scopes=["operator.write"])

    assert state.devices.verify("phone", wide.token, ["operator.write", "operator.read"])


def test_scopes_that_nobody_approved_do_not_count(in_file) -> None:
    """A token's scopes beyond what was approved are not allowed, and rotation drops them."""
    issued = issue(in_file, scopes=["operator.read"])
    rewritten(in_file, lambda each: each["tokens"]["operator"]["scopes"].append("operator.admin"))

    assert in_file.devices.verify("phone", issued.token, ["operator.admin"]) is None
    assert in_file.devices.verify("phone", issued.token).scopes == ("operator.read",)
    assert in_file.devices.get("phone").excess == ("operator.admin",)
    assert in_file.devices.rotate("phone").scopes == ("operator.read",)


def test_a_revoked_device_is_let_in_no_more(state) -> None:
    """Revoking tells whether it changed anything; after it no token is good or given."""
    issued = issue(state)

    assert state.devices.revoke("phone")
    assert not state.devices.revoke("phone")
    assert not state.devices.revoke("tv")

    assert state.devices.verify("phone", issued.token) is None
    assert state.devices.paired() == ()
    assert [each.device_id for each in state.devices.paired(revoked=True)] == ["phone"]
    with pytest.raises(InvalidError, match="revoked"):
        state.devices.rotate("phone")


def test_one_role_can_be_revoked(state) -> None:
    """Revoking a role ends its token only; a role without one changes nothing."""
    issued = issue(state)

    assert not state.devices.revoke("phone", role="node")
    assert state.devices.verify("phone", issued.token)
    assert state.devices.revoke("phone", role="operator")

    assert state.devices.verify("phone", issued.token) is None
    assert state.devices.get("phone").revoked_at is None


def test_a_removed_device_is_unknown(state) -> None:
    """Removing forgets the device and all that was known of it."""
    issued = issue(state)

    assert state.devices.remove("phone")
    assert not state.devices.remove("phone")

    assert state.devices.get("phone") is None
    assert state.devices.verify("phone", issued.token) is None
    for attempt in (
        lambda: state.devices.rotate("phone"),
        lambda: state.devices.rename("phone", "x"),
    ):
        with pytest.raises(NotFoundError):
            attempt()


def test_a_removed_device_leaves_only_its_requests(in_file, clock) -> None:
    """By which requests it came is remembered for a month, and nothing else."""
    issue(in_file, request="mark")
    in_file.devices.remove("phone")
    assert document(in_file).keys() == {"deviceId", "removedAtMs", "requests"}
    with pytest.raises(NotFoundError):
        issue(in_file, request="mark")
    assert in_file.devices.malformed() == ()

    clock.advance(31 * 86_400)
    issue(in_file, "tv")

    assert not in_file.devices.was_used("mark")


def test_renaming_changes_the_name_only(state) -> None:
    """A new name is kept, its token stays good, and a name that hides something is refused."""
    issued = issue(state)

    assert state.devices.rename("phone", "Ada's 👩‍💻 phone").name == "Ada's 👩‍💻 phone"

    assert state.devices.verify("phone", issued.token).name == "Ada's 👩‍💻 phone"
    for name in ("", " x", "a\nb", "a\u202eb", "x" * 81):
        with pytest.raises(InvalidError):
            state.devices.rename("phone", name)


def test_use_is_noted_once_a_minute(in_file, clock) -> None:
    """The last use is kept to within a minute: verifying does not write each time."""
    issued = issue(in_file)
    first = clock()
    in_file.devices.verify("phone", issued.token)
    before = in_file.paths.devices.stat().st_mtime_ns
    for _ in range(5):
        clock.advance(10)
        in_file.devices.verify("phone", issued.token)
    assert in_file.paths.devices.stat().st_mtime_ns == before
    assert in_file.devices.get("phone").last_used_at == first

    clock.advance(10)
    in_file.devices.verify("phone", issued.token)

    assert in_file.devices.get("phone").last_used_at == first + 60


@pytest.mark.parametrize("jump", [TEN_YEARS, -TEN_YEARS])
def test_a_clock_that_jumps_changes_no_right(state, clock, jump) -> None:
    """A token without an end stays good after ten years forward or back, and is noted as used."""
    issued = issue(state)
    state.devices.verify("phone", issued.token)

    clock.advance(jump)

    assert state.devices.verify("phone", issued.token)
    assert state.devices.get("phone").last_used_at == pytest.approx(clock(), abs=0.001)
    state.devices.revoke("phone")
    clock.advance(-jump)
    assert state.devices.verify("phone", issued.token) is None


def test_a_busy_file_keeps_nobody_out(in_file) -> None:
    """A token is verified though another process holds the lock; the note is left out."""
    issued = issue(in_file)
    found = []

    with FileLock(in_file.paths.devices):
        other = Thread(target=lambda: found.append(in_file.devices.verify("phone", issued.token)))
        other.start()
        other.join()

    assert found[0] is not None
    assert found[0].last_used_at is None


def test_a_damaged_file_lets_in_who_was_let_in(in_file) -> None:
    """Verifying goes on with the last good state and says so; changing is refused."""
    issued = issue(in_file)
    in_file.paths.devices.write_text("{")

    with pytest.warns(CorruptWarning):
        assert in_file.devices.verify("phone", issued.token)
    with pytest.raises(CorruptError):
        in_file.devices.revoke("phone")

    assert in_file.paths.devices.read_text() == "{"


@pytest.mark.parametrize(
    "change",
    [
        lambda each: each.update(tokens=[]),
        lambda each: each.update(approvedScopes="operator.admin"),
        lambda each: each.update(revokedAtMs="yesterday"),
        lambda each: each.update(revokedAtMs=True),
        lambda each: each.update(deviceId="tv"),
        lambda each: each.pop("userId"),
        lambda each: each.pop("approvedScopes"),
        lambda each: each["tokens"]["operator"].update(revokedAtMs="now"),
        lambda each: each["tokens"]["operator"].update(expiresAtMs={}),
        lambda each: each["tokens"]["operator"].update(scopes=[1]),
        lambda each: each["tokens"]["operator"].pop("hash"),
        lambda each: each["tokens"].update(other=7),
    ],
)
def test_a_malformed_device_is_not_let_in(in_file, change) -> None:
    """A record that is not as it should be opens nothing; it can only be removed."""
    issued = issue(in_file)
    rewritten(in_file, change)

    assert in_file.devices.verify("phone", issued.token) is None
    assert in_file.devices.remove("phone")


def test_a_malformed_device_is_not_overwritten(in_file) -> None:
    """Changing a malformed record raises, and names the file."""
    issue(in_file)
    rewritten(in_file, lambda each: each.pop("userId"))

    for attempt in (
        lambda: issue(in_file),
        lambda: in_file.devices.rotate("phone"),
        lambda: in_file.devices.rename("phone", "x"),
    ):
        with pytest.raises(CorruptError, match=r"devices\.json"):
            attempt()
    assert in_file.devices.malformed() == ("phone",)


def test_unknown_members_survive(in_file) -> None:
    """What others keep with a device stays through every change."""
    issued = issue(in_file)
    extra = {"platform": "ios", "n": 1.5}

    def change(each):
        each.update(extra)
        each["tokens"]["operator"]["label"] = "x"

    rewritten(in_file, change)

    in_file.devices.rename("phone", "mine")
    in_file.devices.verify("phone", issued.token)
    in_file.devices.rotate("phone")
    in_file.devices.revoke("phone")

    found = document(in_file)
    assert {key: found[key] for key in extra} == extra
    assert found["tokens"]["operator"]["label"] == "x"


def verified(state, token, scopes):
    try:
        return state.devices.verify("phone", token, scopes)
    except StateError:
        return None


def test_every_damage_is_harmless(in_file) -> None:
    """Cut or flipped anywhere, the file lets nobody in who was not, and no error is unknown."""
    issued = issue(in_file, scopes=["operator.read"])
    whole = in_file.paths.devices.read_bytes()
    step = 1 if FULL else 23
    cuts = [whole[:length] for length in range(0, len(whole), step)]
    flips = []
    for place in range(0, len(whole), step):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        flips.append(bytes(flipped))

    for damaged in cuts + flips:
        in_file.paths.devices.write_bytes(damaged)
        os.utime(in_file.paths.devices, (0, 0))  # so that nobody waits for a writer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CorruptWarning)
            wider = verified(in_file, issued.token, ["operator.write"])
            assert (wider, verified(in_file, "x" * 43, [])) == (None, None)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=5), JSON), st.data())
def test_no_record_breaks_a_look(in_file, extra, data) -> None:
    """Whatever JSON stands in the place of members, looking gives devices or nothing."""
    issued = issue(in_file)
    whole = document(in_file)
    target = copy.deepcopy(whole)
    names = [*whole, *extra]
    for name, value in extra.items():
        target[data.draw(st.sampled_from(names))] = value
        target[name] = value
    in_file.paths.devices.write_text(json.dumps({"version": 1, "devices": {"phone": target}}))

    in_file.devices.paired(revoked=True)
    in_file.devices.malformed()
    found = in_file.devices.verify("phone", issued.token)
    in_file.devices.remove("phone")

    assert found is None or found.device_id == "phone"


def test_a_device_that_changed_meanwhile_is_left(state) -> None:
    """Who names the device as it was seen changes and removes that one alone."""
    state.devices.issue(device_id="phone", user_id="ada", name="old")
    seen = state.devices.get("phone")
    state.devices.rename("phone", "new", expect=seen)

    for change in (
        lambda: state.devices.rename("phone", "other", expect=seen),
        lambda: state.devices.remove("phone", expect=seen),
    ):
        with pytest.raises(ConflictError):
            change()

    assert state.devices.get("phone").name == "new"
    assert state.devices.remove("phone", expect=state.devices.get("phone"))
