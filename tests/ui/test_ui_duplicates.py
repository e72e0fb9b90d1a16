"""The tab Near-duplicates of the screen Inbox: groups side by side, of which one or all stay."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect
from running_gateway import Gateway

import clawstate

DAY = "Ada drinks green tea in the {}, without sugar and before the first meeting of the day"
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"> he said \u202etxt.exe and left {} cups here"
)


@pytest.fixture
def pairs(gateway: Gateway) -> dict[str, list[str]]:
    """Have three groups anew, and return the ids of their records by what they are about."""
    with clawstate.open(gateway.root) as state:
        alike = [each for group in state.memory.duplicates() for each in group.records]
        state.memory.delete_many(alike)
        return {
            "tea": [state.memory.add(DAY.format(each)) for each in ("morning", "evening")],
            "key": [
                state.memory.add(f"The spare key is under pot{each}") for each in ("", " ", "")
            ],
            "odd": [state.memory.add(HOSTILE.format(each)) for each in ("seven", "eight")],
        }


def _left(gateway: Gateway, ids: list[str]) -> list[str]:
    found = gateway.post("/api/v1/memory/many/get", {"ids": ids}).json["records"]
    return [each["id"] for each in found]


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desktop", "light")])
def test_groups_stand_side_by_side_with_what_differs(sight, pairs, size, scheme) -> None:
    """Likeness, texts and marked differences are shown at every size; what is hostile is text."""
    with sight(size=size, color_scheme=scheme) as seen:
        page = seen.open("/inbox?tab=duplicates")
        tea = page.locator(".alike", has_text="green tea")
        expect(tea.locator("mark")).to_have_text(["morning", "evening"])
        expect(tea).to_contain_text("% alike")
        expect(page.locator(".alike", has_text="onerror")).to_contain_text("⟨")
        expect(page.locator(".alike", has_text="spare key")).to_contain_text("the same text")
        seen.picture(f"duplicates-{size}-{scheme}")

        assert page.title() != "owned"
        assert seen.axe() == []
        assert seen.overflow() == 0


def test_groups_are_settled_from_the_keyboard(sight, gateway: Gateway, pairs) -> None:
    """One stays and the others are its history, or are forgotten, or all stay; undo comes first."""
    first, second = pairs["tea"]
    with sight() as seen:
        page = seen.open("/inbox?tab=duplicates")
        groups = page.locator(".alike")
        expect(groups).to_have_count(3)
        # The most alike come first: the key, then the tea and the cups in some order.
        page.keyboard.press("r")
        expect(groups).to_have_count(2)
        page.keyboard.press("u")
        expect(groups).to_have_count(3)
        page.keyboard.press("r")
        expect(groups).to_have_count(2)
        while "green tea" not in page.locator(".alike.current").inner_text():
            page.keyboard.press("j")
        page.keyboard.press("l")
        expect(page.locator(".side.chosen")).to_contain_text("evening")
        page.keyboard.press("a")
        expect(groups).to_have_count(1)
        page.keyboard.press("b")
        expect(page.get_by_text("Nothing is there twice")).to_be_visible()
        assert _left(gateway, [first, *pairs["key"]]) == [first, *pairs["key"]]
        page.get_by_role("tab", name="Captured").click()  # who leaves has decided
        page.get_by_role("tab", name="Near-duplicates").click()
        expect(page.get_by_role("button", name="Show 1 that you kept")).to_be_visible()
        expect(page.get_by_text("memory duplicates --min-similarity 0.9")).to_be_visible()
        seen.picture("duplicates-empty")
        assert seen.axe() == []
        page.get_by_role("button", name="Show 1 that you kept").click()
        expect(groups).to_contain_text("cups here")
        until = time.monotonic() + 20
        while len(_left(gateway, [first, *pairs["key"]])) > 1 and time.monotonic() < until:
            page.wait_for_timeout(50)

    assert _left(gateway, pairs["key"]) == pairs["key"][:1]
    assert _left(gateway, pairs["odd"]) == pairs["odd"]
    assert _left(gateway, pairs["tea"]) == [second]
    versions = gateway.get(f"/api/v1/memory/history/{second}").json["versions"]
    assert [each["record"]["id"] for each in versions] == [first, second]


def test_who_may_only_read_settles_nothing(sight, pairs) -> None:
    """Without the scope to write, keys and buttons that settle are not there."""
    with sight(scopes=("operator.read",)) as seen:
        page = seen.open("/inbox?tab=duplicates")
        expect(page.locator(".alike")).to_have_count(3)
        page.keyboard.press("r")
        expect(page.get_by_role("button", name="Keep")).to_have_count(0)
        expect(page.locator(".alike")).to_have_count(3)
