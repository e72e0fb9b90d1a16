"""The screen Timeline: what changed on a day, what was known, and one thing made what it was."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from browsing import SIZES
from browsing import sight as sight_of
from playwright.sync_api import expect
from running_gateway import Gateway

import clawstate

DAY = 86_400.0


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Start a gateway on a state that changed on some days."""
    root = tmp_path_factory.mktemp("timeline") / "state"
    clock = Clock(time.time() - 3 * DAY)
    with clawstate.open(root, clock=clock) as state:
        record = state.memory.add("The dentist is Dr. Gray")
        secret = state.memory.add("planted-secret-to-forget")
        clock.now += DAY
        state.memory.update(record, text="The dentist is Dr. Wu")
        state.memory.delete(secret)
        state.sessions.resolve("telegram:42")
        clock.now += 10
        state.sessions.update("telegram:42", {"label": "Family"})
        state.config.set("gateway.port", 18790)
    with Gateway(root) as started:
        yield started


def day_of(page, days_ago: int) -> str:
    """Return the day as the address has it, of where the browser is."""
    script = f"""(() => {{ const d = new Date(Date.now() - {days_ago} * 86400000);
        const two = (n) => String(n).padStart(2, "0");
        return `${{d.getFullYear()}}-${{two(d.getMonth() + 1)}}-${{two(d.getDate())}}`; }})()"""
    return page.evaluate(script)


@pytest.mark.parametrize("size", SIZES)
def test_a_day_tells_what_changed_and_what_was_known(browser, lived: Gateway, size: str) -> None:
    """The changes of the day in the address, of what was forgotten only that; the records then."""
    with sight_of(browser, lived, size=size) as seen:
        page = seen.open("/timeline")
        expect(page.get_by_text("Nothing changed on this day")).to_be_visible()

        page.goto(f"{lived.url}/timeline?day={day_of(page, 2)}")
        changes = page.locator(".moves > li")
        expect(changes).to_have_count(5)
        expect(changes.filter(has_text="Dr. Wu")).to_contain_text("Dr. Gray")
        expect(changes.filter(has_text="forgotten")).to_contain_text("1 memory")
        expect(page.locator("main")).not_to_contain_text("planted-secret")
        seen.picture(f"timeline-day-{size}")
        assert seen.axe() == []
        assert seen.overflow() == 0

        page.get_by_label("Show").select_option("sessions")
        expect(changes).to_have_count(2)
        page.keyboard.press("[")
        expect(page.get_by_text("Nothing changed on this day")).to_be_visible()
        page.get_by_role("tab", name="What was known").click()
        expect(page.locator(".moves")).to_contain_text("Dr. Gray")
        assert "show=known" in page.url
        assert f"day={day_of(page, 3)}" in page.url


def test_a_record_is_made_what_it_was_and_back(browser, lived: Gateway) -> None:
    """After a comparison; and undone from the message that tells it."""
    with sight_of(browser, lived) as seen:
        page = seen.open("/overview")
        page.goto(f"{lived.url}/timeline?day={day_of(page, 2)}&part=memory")
        page.locator(".moves > li").filter(has_text="Dr. Wu").get_by_role(
            "button", name="Make it as before"
        ).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("The dentist is Dr. Wu")
        expect(dialog).to_contain_text("The dentist is Dr. Gray")
        seen.picture("timeline-restore")
        dialog.get_by_role("button", name="Make it so").click()
        expect(page.get_by_text("It is what it was")).to_be_visible()
        with clawstate.open(lived.root) as state:
            assert [each.text for each in state.memory.page()] == ["The dentist is Dr. Gray"]

        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("It is what it was")).to_be_hidden()
        with clawstate.open(lived.root) as state:
            assert [each.text for each in state.memory.page()] == ["The dentist is Dr. Wu"]


def test_who_may_only_read_restores_nothing(browser, lived: Gateway) -> None:
    """The changes are there, the buttons are not."""
    with sight_of(browser, lived, scopes=("operator.read",)) as seen:
        page = seen.open("/overview")
        page.goto(f"{lived.url}/timeline?day={day_of(page, 2)}")
        expect(page.locator(".moves > li")).to_have_count(5)

        expect(page.get_by_role("button", name="Make it as before")).to_have_count(0)


def test_the_overview_shows_growth(browser, lived: Gateway) -> None:
    """Plots of what is kept, each with its last value for who sees none."""
    with sight_of(browser, lived) as seen:
        page = seen.open("/overview")

        expect(page.get_by_role("img", name="Memories, Memories 1")).to_be_visible()
        expect(page.get_by_role("heading", name="Activity by day")).to_be_visible()
        seen.picture("overview-growth")
