"""What providers answer: good tokens are kept whatever else is said, in either engine."""

from __future__ import annotations

import json
from collections import UserDict
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from refresh_setting import ENGINES, ID, Place

from clawstate.clock import to_ms
from clawstate.errors import InvalidError, StateError, UnavailableError
from clawstate.stores.auth.credentials import OAuth

HOUR = 3600
FIRST = {"access_token": "access-0", "refresh_token": "refresh-0"}


class Strict:
    """A provider whose refresh tokens can be used once, and who adds something to each answer."""

    def __init__(self, added, shape=dict):
        self.added = added
        self.shape = shape
        self.count = 0
        self.revoked = False

    def __call__(self, credential):
        if self.revoked or credential.refresh != f"refresh-{self.count}":
            self.revoked = True
            return {"error": "invalid_grant"}
        self.count += 1
        pair = {"access_token": f"access-{self.count}", "refresh_token": f"refresh-{self.count}"}
        return self.shape({**pair, **self.added})


class Unreadable(dict):
    """Members of it raise."""

    def __getitem__(self, name):
        if name == "broken":
            raise RuntimeError(name)
        return super().__getitem__(name)


class Pair(NamedTuple):
    access_token: str
    refresh_token: str


class Scope(Warning):
    def __init__(self, token):
        super().__init__("scope has changed")
        self.token = token


def raising(made):
    raise made


@pytest.fixture(params=ENGINES)
def place(request, tmp_path):
    return Place(tmp_path, request.param).fill(FIRST)


@pytest.fixture
def refresher(place, clock):
    with place.opened(clock=clock) as made:
        yield made


LIFETIMES = [
    {},
    *(
        {"expires_in": each}
        for each in (
            0,
            -1,
            True,
            None,
            "soon",
            "",
            [],
            {"a": 1},
            float("nan"),
            float("inf"),
            -float("inf"),
            10**400,
            10**5000,
            1e12,
            Decimal("NaN"),
            1_800_003_600,
        )
    ),
    *(
        {"expires": each}
        for each in (0, 1, -7, "tomorrow", [], float("nan"), 10**30, 1_700_000_000)
    ),
    {"expires_in": 0, "expires": 0},
]


@pytest.mark.parametrize("added", LIFETIMES, ids=range(len(LIFETIMES)))
def test_a_lifetime_that_cannot_be_costs_no_token(place, refresher, clock, added):
    """Tokens with an unusable lifetime are kept, used for an hour, and then renewed."""
    provider = Strict(added)
    first = refresher.refresh(ID, provider)
    assert (first.access, first.refresh, first.expires) == (
        "access-1",
        "refresh-1",
        clock() + HOUR,
    )

    assert refresher.refresh(ID, provider).access == "access-1"
    clock.advance(HOUR)
    assert refresher.refresh(ID, provider).access == "access-2"

    assert refresher.refresh(ID, provider, force=True).access == "access-3"
    assert not provider.revoked
    assert list(place.locks.rglob("*.*")) == []


@pytest.mark.parametrize(
    ("added", "lasts"),
    [
        ({"expires_in": 900}, 900),
        ({"expires_in": "900"}, 900),
        ({"expires_in": " 900.5 "}, 900.5),
        ({"expires_in": Decimal(900)}, 900),
        ({"expires_in": 0, "expires": 1_800_000_900_000}, 900),
        ({"expires": 1_800_000_900_000}, 900),
        ({"expires": 1_800_000_900}, 900),
        ({"expires": 1_800_000_900_000_000}, 900),
        ({"expires": 1_800_000_900_000_000_000}, 900),
        ({"expires_at": 1_800_000_900.5}, 900.5),
        ({"expiresAt": "2027-01-15T08:15:00Z"}, 900),
        ({"expiry": datetime(2027, 1, 15, 8, 15, tzinfo=UTC)}, 900),
    ],
    ids=range(12),
)
def test_a_lifetime_is_understood(refresher, clock, added, lasts):
    """The end of a token is read as seconds from now, or as a moment in any unit, or as a date."""
    credential = refresher.refresh(ID, Strict(added))

    assert credential.expires == clock() + lasts


@pytest.mark.parametrize(
    "added",
    [
        {"scope": None},
        {"scope": ["a", {"b": 7}]},
        {"error": ""},
        {"error": None},
        {"error": "temporarily_unavailable"},
        {"error": "invalid_grant"},
        {"email": 7},
        {"token_type": []},
        {7: 8, None: object(), (1, 2): {3}},
        {"id_token": "x" * 5_000_000},
        {"extra": float("nan"), "more": 10**5000},
        {"deep": json.loads("[" * 500 + "]" * 500)},
        {"half": "\ud800"},
        {"access": 7, "accessToken": ""},
    ],
    ids=range(14),
)
def test_what_else_an_answer_says_costs_no_token(place, refresher, added):
    """Odd members beside good tokens are no reason to throw those away."""
    provider = Strict(added)

    for number in (1, 2, 3):
        assert refresher.refresh(ID, provider, force=True).access == f"access-{number}"

    assert place.record()["refresh"] == "refresh-3"
    assert not provider.revoked


@pytest.mark.parametrize(
    "shape",
    [
        json.dumps,
        lambda pair: json.dumps(pair).encode(),
        lambda pair: b"\xef\xbb\xbf" + json.dumps(pair).encode(),
        lambda pair: "&".join("=".join(each) for each in pair.items()),
        lambda pair: {name: value.encode() for name, value in pair.items()},
        lambda pair: {"data": pair, "ok": True},
        lambda pair: [pair],
        lambda pair: {"accessToken": pair["access_token"], "refreshToken": pair["refresh_token"]},
        lambda pair: SimpleNamespace(**pair),
        lambda pair: SimpleNamespace(json=lambda: pair),
        lambda pair: OAuth(
            provider="google", access=pair["access_token"], refresh=pair["refresh_token"]
        ),
        UserDict,
        lambda pair: Unreadable({**pair, "broken": 1}),
        lambda pair: raising(Scope(pair)),
        lambda pair: json.loads("\ufeff" + json.dumps(pair)),
        lambda pair: {name: f" {value}\r\n" for name, value in pair.items()},
        lambda pair: Pair(**pair),
    ],
    ids=range(17),
)
def test_tokens_are_found_in_whatever_form_they_come(place, refresher, shape):
    """JSON as text, a form, nested or other objects: no form of good tokens is lost."""
    provider = Strict({}, shape)

    for number in (1, 2):
        assert refresher.refresh(ID, provider, force=True).access == f"access-{number}"

    assert place.record()["refresh"] == "refresh-2"
    assert not provider.revoked


@pytest.mark.parametrize(
    "access", [None, "", "  ", 7, "é", "a\nb", ["x"], "x" * 70_000], ids=range(8)
)
def test_a_refresh_token_without_an_access_token_is_kept(place, refresher, access):
    """A rotated refresh token is stored though nothing else is good; the next answer is used."""
    provider = Strict({"access_token": access})
    with pytest.raises(UnavailableError, match="no usable access token"):
        refresher.refresh(ID, provider)
    assert place.record()["refresh"] == "refresh-2"
    provider.added = {}

    credential = refresher.refresh(ID, provider)

    assert credential.access == "access-3"
    assert not provider.revoked


@pytest.mark.parametrize(
    "refresh", [7, ["refresh-1"], {"value": "refresh-1"}, "é" * 9], ids=range(4)
)
def test_an_access_token_with_a_doubtful_refresh_token_is_used(place, refresher, refresh):
    """The good half of an answer is used, and the whole stays where a person can look at it."""
    credential = refresher.refresh(ID, Strict({"refresh_token": refresh}))

    assert (credential.access, credential.refresh) == ("access-1", "refresh-0")
    kept = [json.loads(each.read_text()) for each in place.locks.rglob("*.kept")]
    assert [each["answer"]["refresh_token"] for each in kept] == [refresh]


@pytest.mark.parametrize(
    "said",
    [
        {"tokens": "opaque-1234"},
        "<html>opaque-1234",
        ["opaque-1234"],
        {"access_token": ["opaque"] * 2},
    ],
    ids=range(4),
)
def test_an_answer_that_nobody_understands_is_never_thrown_away(place, refresher, said):
    """It is kept aside, privately, and told; the refreshes that work later leave it there."""
    with pytest.raises(InvalidError, match=r"no usable access token|not an object") as caught:
        refresher.refresh(ID, lambda _: said)
    kept = list(place.locks.rglob("*.kept"))
    assert [json.loads(each.read_text())["answer"] for each in kept] == [said]
    assert kept[0].stat().st_mode & 0o777 == 0o600
    assert str(kept[0]) in str(caught.value)

    refresher.refresh(ID, Strict({}))

    assert list(place.locks.rglob("*.kept")) == kept
    refresher.forget(ID)
    assert list(place.locks.rglob("*.*")) == []


def test_nonsense_does_not_pile_up(place, refresher):
    """Of answers without a token the first sixteen stay."""
    for number in range(40):
        with pytest.raises(StateError):
            refresher.refresh(ID, lambda _, number=number: f"<html> page {number}", force=True)

    kept = [json.loads(each.read_text())["answer"] for each in place.locks.rglob("*.kept")]

    assert sorted(kept) == sorted(f"<html> page {number}" for number in range(16))


@pytest.mark.parametrize("torn", [b'{"generation": "x", "answer": {"acc', b"\xff\xfe broken text"])
def test_a_torn_answer_is_put_aside(place, refresher, torn):
    """What cannot be read of a file that a crash left is kept, and blanks are not."""
    folder = place.locks / "google%3ame"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "0123.answer").write_bytes(torn)
    (folder / "4567.answer").write_bytes(b" " * 4096)
    (folder / "89ab.room").write_bytes(b"")

    refresher.refresh(ID, Strict({}))

    assert [each.read_bytes() for each in place.locks.rglob("*.*")] == [torn]


def test_answers_are_followed_from_one_to_the_next(place, refresher, clock):
    """Of several answers that were never stored each is found by the token that it answers."""
    provider = Strict({})
    keep = {}

    def copying(credential):
        said = provider(credential)
        keep[credential.refresh] = (
            next(place.locks.rglob("*.answer")),
            place.record()["refreshPending"]["generation"],
            said,
        )
        return said

    refresher.refresh(ID, copying)
    refresher.refresh(ID, copying, force=True)
    for path, generation, said in reversed(keep.values()):
        document = {"generation": generation, "receivedAt": to_ms(clock()), "answer": said}
        path.write_text(json.dumps(document))
    place.fill(FIRST)

    credential = refresher.refresh(ID, lambda _: pytest.fail("the provider was asked"))

    assert (credential.access, credential.refresh) == ("access-2", "refresh-2")
    assert place.answers() == []


def test_a_token_that_came_under_a_wrong_clock_is_renewed(refresher, clock):
    """Once the clock is right again, a token of the years ahead is believed no longer."""
    provider = Strict({"expires_in": HOUR})
    clock.advance(5 * 365 * 86400)
    refresher.refresh(ID, provider)

    clock.advance(-5 * 365 * 86400)
    credentials = [refresher.refresh(ID, provider) for _ in range(3)]

    assert {each.access for each in credentials} == {"access-2"}
    assert credentials[0].expires == clock() + HOUR


def test_a_login_that_was_stored_under_a_wrong_clock_is_renewed(tmp_path, clock):
    """A renewable token that is to last for years is renewed once, and used if that fails."""
    place = Place(tmp_path, "file").fill(FIRST, expires=clock() + 5 * 365 * 86400)
    provider = Strict({})
    with place.opened(clock=clock) as refresher:
        refused = refresher.refresh(ID, lambda _: {"error": "invalid_grant"})
        renewed = [refresher.refresh(ID, provider, force=number == 0) for number in range(3)]

    assert refused.access == "access-0"
    assert {each.access for each in renewed} == {"access-1"}
