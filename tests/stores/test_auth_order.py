from __future__ import annotations

import itertools

import pytest

from clawstate.stores.auth.availability import Candidates, resolve_order
from clawstate.stores.auth.credentials import ApiKey, OAuth, Token
from clawstate.stores.auth.refresh_marks import generation_of
from clawstate.stores.auth.settings import AuthSettings, Declared
from clawstate.stores.auth.usage import Usage

NOW = 1_800_000_000.0
REFERENCE = {"source": "env", "provider": "default", "id": "X"}
FIRST, SECOND = ApiKey(provider="openai", key="1"), ApiKey(provider="openai", key="2")
TOKEN = Token(provider="openai", token="t")
LOGIN = OAuth(provider="openai", access="a")
ALL = {"o:key": FIRST, "o:token": TOKEN, "o:login": LOGIN}


def order(credentials, *, orders=None, usage=None, settings=None, **options):
    seen = Candidates(credentials, orders or {}, usage or {})
    return resolve_order("openai", seen, settings or AuthSettings(), NOW, **options)


def test_renewable_credentials_come_first() -> None:
    """Without an order, logins come before tokens, and tokens before keys."""
    for ids in itertools.permutations(ALL):
        assert order({each: ALL[each] for each in ids}) == ("o:login", "o:token", "o:key")


def test_equals_take_turns() -> None:
    """Among equals the one that was used longest ago comes first, an unused one before it."""
    keys = dict.fromkeys(("o:a", "o:b", "o:c", "o:d"), FIRST)
    used = {"o:a": NOW - 5, "o:b": NOW - 9, "o:d": NOW + 10**9}

    found = order(keys, usage={each: Usage(last_used=moment) for each, moment in used.items()})

    assert found == ("o:c", "o:b", "o:a", "o:d")


def test_who_rests_comes_last() -> None:
    """Resting profiles are the last, the next to be free before the others."""
    usage = {
        "o:login": Usage(cooldown_until=NOW + 90),
        "o:token": Usage(disabled_until=NOW + 30),
    }

    assert order(ALL, usage=usage) == ("o:key", "o:token", "o:login")
    explicit = {"openai": ("o:login", "o:token", "o:key")}
    assert order(ALL, usage=usage, orders=explicit) == ("o:key", "o:token", "o:login")


def test_a_kept_order_counts_before_the_configuration() -> None:
    """The order that was set wins over the configuration's, and that over declared profiles."""
    declared = {each: Declared("openai", ALL[each].type) for each in ("o:key", "o:login")}
    configured = AuthSettings(order={"OpenAI": ("o:token", "o:key")}, profiles=declared)

    assert order(ALL, orders={"openai": ("o:key",)}, settings=configured) == ("o:key",)
    assert order(ALL, settings=configured) == ("o:token", "o:key")
    assert order(ALL, settings=AuthSettings(profiles=declared)) == ("o:login", "o:key")


def test_one_list_orders_all_providers() -> None:
    """A list of the configuration orders the profiles of each provider that it names."""
    others = {**ALL, "x:a": ApiKey(provider="xai", key="x")}
    listed = AuthSettings(order=("x:a", "o:key", "o:token"))

    assert order(others, settings=listed) == ("o:key", "o:token")
    assert order(ALL, settings=AuthSettings(order=("x:a",))) == ("o:login", "o:token", "o:key")


def test_what_is_declared_must_be_so() -> None:
    """A declared profile is used only with the type it was declared with; a token may log in."""
    for mode, expected in (
        ("token", ("o:token",)),
        ("oauth", ("o:token",)),
        ("api_key", ()),
    ):
        settings = AuthSettings(profiles={"o:token": Declared("openai", mode)})
        assert order({"o:token": TOKEN}, settings=settings) == expected
    elsewhere = AuthSettings(profiles={"o:token": Declared("xai", "token")})
    assert order({"o:token": TOKEN}, settings=elsewhere) == ()


def test_declared_profiles_that_are_all_missing_hide_nothing() -> None:
    """Where none of the declared or listed profiles exists, all others take part."""
    settings = AuthSettings(profiles={"o:gone": Declared("openai", "oauth")})

    assert order(ALL, settings=settings) == ("o:login", "o:token", "o:key")
    assert order(ALL, settings=settings, orders={"openai": ("o:old",)})[0] == "o:key"
    assert order(ALL, orders={"openai": ("o:old",)}) == ()


@pytest.mark.parametrize(
    "credential",
    [
        ApiKey(provider="openai"),
        ApiKey(provider="openai", key=" "),
        Token(provider="openai"),
        Token(provider="openai", token="t", expires=NOW),
        OAuth(provider="openai"),
        ApiKey(provider="xai", key="k"),
    ],
    ids=repr,
)
def test_what_cannot_be_used_is_left_out(credential) -> None:
    """Empty, expired and foreign credentials are in no order."""
    assert order({"o:a": credential, "o:b": SECOND}) == ("o:b",)


@pytest.mark.parametrize(
    "credential",
    [
        ApiKey(provider="openai", key_ref=REFERENCE),
        Token(provider="openai", token_ref=REFERENCE),
        Token(provider="openai", token="t", expires=NOW + 1),
        OAuth(provider="openai", refresh="r"),
        OAuth(provider="openai", access="a", expires=NOW - 1),
        ApiKey(provider=" OpenAI ", key="k"),
    ],
    ids=repr,
)
def test_what_may_be_used_is_in(credential) -> None:
    """A reference counts as a secret, and a login can be renewed."""
    assert order({"o:a": credential}) == ("o:a",)


def test_other_names_of_a_provider_mean_the_same() -> None:
    """Names that OpenClaw takes for another one are that one, in orders as well."""
    keys = {"z:a": ApiKey(provider="z.ai", key="1"), "z:b": ApiKey(provider="zai", key="2")}

    seen = Candidates(keys, {"Z-AI": ("z:b", "z:a")}, {})

    assert resolve_order("zai", seen, AuthSettings(), NOW) == ("z:b", "z:a")


def test_a_preferred_profile_comes_first() -> None:
    """A preferred profile is tried first even while it rests, but not if it cannot be used."""
    usage = {"o:key": Usage(cooldown_until=NOW + 5)}

    assert order(ALL, usage=usage, preferred="o:key") == ("o:key", "o:login", "o:token")
    assert order(ALL, preferred="o:gone") == ("o:login", "o:token", "o:key")


def test_each_profile_comes_once() -> None:
    """An id that is listed twice is tried once."""
    assert order(ALL, orders={"openai": ("o:key", "o:login", "o:key")}) == ("o:key", "o:login")


def test_a_refused_login_is_passed_over() -> None:
    """A profile that its provider refused to renew takes part until its access token expires."""
    mark = {"nonce": "n", "generation": generation_of("r", "n"), "final": True}

    def login(expires: float, refresh: str = "r") -> OAuth:
        marked = {"refreshFailed": mark}
        return OAuth(provider="openai", access="a", refresh=refresh, expires=expires, extra=marked)

    assert order({"o:login": login(NOW + 1)}) == ("o:login",)
    assert order({"o:login": login(NOW)}) == ()
    assert order({"o:login": login(NOW, refresh="another")}) == ("o:login",)
