from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from oauth_server import exchange_with, serving
from refresh_setting import ENGINES, ID, profile_of

import clawstate
from clawstate.doctor import examine
from clawstate.errors import InvalidError

AGENTS = ("main", "worker", "scout", "main")


@pytest.fixture(params=ENGINES)
def opened(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as state:
        yield state


@pytest.fixture
def server(clock):
    with serving(clock=clock) as made:
        yield made


def test_agents_that_inherit_a_login_share_its_refresh(opened, server):
    """One login is refreshed once, where it lies, whichever agents need it at once."""
    opened.auth().upsert(ID, profile_of(server.login()))
    exchange = exchange_with(server.port)

    with ThreadPoolExecutor(len(AGENTS)) as pool:
        landed = list(pool.map(lambda name: opened.auth(name).refresh(ID, exchange), AGENTS))

    assert server.requests == 1
    assert {each.access for each in landed} == {opened.auth().secret(ID)}
    assert opened.auth("worker").document() == opened.auth("scout").document()
    assert ID not in opened.auth("worker").document()["profiles"]


def test_a_login_of_its_own_is_refreshed_apart(opened, server):
    """An agent with a login of its own refreshes that one, and leaves the main agent's alone."""
    first, second = server.login(), server.login()
    opened.auth().upsert(ID, profile_of(first))
    opened.auth("worker").upsert(ID, profile_of(second))

    credential = opened.auth("worker").refresh(ID, exchange_with(server.port))

    assert opened.auth().require(ID).access == first["access_token"]
    assert opened.auth("worker").require(ID).access == credential.access


def test_storing_a_login_again_ends_a_refusal(opened, server):
    """A refused login is asked again when it is stored again, though its tokens are the same."""
    record = profile_of(server.login())
    opened.auth().upsert(ID, record)
    server.failing = 400, {"error": "invalid_grant"}
    with pytest.raises(InvalidError, match="log in again"):
        opened.auth().refresh(ID, exchange_with(server.port))
    server.failing = None

    opened.auth().upsert(ID, record)

    assert server.is_valid(opened.auth().refresh(ID, exchange_with(server.port)).access)


def test_removing_a_profile_leaves_nothing_of_its_refreshes(opened, server):
    """With a profile go the responses that were journalled for it."""
    opened.auth().upsert(ID, profile_of(server.login()))
    opened.auth().refresh(ID, exchange_with(server.port))
    folder = next(opened.paths.locks_dir.glob("auth/*/google%3ame"))
    (folder / "0123456789abcdef.answer").write_text("{}")

    opened.auth().remove(ID)

    assert list(folder.glob("*.answer")) == []


def test_answers_that_no_profile_holds_are_findings(opened):
    """The doctor names answers that were put aside, and those that wait to be stored."""
    opened.auth().upsert(ID, {**profile_of({"access_token": "a", "refresh_token": "r"})})
    with pytest.raises(InvalidError, match="it is kept as"):
        opened.auth().refresh(ID, lambda _: {"tokens": "opaque"})
    (aside,) = opened.paths.locks_dir.rglob("*.kept")
    waiting = aside.with_name("0123456789abcdef.answer")
    waiting.write_text('{"generation": "x", "answer": {"access_token": "b"}}')
    aside.with_name("fedcba9876543210.answer").write_text("  ")

    found = {each.code: each for each in examine(opened, deep=False) if "answer" in each.code}

    assert {code: each.path for code, each in found.items()} == {
        "answer-aside": str(aside),
        "answer-waiting": str(waiting),
    }
    assert {each.severity for each in found.values()} == {"info"}
