"""The screen Inbox: what was captured and waits for a person, and conflicts."""

from __future__ import annotations

import time

import pytest
from browsing import SIZES
from playwright.sync_api import expect
from running_gateway import Gateway

import clawstate

TEXTS = [
    "I prefer white tea in the morning <script>alert('owned')</script>",
    "My favourite colour is \u202eeulb, I always want it on walls",
    "I prefer trains over planes whenever there is the time",
    "I prefer aisle seats when I have to fly anywhere at all",
]


def _waiting(gateway: Gateway) -> set[str]:
    return {each["text"] for each in gateway.get("/api/v1/memory/inbox").json["items"]}


@pytest.fixture
def inbox(gateway: Gateway) -> list[str]:
    """Have texts of a stranger wait, and return them as they stand in the list."""
    with clawstate.open(gateway.root) as state:
        said = [{"role": "user", "content": each, "id": str(n)} for n, each in enumerate(TEXTS)]
        state.memory.capture(said, session="letters", who="Mallory", origin="untrusted")
    return [each["text"] for each in gateway.get("/api/v1/memory/inbox").json["items"]]


@pytest.mark.parametrize("size", SIZES)
def test_what_waits_says_why_and_does_nothing(sight, inbox, size) -> None:
    """A stranger's text is text, with whose it is and why it waits; nobody acts by reading."""
    for scheme in ("light", "dark"):
        with sight(size=size, color_scheme=scheme) as seen:
            page = seen.open("/inbox")
            expect(page.locator(".waits-item").first).to_contain_text("a stranger's")
            seen.picture(f"inbox-{size}-{scheme}")

            assert seen.axe() == []
            assert seen.overflow() == 0
    with sight(size=size, scopes=("operator.read",)) as seen:
        page = seen.open("/inbox")
        expect(page.locator(".waits-item").first).to_be_visible()
        page.keyboard.press("r")
        expect(page.get_by_role("button", name="Accept")).to_have_count(0)
        expect(page.locator(".waits-item")).to_have_count(len(inbox))


def test_the_inbox_is_emptied_from_the_keyboard(sight, gateway: Gateway, inbox) -> None:
    """Move, reject, undo, edit and accept, select and reject many; the navigation counts along."""
    with sight() as seen:
        page = seen.open("/inbox")
        rows = page.locator(".waits-item")
        expect(page.locator(".top .count")).to_contain_text(str(len(inbox)))
        page.keyboard.press("r")
        expect(rows).to_have_count(len(inbox) - 1)
        page.keyboard.press("u")
        expect(rows).to_have_count(len(inbox))
        page.keyboard.press("j")
        page.keyboard.press("e")
        page.get_by_label("What is remembered").fill("Blue walls, said Mallory")
        page.keyboard.press("Control+Enter")
        expect(rows).to_have_count(len(inbox) - 1)
        page.keyboard.press("Shift+X")
        expect(page.get_by_text(f"{len(inbox) - 1} selected")).to_be_visible()
        seen.picture("inbox-selected")
        page.keyboard.press("r")
        expect(page.get_by_text("Nothing waits")).to_be_visible()
        # Leaving the page tells what was decided, and the next one hears of it.
        page.goto(f"{gateway.url}/overview")
        end = time.monotonic() + 20
        while _waiting(gateway) and time.monotonic() < end:
            page.wait_for_timeout(100)

        assert _waiting(gateway) == set()
        expect(page.locator(".top .count")).to_have_count(0)
    newest = gateway.get("/api/v1/memory/records?limit=1").json["records"][0]
    assert newest["text"] == "Blue walls, said Mallory"


def test_of_two_that_took_the_place_of_one_the_right_one_is_kept(sight, gateway: Gateway) -> None:
    """A conflict shows both texts; keeping one puts the other into its history."""
    with clawstate.open(gateway.root) as state:
        old = state.memory.add("Ada lives in Oslo")
        first = state.memory.supersede(old, "Ada lives in Lisbon").id
        second = state.memory.supersede(old, "Ada lives in Kyoto").id
    with sight() as seen:
        page = seen.open("/inbox?tab=conflicts")
        expect(page.locator(".conflict")).to_contain_text("Ada lives in Kyoto")
        seen.picture("inbox-conflicts")
        assert seen.axe() == []
        page.locator(".side", has_text="Kyoto").get_by_role("button").click()
        expect(page.get_by_text("Nothing contradicts itself")).to_be_visible()
    found = gateway.post("/api/v1/memory/many/get", {"ids": [first, second]}).json["records"]
    assert [each["id"] for each in found] == [second]
