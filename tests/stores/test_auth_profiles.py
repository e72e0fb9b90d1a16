from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import clawstate
from clawstate.clock import to_ms
from clawstate.errors import (
    ClosedError,
    ConflictError,
    CorruptError,
    CorruptWarning,
    InvalidError,
    LockTimeoutError,
    NotFoundError,
    UnavailableError,
    VersionError,
)
from clawstate.files.lock import FileLock
from clawstate.stores.auth.credentials import ApiKey, AuthProblem, OAuth, Token
from clawstate.stores.auth.usage import UNUSED, Usage

KEY = {"type": "api_key", "provider": "openai", "key": "sk-1"}
LOGIN = {"type": "oauth", "provider": "openai", "access": "a", "refresh": "r"}
NAME = "openai:default"


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def auth(state):
    return state.auth()


@pytest.fixture
def files(tmp_path, clock):
    with clawstate.open(tmp_path / "state", store="file", clock=clock) as opened:
        yield opened


@pytest.fixture
def path(files) -> Path:
    found = files.paths.auth_profiles("main")
    found.parent.mkdir(parents=True)
    return found


def write(path, **document):
    path.write_text(json.dumps({"version": 1, **document}))


def ids(profiles):
    return [profile.id for profile in profiles.profiles()]


def test_a_new_state_has_no_credentials(auth, tmp_path) -> None:
    """Looking at what does not exist finds nothing, fails at nothing and creates nothing."""
    assert auth.profiles() == ()
    assert auth.get(NAME) is None
    assert auth.order("openai") == ()
    assert auth.usage(NAME) == UNUSED
    assert auth.problems() == ()
    assert auth.document() == {"version": 1, "profiles": {}}
    assert not (tmp_path / "state").exists()
    assert not auth.remove(NAME)
    for missing in (auth.require, auth.secret, auth.mark_used, auth.mark_good, auth.rests_until):
        with pytest.raises(NotFoundError, match="clawstate auth list"):
            missing(NAME)


def test_what_is_stored_is_found(auth, state) -> None:
    """A credential is found by its id, at once and by who opens the state next."""
    stored = auth.upsert(NAME, {**KEY, "key": " sk-\n1 ", "more": [1]})

    assert stored == ApiKey(provider="openai", key="sk-1", extra={"more": [1]})
    assert auth.get(NAME) == auth.require(NAME) == stored
    assert auth.secret(NAME) == "sk-1"
    with clawstate.open(state.paths.root, store=state._context.backends.store) as other:
        assert other.auth("MAIN ").get(NAME) == stored


def test_a_credential_replaces_the_one_before(auth) -> None:
    """Nothing of the old credential is left in a new one."""
    auth.upsert(NAME, {**KEY, "email": "ada@example.com", "more": 1})

    auth.upsert(NAME, {**KEY, "key": "sk-2"})
    assert auth.document()["profiles"] == {NAME: {**KEY, "key": "sk-2"}}

    auth.upsert(NAME, OAuth(provider="openai", access="a", expires=1.5))
    wanted = {"type": "oauth", "provider": "openai", "access": "a", "expires": 1500}
    assert auth.document()["profiles"] == {NAME: wanted}


def test_profiles_come_with_how_they_fared(auth, clock) -> None:
    """The profiles come by id, each with its credential, type, provider and usage."""
    auth.upsert("xai:b", {"type": "token", "provider": "xai", "token": "t"})
    auth.upsert("openai:a", KEY)
    auth.mark_used("xai:b")

    first, second = auth.profiles()

    assert (first.id, first.type, first.provider) == ("openai:a", "api_key", "openai")
    assert (first.origin, first.usage) == ("own", UNUSED)
    assert second.credential == Token(provider="xai", token="t")
    assert second.usage == Usage(last_used=clock())
    assert "sk-1" not in repr(auth.profiles())


def test_a_removed_profile_leaves_nothing(auth) -> None:
    """With a profile go its usage and its places in orders."""
    for name in (NAME, "openai:other"):
        auth.upsert(name, KEY)
    auth.set_order("openai", [NAME, "openai:other"])
    auth.mark_failure(NAME, "timeout")
    auth.mark_good(NAME)

    assert auth.remove(NAME)
    assert not auth.remove(NAME)

    assert auth.document() == {
        "version": 1,
        "profiles": {"openai:other": KEY},
        "order": {"openai": ["openai:other"]},
        **({} if "lastGood" not in auth.document() else {"lastGood": {}}),
        **({} if "usageStats" not in auth.document() else {"usageStats": {}}),
    }


@pytest.mark.parametrize(
    "profile_id",
    [
        "",
        "openai",
        ":x",
        "openai:",
        "open\nai:x",
        "a:\x00",
        "a: b",
        " a:b",
        "a:" + "b" * 300,
        "a:\ud800",
        7,
        None,
    ],
    ids=lambda name: repr(name)[:20],
)
def test_a_strange_id_is_refused(auth, profile_id) -> None:
    """An id is `provider:name`, of bounded length and without control characters."""
    with pytest.raises(InvalidError, match="profile id"):
        auth.upsert(profile_id, KEY)
    assert auth.document()["profiles"] == {}


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {**KEY, "type": "password"},
        {**KEY, "type": None},
        {**KEY, "type": ["api_key"]},
        {"type": "api_key", "key": "sk-1"},
        {**KEY, "provider": " "},
        {**KEY, "provider": "x" * 200},
        {**KEY, "provider": "a\nb"},
        {"type": "api_key", "provider": "openai"},
        {**KEY, "key": " \n"},
        {**KEY, "key": 7},
        {**KEY, "key": "x" * 70_000},
        {**KEY, "email": 7},
        {**KEY, "metadata": {"a": 1}},
        {**KEY, "keyRef": 7},
        {**KEY, "more": "x" * 300_000},
        {**KEY, "more": object()},
        {"type": "token", "provider": "x", "token": "t", "expires": "soon"},
        {"type": "oauth", "provider": "x", "access": "a", "expires": 10**300},
        {"type": "oauth", "provider": "x"},
        ApiKey(provider="openai", key="x" * 70_000),
        "sk-1",
        None,
    ],
    ids=lambda value: repr(value)[:50],
)
def test_what_is_no_credential_is_refused(auth, credential) -> None:
    """What cannot be a credential is refused with an error that shows no secret."""
    with pytest.raises(InvalidError) as caught:
        auth.upsert(NAME, credential)

    assert "sk-1" not in str(caught.value)
    assert auth.document()["profiles"] == {}


def test_an_expired_credential_has_no_secret(auth, clock) -> None:
    """What has expired is not handed out; a minute before it is."""
    auth.upsert(NAME, {**LOGIN, "expires": to_ms(clock() + 60)})
    assert auth.secret(NAME) == "a"

    clock.advance(60)

    with pytest.raises(UnavailableError, match=r"expired at 2027-.*; refresh it"):
        auth.secret(NAME)


def test_marks_are_kept_and_decide_the_order(auth, clock) -> None:
    """A failure sends a profile to the end until its rest is over, a success to its turn."""
    for name in ("openai:a", "openai:b"):
        auth.upsert(name, KEY)

    failed = auth.mark_failure("openai:a", "rate_limit")
    assert failed == auth.usage("openai:a")
    assert auth.rests_until("openai:a") == clock() + 60
    assert auth.order("openai") == ("openai:b", "openai:a")
    assert auth.end_rest("openai:a").error_count == 0
    assert auth.rests_until("openai:a") is None
    auth.mark_failure("openai:a", "rate_limit")
    clock.advance(60)
    assert auth.rests_until("openai:a") is None
    assert auth.order("openai") == ("openai:a", "openai:b")
    auth.mark_used("openai:a")
    assert auth.order("openai") == ("openai:b", "openai:a")
    assert auth.usage("openai:a").error_count == 0
    assert auth.order("openai", preferred="openai:a") == ("openai:a", "openai:b")


def test_a_router_is_never_marked_as_failed(auth) -> None:
    """A failure of OpenRouter leaves no trace, and an unknown reason is an error all the same."""
    auth.upsert("openrouter:x", {**KEY, "provider": "openrouter"})

    assert auth.mark_failure("openrouter:x", "billing") == UNUSED
    assert "usageStats" not in auth.document()
    with pytest.raises(InvalidError, match="reason"):
        auth.mark_failure("openrouter:x", "boredom")


def test_a_new_secret_starts_afresh(auth) -> None:
    """Storing another secret ends the rest of a profile; storing the same one does not."""
    auth.upsert(NAME, KEY)
    auth.mark_failure(NAME, "auth_permanent")

    auth.upsert(NAME, {**KEY, "email": "ada@example.com"})
    assert auth.rests_until(NAME) is not None

    auth.upsert(NAME, {**KEY, "key": "sk-2"})
    assert auth.rests_until(NAME) is None
    assert auth.usage(NAME) == UNUSED


def test_an_order_is_set_and_taken_back(auth) -> None:
    """An order that was set counts until it is taken back, by whichever name of the provider."""
    for name in ("zai:a", "zai:b"):
        auth.upsert(name, {**KEY, "provider": "z.ai"})

    auth.set_order("z.ai", ["zai:b", "zai:b", "zai:a"])
    assert auth.stored_order("zai") == auth.order("Z-AI") == ("zai:b", "zai:a")
    assert auth.document()["order"] == {"zai": ["zai:b", "zai:a"]}

    auth.set_order("zai", None)
    assert auth.stored_order("zai") is None
    assert auth.order("zai") == ("zai:a", "zai:b")


def test_an_order_names_profiles_of_its_provider(auth) -> None:
    """Unknown profiles, foreign ones and text are refused, and the order stays."""
    auth.upsert(NAME, KEY)
    auth.upsert("xai:a", {**KEY, "provider": "xai"})
    auth.set_order("openai", [NAME])

    with pytest.raises(NotFoundError):
        auth.set_order("openai", ["openai:gone"])
    with pytest.raises(InvalidError, match="'xai'"):
        auth.set_order("openai", ["xai:a"])
    with pytest.raises(InvalidError, match="list"):
        auth.set_order("openai", NAME)
    with pytest.raises(InvalidError, match="provider"):
        auth.set_order(" ", [NAME])

    assert auth.stored_order("openai") == (NAME,)


def test_the_last_good_profile_is_remembered(auth) -> None:
    """The profile that worked last is kept for its provider."""
    auth.upsert(NAME, KEY)

    auth.mark_good(NAME)

    assert auth.last_good("openai") == NAME
    assert auth.document()["lastGood"] == {"openai": NAME}
    assert auth.last_good("xai") is None


def test_the_configuration_decides_where_nothing_was_set(auth, state) -> None:
    """Order, declared profiles and cooldowns of the configuration count as soon as they change."""
    for name in ("openai:a", "openai:b"):
        auth.upsert(name, KEY)

    state.config.set("auth.order", ["openai:b"])
    assert auth.order("openai") == ("openai:b",)
    state.config.set("auth.order", {"openai": ["openai:b", "openai:a"]})
    assert auth.order("openai") == ("openai:b", "openai:a")
    state.config.unset("auth.order")
    state.config.set("auth.profiles", {"openai:a": {"provider": "openai", "mode": "api_key"}})
    assert auth.order("openai") == ("openai:a",)
    state.config.set("auth.cooldowns.billingBackoffHours", 2)
    now = auth.mark_failure("openai:a", "billing")
    assert now.disabled_until == now.last_failure_at + 2 * 3600


def test_secrets_are_resolved_once(auth, state, monkeypatch) -> None:
    """A reference is resolved when its secret is first asked for, and again after a reload."""
    asked = state.paths.root / "asked"
    program = state.paths.root / "secret.sh"
    auth.upsert(NAME, {"type": "api_key", "provider": "openai", "keyRef": REFERENCE})
    program.write_text(f"#!/bin/sh\necho x >> {asked}\ncat > /dev/null\nprintf found")
    program.chmod(0o700)
    provider = {"source": "exec", "command": str(program), "jsonOnly": False}
    state.config.set("secrets.providers.vault", provider)

    def count():
        return asked.read_text().count("x")

    assert [auth.secret(NAME) for _ in range(3)] == ["found"] * 3
    assert count() == 1
    auth.mark_used(NAME)
    auth.mark_failure(NAME, "timeout")
    auth.upsert("openai:other", KEY)
    assert (auth.order("openai"), auth.secret(NAME)) == (("openai:other", NAME), "found")
    assert count() == 1
    auth.reload()
    assert (auth.secret(NAME), count()) == ("found", 2)
    auth.upsert(NAME, {"type": "api_key", "provider": "openai", "keyRef": REFERENCE, "email": "a"})
    assert (auth.secret(NAME), count()) == ("found", 3)


REFERENCE = {"source": "exec", "provider": "vault", "id": "openai"}


def test_values_are_kept_until_their_record_changes(auth, state) -> None:
    """Usage evicts no credential from memory; a change of the credential does."""
    for name in (NAME, "openai:other"):
        auth.upsert(name, KEY)
    before = auth.get(NAME), auth.get("openai:other")

    auth.mark_used(NAME)
    with clawstate.open(state.paths.root, store=state._context.backends.store) as other:
        other.auth().mark_failure("openai:other", "timeout")
        other.auth().upsert("openai:other", {**KEY, "key": "sk-2"})

    assert auth.get(NAME) is before[0]
    assert auth.get("openai:other").key == "sk-2"
    auth.reload()
    assert auth.get(NAME) is not before[0]


def test_what_was_handed_out_cannot_change_what_is_kept(auth) -> None:
    """A document is a copy of the caller's own."""
    auth.upsert(NAME, {**KEY, "more": [1]})

    auth.document()["profiles"][NAME]["more"].append(2)

    assert auth.document()["profiles"][NAME]["more"] == [1]


def test_a_closed_state_has_no_credentials(auth, state) -> None:
    """After the state was closed every look is an error, whatever is in memory."""
    auth.upsert(NAME, KEY)
    auth.secret(NAME)

    state.close()

    for look in (auth.profiles, lambda: auth.secret(NAME), lambda: auth.upsert(NAME, KEY)):
        with pytest.raises(ClosedError):
            look()


def test_an_unknown_view_is_refused(auth) -> None:
    """A document is the own one or the merged one."""
    with pytest.raises(InvalidError, match="merged"):
        auth.document("all")


def test_the_file_is_private_and_of_the_specified_form(files) -> None:
    """The file has mode 0600 in directories of mode 0700, and is the text OpenClaw writes."""
    os.umask(0o022)
    files.auth().upsert(NAME, KEY)
    path = files.paths.auth_profiles("main")

    assert path.read_text() == json.dumps({"version": 1, "profiles": {NAME: KEY}}, indent=2) + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent, files.paths.root):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_is_not_understood_stays_in_the_file(files, path) -> None:
    """Unknown members, types and sections survive a change, are reported, and hide no other."""
    strange = {
        "profiles": {
            "b:odd": {"type": "passkey", "provider": "b", "more": {"deep": [1]}},
            NAME: KEY,
            "c:broken": 7,
            "d:blank": {"type": "oauth"},
        },
        "zebra": {"a": 1},
        "usageStats": ["not", "an", "object"],
        "lastGood": {"openai": 7},
        "order": {"openai": "x", "xai": [7, "x:a"]},
    }
    write(path, **strange)
    auth = files.auth()

    auth.upsert("xai:new", {**KEY, "provider": "xai"})

    written = json.loads(path.read_text())
    assert written == {
        "version": 1,
        **strange,
        "profiles": {**strange["profiles"], "xai:new": {**KEY, "provider": "xai"}},
    }
    assert list(written) == ["version", *strange]
    assert ids(auth) == [NAME, "xai:new"]
    found = {(each.place, each.key): each.reason for each in auth.problems()}
    assert found == {
        ("profiles", "b:odd"): "has a type that is not known",
        ("profiles", "c:broken"): "is no object",
        ("profiles", "d:blank"): "names no provider",
        ("usageStats", ""): "is no object; it is kept as it is",
        ("lastGood", "openai"): "is no text",
        ("order", "openai"): "is no list of profiles",
    }


def test_a_broken_profile_can_be_replaced_or_removed(files, path) -> None:
    """What cannot be understood is asked for in vain, and goes when it is told to."""
    write(path, profiles={"a:odd": {"type": "passkey", "provider": "a"}, "b:odd": 7})
    auth = files.auth()

    assert auth.get("a:odd") is None
    with pytest.raises(InvalidError, match="type that is not known"):
        auth.require("a:odd")
    auth.upsert("a:odd", KEY)
    assert auth.remove("b:odd")

    assert json.loads(path.read_text())["profiles"] == {"a:odd": KEY}
    assert auth.problems() == ()


def test_a_section_of_another_kind_is_not_overwritten(files, path) -> None:
    """A mark that has no place is an error, and what stood there stays."""
    write(path, profiles={NAME: KEY}, usageStats=[1])
    before = path.read_bytes()

    with pytest.raises(InvalidError, match="usageStats: is a list"):
        files.auth().mark_used(NAME)

    assert path.read_bytes() == before
    assert files.auth().order("openai") == (NAME,)
    assert files.auth().problems() == (
        AuthProblem("usageStats", "", "is no object; it is kept as it is"),
    )


@pytest.mark.parametrize("damage", ["", "null", "{", '{"profiles": []}', "[]", '{"profiles": 7}'])
def test_a_damaged_file_is_never_overwritten(files, path, damage) -> None:
    """Reading goes on with what was good before; changing is an error and changes nothing."""
    path.write_text(damage)
    os.utime(path, (0, 0))

    with pytest.warns(CorruptWarning, match=r"auth-profiles\.json"):
        assert files.auth().profiles() == ()
    with pytest.raises(CorruptError, match=r"clawstate doctor|restore it"):
        files.auth().upsert(NAME, KEY)

    assert path.read_text() == damage


def test_a_newer_format_is_left_alone(files, path) -> None:
    """A document of a later version is neither read nor written."""
    path.write_text('{"version": 2, "profiles": {}}')

    with pytest.raises(VersionError):
        files.auth().profiles()
    with pytest.raises(VersionError):
        files.auth().upsert(NAME, KEY)


def test_a_locked_store_can_be_read(tmp_path, clock) -> None:
    """While somebody holds the lock, orders and secrets are there, and a mark is an error."""
    with clawstate.open(tmp_path, store="file", clock=clock, lock_timeout=0.05) as state:
        auth = state.auth()
        auth.upsert(NAME, KEY)

        with ThreadPoolExecutor() as pool, FileLock(state.paths.auth_profiles("main")):
            assert pool.submit(auth.order, "openai").result() == (NAME,)
            assert pool.submit(auth.secret, NAME).result() == "sk-1"
            with pytest.raises(LockTimeoutError):
                pool.submit(auth.mark_used, NAME).result()


def test_changes_of_other_programs_are_seen_at_once(files, path) -> None:
    """Each look sees what another program wrote last."""
    auth = files.auth()
    for number in range(3):
        write(path, profiles={NAME: {**KEY, "key": f"sk-{number}"}})
        assert auth.secret(NAME) == f"sk-{number}"
    path.unlink()
    assert auth.profiles() == ()


def test_a_credential_that_changed_meanwhile_is_left(state) -> None:
    """Who names the credential as it was seen replaces and removes that one alone."""
    store = state.auth()
    first, second, third = (ApiKey(provider="openai", key=f"sk-{number}") for number in (1, 2, 3))
    seen = store.upsert("openai:me", first)
    store.upsert("openai:me", second, expect=seen)

    with pytest.raises(ConflictError):
        store.upsert("openai:me", third, expect=seen)
    with pytest.raises(ConflictError):
        store.remove("openai:me", expect=seen)

    assert store.secret("openai:me") == "sk-2"
    assert store.remove("openai:me", expect=store.get("openai:me"))


def test_an_order_that_changed_meanwhile_is_left(auth) -> None:
    """Who names the order as it was seen replaces that one alone; `()` expects none."""
    for name in ("openai:a", "openai:b"):
        auth.upsert(name, KEY)
    auth.set_order("openai", ["openai:b"], expect=())
    with pytest.raises(ConflictError):
        auth.set_order("openai", ["openai:a"], expect=())
    with pytest.raises(ConflictError):
        auth.set_order("openai", None, expect=["openai:a"])

    assert auth.stored_order("openai") == ("openai:b",)
    auth.set_order("openai", None, expect=["openai:b"])
    assert auth.stored_order("openai") is None
