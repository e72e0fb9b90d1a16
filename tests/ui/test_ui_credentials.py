"""The screen Credentials: secrets are kept and never shown, the order is set, rests are ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import sight as sight_of
from playwright.sync_api import expect
from running_gateway import Gateway

import clawstate

SECRET = "sk-proj-" + "Zq7" * 12


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Gateway]:
    """Start a gateway on a state with three credentials, one of which rests."""
    root = tmp_path / "state"
    with clawstate.open(root) as state:
        auth = state.auth()
        for name in ("openai:a", "openai:b"):
            auth.upsert(name, {"type": "api_key", "provider": "openai", "key": SECRET + name[-1]})
        auth.upsert("xai:t", {"type": "token", "provider": "xai", "token": SECRET + "t"})
        auth.mark_failure("openai:b", "rate_limit")
    with Gateway(root) as started:
        yield started


def test_a_secret_is_in_no_page_and_in_no_answer(browser, keys: Gateway) -> None:
    """What is typed goes into the body of one request; afterwards it is nowhere to be read."""
    told: list[str] = []
    with sight_of(browser, keys) as seen:
        page = seen.page
        page.on("response", lambda each: "/api/" in each.url and told.append(each.url))
        seen.open("/credentials")
        expect(page.get_by_role("listitem").filter(has_text="openai:a")).to_be_visible()
        seen.picture("credentials-desktop")
        assert seen.axe() == []
        page.keyboard.press("a")
        page.get_by_role("combobox", name="Name").fill("groq:work")
        page.locator("input[type=password]").fill(SECRET + "new")
        page.get_by_role("button", name="Keep it").click()
        expect(page.get_by_role("listitem").filter(has_text="groq:work")).to_be_visible()

        assert SECRET not in page.content()
        assert all(SECRET not in each for each in told)
    assert SECRET.encode() not in keys.get("/api/v1/auth/profiles").body
    with clawstate.open(keys.root) as state:
        assert state.auth().secret("groq:work") == SECRET + "new"


@pytest.mark.slow
def test_the_order_is_set_by_keyboard_and_a_rest_is_ended(browser, keys: Gateway) -> None:
    """Alt and an arrow move a credential; what rested is tried again at a press."""
    with sight_of(browser, keys) as seen:
        page = seen.open("/credentials")
        order = page.get_by_role("list", name="Order of openai").locator("li.order-row")
        expect(order.first).to_contain_text("openai:a")
        order.filter(has_text="openai:b").get_by_role("button", name="Try again").click()
        expect(order.filter(has_text="can be used")).to_have_count(2)
        order.filter(has_text="openai:b").focus()
        page.keyboard.press("Alt+ArrowUp")

        expect(order.first).to_contain_text("openai:b")
        expect(page.get_by_text("The order is kept")).to_be_visible()
    assert keys.get("/api/v1/auth/order/openai").json["stored"] == ["openai:b", "openai:a"]


@pytest.mark.slow
def test_who_only_reads_sees_no_way_to_change_credentials(browser, keys: Gateway) -> None:
    """Without its scope an action is not there, on a phone as well."""
    with sight_of(browser, keys, size="phone", scopes=("operator.read",)) as seen:
        page = seen.open("/credentials")
        expect(page.get_by_text("openai:b", exact=True).first).to_be_visible()
        seen.picture("credentials-phone")

        for name in ("Add", "Try again", "More for openai:a"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
