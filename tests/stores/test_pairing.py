from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clawstate
from clawstate.clock import to_ms
from clawstate.errors import (
    ConflictError,
    CorruptError,
    InvalidError,
    LimitError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from clawstate.stores.pairing import ALPHABET
from clawstate.stores.pairing.request import candidates, first_free, matching, normalise_code

TEN_YEARS = 10 * 365.25 * 86_400
RAW_KEY = bytes(range(32))
PUBLIC_KEY = base64.urlsafe_b64encode(RAW_KEY).decode().rstrip("=")
KEYED_ID = hashlib.sha256(RAW_KEY).hexdigest()


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def in_file(tmp_path, clock):
    with clawstate.open(tmp_path / "state", store="file", clock=clock) as opened:
        yield opened


def document(state):
    return json.loads(state.paths.pairing.read_bytes())


def devices_of(requests):
    return [each.device_id for each in requests]


def test_a_code_is_told_from_another_at_a_glance(state) -> None:
    """A code has eight characters of A to Z and 2 to 9, without I and O."""
    made = state.pairing.request(user_id="ada", device_id="phone")

    assert re.fullmatch("[A-HJ-NP-Z2-9]{8}", made.code)
    assert len(set(ALPHABET)) == 32


def test_the_file_is_the_one_specified(in_file, clock) -> None:
    """The document has exactly the specified members, and those asked for beyond them."""
    made = in_file.pairing.request(user_id="ada", device_id="phone", account_id="work")
    other = in_file.pairing.request(user_id="ada", device_id="tv")

    first = {"code": made.code, "userId": "ada", "deviceId": "phone", "createdAt": to_ms(clock())}
    second = {"code": other.code, "userId": "ada", "deviceId": "tv", "createdAt": to_ms(clock())}
    assert document(in_file) == {
        "version": 1,
        "requests": [{**first, "accountId": "work"}, second],
    }


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_private_whatever_the_umask(in_file, umask) -> None:
    """All that pairing and devices write is 0600 in directories of 0700."""
    before = os.umask(umask)
    try:
        made = in_file.pairing.request(user_id="ada", device_id="phone")
        in_file.pairing.approve(made.code)
        in_file.device_auth.set("gateway", "token")
    finally:
        os.umask(before)

    for path in in_file.paths.root.rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_asking_again_takes_no_second_place(state, clock) -> None:
    """The same user and device get the same code and keep their time."""
    first = state.pairing.request(user_id="ada", device_id="phone", scopes=["operator.read"])
    clock.advance(60)

    again = state.pairing.request(user_id="ada", device_id="phone")

    assert again == first
    assert len(state.pairing.pending()) == 1


def test_asking_for_more_is_another_code(state) -> None:
    """Nobody can change what a code stands for after somebody has read it."""
    first = state.pairing.request(user_id="ada", device_id="phone", scopes=["operator.read"])

    wider = state.pairing.request(user_id="ada", device_id="phone", scopes=["operator.write"])

    assert wider.code != first.code
    assert state.pairing.pending() == (wider,)
    with pytest.raises(NotFoundError):
        state.pairing.approve(first.code)


def test_the_fourth_is_refused(state) -> None:
    """At most three devices wait, and a refused one changes nothing."""
    made = [state.pairing.request(user_id="ada", device_id=f"d{n}") for n in range(3)]

    with pytest.raises(LimitError):
        state.pairing.request(user_id="ada", device_id="d3")

    assert sorted(devices_of(state.pairing.pending())) == devices_of(made)


def test_an_expired_request_frees_its_place(state, clock) -> None:
    """A full store accepts a new device once the oldest request has expired."""
    old = state.pairing.request(user_id="ada", device_id="d0")
    clock.advance(1800)
    for number in (1, 2):
        state.pairing.request(user_id="ada", device_id=f"d{number}")

    clock.advance(1801)

    state.pairing.request(user_id="ada", device_id="d3")
    assert devices_of(state.pairing.pending())[-1] == "d3"
    with pytest.raises(NotFoundError):
        state.pairing.approve(old.code)


def test_the_oldest_comes_first(state, clock) -> None:
    """Pending requests come in the order in which they were made."""
    for name in ("c", "a", "b"):
        state.pairing.request(user_id="ada", device_id=name)
        clock.advance(1)

    assert devices_of(state.pairing.pending()) == ["c", "a", "b"]


def test_settings_count_at_once(in_file, clock) -> None:
    """A changed limit, time or place counts with the next call."""
    in_file.pairing.request(user_id="ada", device_id="phone")

    in_file.config.set("pairing.limit", 1)
    with pytest.raises(LimitError):
        in_file.pairing.request(user_id="ada", device_id="tv")
    in_file.config.set("pairing.ttl", "10s")
    clock.advance(11)
    assert in_file.pairing.pending() == ()
    in_file.config.set("pairing.path", str(in_file.paths.root / "elsewhere" / "wanting.json"))
    in_file.pairing.request(user_id="ada", device_id="car")

    assert (in_file.paths.root / "elsewhere" / "wanting.json").exists()
    assert devices_of(in_file.pairing.pending()) == ["car"]


def test_the_place_may_lie_outside(in_file, tmp_path) -> None:
    """A path outside of the state directory is used as it is."""
    in_file.config.set("pairing.path", str(tmp_path / "shared" / "pairing.json"))

    made = in_file.pairing.request(user_id="ada", device_id="phone")

    assert made.code in (tmp_path / "shared" / "pairing.json").read_text()


def test_a_code_is_written_as_people_write_it(state) -> None:
    """Small letters, spaces and hyphens make no difference."""
    made = state.pairing.request(user_id="ada", device_id="phone")
    written = f" {made.code[:4].lower()}-{made.code[4:]} \n"

    assert state.pairing.approve(written).device_id == "phone"


def test_approval_lets_the_device_in(state) -> None:
    """The token that approval gives is good, for what was asked for, and the request is gone."""
    made = state.pairing.request(user_id="ada", device_id="phone", scopes=["operator.read"])

    issued = state.pairing.approve(made.code)

    found = state.devices.verify("phone", issued.token, ["operator.read"])
    assert (found.user_id, found.scopes) == ("ada", ("operator.read",))
    assert state.devices.verify("phone", issued.token, ["operator.write"]) is None
    assert state.pairing.pending() == ()


def test_a_code_is_good_once(state) -> None:
    """A used code is unknown, and using it twice is no guess that locks anybody out."""
    made = state.pairing.request(user_id="ada", device_id="phone")
    state.pairing.approve(made.code)

    for _ in range(30):
        with pytest.raises(NotFoundError, match="used already"):
            state.pairing.approve(made.code)

    assert len(state.devices.paired()) == 1


def test_a_request_that_outlived_its_approval_is_used(state) -> None:
    """A crash between approval and clearing away leaves no code that counts again."""
    made = state.pairing.request(user_id="ada", device_id="phone")
    requests = state.pairing._requests()
    kept = {each.key: each.value for each in requests.scan()}
    state.pairing.approve(made.code)
    requests.change_all(lambda _: (kept, None))  # as if it had not been cleared away

    assert state.pairing.pending() == ()
    for approve in (
        lambda: state.pairing.approve(made.code),
        lambda: state.pairing.approve_request("phone"),
        lambda: state.pairing.reject(made.code),
    ):
        with pytest.raises(NotFoundError):
            approve()
    assert state.devices.remove("phone")
    with pytest.raises(NotFoundError):
        state.pairing.approve(made.code)
    assert state.pairing.request(user_id="ada", device_id="phone").code != made.code


def test_approval_by_request(state) -> None:
    """A request can be approved without its code, if it is clear which one is meant."""
    state.pairing.request(user_id="ada", device_id="phone")
    state.pairing.request(user_id="bob", device_id="phone")
    with pytest.raises(ConflictError):
        state.pairing.approve_request("phone")
    with pytest.raises(NotFoundError):
        state.pairing.approve_request("tv")

    assert state.pairing.approve_request("phone", user_id="bob").device_id == "phone"

    assert state.devices.get("phone").user_id == "bob"


def test_a_rejected_code_is_gone(state) -> None:
    """A rejected request is returned once, and lets nobody in."""
    made = state.pairing.request(user_id="ada", device_id="phone")

    assert state.pairing.reject(made.code) == made

    with pytest.raises(NotFoundError):
        state.pairing.reject(made.code)
    with pytest.raises(NotFoundError):
        state.pairing.approve(made.code)
    assert state.devices.paired() == ()


def test_admin_has_to_be_named(state) -> None:
    """A device that asks for everything gets it only where the approving call says so."""
    made = state.pairing.request(user_id="eve", device_id="phone", scopes=["operator.admin"])

    with pytest.raises(InvalidError, match="named"):
        state.pairing.approve(made.code)
    issued = state.pairing.approve(made.code, scopes=["operator.admin"])

    assert state.devices.verify("phone", issued.token, ["operator.write"])


@pytest.mark.parametrize(
    ("caller", "granted"),
    [
        (["operator.read", "operator.write"], ["operator.read"]),  # may let nobody in
        (["operator.pairing", "operator.read"], ["operator.write"]),
        (["operator.pairing"], ["operator.admin"]),
        ([], []),
    ],
)
def test_nobody_grants_what_it_has_not(state, caller, granted) -> None:
    """An approver needs the right to pair and all that it grants; the request stays."""
    made = state.pairing.request(user_id="ada", device_id="phone")

    with pytest.raises(InvalidError, match="beyond"):
        state.pairing.approve(made.code, scopes=granted, caller_scopes=caller)

    assert state.devices.paired() == ()
    assert state.pairing.pending() == (made,)


def test_a_pairing_device_may_let_others_in(state) -> None:
    """An approver with the right to pair grants as much as it has."""
    made = state.pairing.request(user_id="ada", device_id="phone", scopes=["operator.read"])

    issued = state.pairing.approve(made.code, caller_scopes=["operator.pairing", "operator.write"])

    assert issued.scopes == ("operator.read",)


def test_a_paired_device_is_nobody_elses(state) -> None:
    """A request for the device of another user is refused, and its token stays good."""
    first = state.pairing.request(user_id="ada", device_id="phone")
    issued = state.pairing.approve(first.code)
    stolen = state.pairing.request(user_id="eve", device_id="phone")

    with pytest.raises(InvalidError, match="another user"):
        state.pairing.approve(stolen.code)

    assert state.devices.verify("phone", issued.token).user_id == "ada"


def test_pairing_anew_replaces_the_token(state) -> None:
    """The same user may pair a device again: the old token is good no more."""
    tokens = []
    for _ in range(2):
        made = state.pairing.request(user_id="ada", device_id="phone")
        tokens.append(state.pairing.approve(made.code).token)

    assert state.devices.verify("phone", tokens[0]) is None
    assert state.devices.verify("phone", tokens[1]) is not None


def test_a_key_speaks_for_its_id_only(state) -> None:
    """A public key is accepted only for the id that is its digest."""
    with pytest.raises(InvalidError, match="stands for"):
        state.pairing.request(user_id="ada", device_id="phone", public_key=PUBLIC_KEY)

    made = state.pairing.request(user_id="ada", device_id=KEYED_ID, public_key=PUBLIC_KEY)
    state.pairing.approve(made.code)

    assert state.devices.get(KEYED_ID).public_key == PUBLIC_KEY


@pytest.mark.parametrize("jump", [TEN_YEARS, -TEN_YEARS, 86_400, -86_400])
def test_a_clock_that_jumps_leaves_no_eternal_code(state, clock, jump) -> None:
    """After a jump of the clock a code is over, the store works, and nobody stays locked out."""
    made = state.pairing.request(user_id="ada", device_id="phone")
    for _ in range(6):
        with pytest.raises((NotFoundError, LimitError)):
            state.pairing.approve("AAAAAAAA")

    clock.advance(jump)

    assert state.pairing.pending() == ()
    with pytest.raises(NotFoundError):
        state.pairing.approve(made.code)
    fresh = state.pairing.request(user_id="ada", device_id="phone")
    assert state.devices.verify("phone", state.pairing.approve(fresh.code).token)


def test_a_clock_set_back_a_little_changes_nothing(state, clock) -> None:
    """A request from a moment ahead still waits."""
    made = state.pairing.request(user_id="ada", device_id="phone")

    clock.advance(-30)

    assert state.pairing.pending() == (made,)


def test_strange_items_are_passed_over(in_file) -> None:
    """What others left in the list is never returned, and never hinders."""
    strange = [
        7,
        {"code": "AAAAAAAA"},
        {"code": "BBBBBBBB", "userId": "u", "deviceId": "d", "createdAt": "yesterday"},
        {"code": "CCCCCCCC", "userId": "u", "deviceId": "d", "createdAt": 10**400},
        {"code": "DDDDDDDD", "userId": 1, "deviceId": [], "createdAt": 1},
        {"code": "EEEEEEEE", "userId": "u", "deviceId": "d", "createdAt": 1, "scopes": "all"},
        {"id": "4242", "createdAt": 0},
    ]
    in_file.paths.pairing.parent.mkdir(parents=True)
    in_file.paths.pairing.write_text(json.dumps({"version": 1, "requests": strange}))

    made = in_file.pairing.request(user_id="ada", device_id="phone")

    assert in_file.pairing.pending() == (made,)
    assert document(in_file)["requests"][0] == 7
    assert in_file.pairing.prune() == 0


def test_a_newer_format_is_left_alone(in_file) -> None:
    """A file of a newer format is neither read as something else nor overwritten."""
    text = '{"version": 2, "requests": {}}'
    in_file.paths.pairing.parent.mkdir(parents=True)
    in_file.paths.pairing.write_text(text)

    with pytest.raises(CorruptError):
        in_file.pairing.request(user_id="ada", device_id="phone")

    assert in_file.paths.pairing.read_text() == text


IDS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["../../etc/passwd", "a\0b", "a/b", "\ud800", "x" * 257, "\u202egnp.exe", "é", " a", "~"]
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(IDS, IDS, IDS, IDS), st.lists(IDS, max_size=3))
def test_ids_are_kept_or_refused(in_file, ids, scopes) -> None:
    """Any text is either kept as it is or refused with a typed error; no file is made for it."""
    user, device, account, name = ids
    for each in in_file.pairing.pending():
        in_file.pairing.approve_request(each.device_id, user_id=each.user_id, scopes=[])
        in_file.devices.remove(each.device_id)
    try:
        made = in_file.pairing.request(
            user_id=user, device_id=device, account_id=account, name=name, scopes=scopes
        )
    except InvalidError:
        assert in_file.pairing.pending() == ()
    else:
        assert in_file.pairing.pending() == (made,)
        assert (made.user_id, made.device_id, made.account_id) == (user, device, account)

    names = {each.name for each in in_file.paths.root.rglob("*.json")}
    assert names <= {"pairing.json", "devices.json"}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(), st.text("ABC23456789-", max_size=12)))
def test_no_text_is_a_code_but_the_code(in_file, clock, text) -> None:
    """Whatever is given as a code is a code or a typed error."""
    clock.advance(600)
    made = in_file.pairing.request(user_id="ada", device_id="phone")

    if normalise_code(text) != made.code:
        with pytest.raises(NotFoundError):
            in_file.pairing.approve(text)


def test_each_code_is_new(in_file) -> None:
    """A code that is taken is not given again, and if all are taken that is told."""
    offered = candidates()

    assert first_free(offered, offered[:3]) == offered[3]
    with pytest.raises(UnavailableError):
        first_free(offered, offered)


def test_codes_are_compared_whole() -> None:
    """Only the same code matches, whatever else is there."""
    assert matching("ABCDEFGH", ["ABCDEFGJ", "ABCDEFGH", "é"]) == "ABCDEFGH"
    assert matching("ABCDEFG", ["ABCDEFGH"]) is None
    assert matching("\ud800", ["ABCDEFGH"]) is None


def test_no_code_is_in_a_repr_or_an_error(state) -> None:
    """A request's repr and every error leave the code out."""
    made = state.pairing.request(user_id="ada", device_id="phone", scopes=["operator.admin"])
    said = [repr(made), repr(state.pairing.pending())]
    for attempt in (
        lambda: state.pairing.approve(made.code),
        lambda: state.pairing.approve(made.code, scopes=["a b"]),
        lambda: state.pairing.approve(made.code, scopes=["operator.read"], caller_scopes=[]),
        lambda: state.pairing.reject(made.code[:-1]),
        lambda: (state.pairing.reject(made.code), state.pairing.reject(made.code)),
    ):
        with pytest.raises(StateError) as caught:
            attempt()
        said += [repr(caught.value), str(caught.value)]

    assert not [each for each in said if made.code in each or made.code[:-1] in each]


def ask_from(state, source: str | None, device: str):
    return state.pairing.request(user_id="ada", device_id=device, source=source)


def test_one_address_cannot_keep_all_places(state, clock) -> None:
    """Of one address the oldest request gives way, so that another address finds a place."""
    for each in ("a", "b", "c", "d"):
        ask_from(state, "10.0.0.6", each)
        clock.advance(1)

    ask_from(state, "10.0.0.7", "phone")

    assert devices_of(state.pairing.pending()) == ["c", "d", "phone"]


def test_who_waited_long_gives_way_to_who_asks_over_the_network(state, clock) -> None:
    """Full places are free again after ten minutes for who asks over a network, whoever it was."""
    for number in range(3):
        ask_from(state, f"10.0.0.{number}", f"d{number}")
        clock.advance(1)
    with pytest.raises(LimitError):
        ask_from(state, "10.0.0.9", "phone")

    clock.advance(600)
    ask_from(state, "10.0.0.9", "phone")

    assert devices_of(state.pairing.pending()) == ["d1", "d2", "phone"]


def test_what_was_asked_on_the_machine_stays(state, clock) -> None:
    """A request without an address gives way to nobody, and the fourth of these is refused."""
    for each in ("a", "b", "c"):
        ask_from(state, None, each)
        clock.advance(1000)

    for source in (None, "10.0.0.9"):
        with pytest.raises(LimitError):
            ask_from(state, source, "phone")

    assert devices_of(state.pairing.pending()) == ["a", "b", "c"]


@pytest.mark.parametrize("scope", ["operator.reed", "banana"])
def test_a_scope_that_does_not_exist_is_granted_to_nobody(state, scope: str) -> None:
    """Neither a request nor an approval nor an invitation names a scope that nothing asks for."""
    made = state.pairing.request(user_id="ada", device_id="phone")
    for call in (
        lambda: state.pairing.request(user_id="ada", device_id="tablet", scopes=[scope]),
        lambda: state.pairing.approve(made.code, scopes=[scope]),
        lambda: state.device_flow.invite(scopes=[scope]),
        lambda: state.devices.issue(device_id="tablet", user_id="ada", scopes=[scope]),
    ):
        with pytest.raises(InvalidError, match="does not exist"):
            call()
