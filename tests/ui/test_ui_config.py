"""The screen Config: the text is edited as it is written, and each change can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import sight as sight_of
from playwright.sync_api import expect
from running_gateway import Gateway

import clawstate

TEXT = """{
  // Asked for by the whole family.
  logging: { level: "info" },
}
"""


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Gateway]:
    """Start a gateway on a state whose configuration was written by hand."""
    root = tmp_path / "state"
    with clawstate.open(root) as state:
        state.config.set("logging.level", "info")
        state.config.path.write_text(TEXT)
    with Gateway(root) as started:
        yield started


def test_the_text_is_edited_compared_saved_and_put_back(browser, written: Gateway) -> None:
    """A broken text is refused and names its line; a right one is compared, saved and undone."""
    with sight_of(browser, written) as seen:
        page = seen.open("/config")
        box = page.get_by_role("textbox", name="Text of the configuration")
        expect(box).to_have_value(TEXT)

        box.fill(TEXT.replace('"info" },', '"info" '))
        page.keyboard.press("Control+s")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("line")
        seen.problems.clear()  # the browser itself notes each refused request
        with clawstate.open(written.root) as state:
            assert state.config.path.read_text() == TEXT

        box.fill(TEXT.replace("info", "warn"))
        page.get_by_role("button", name="See what changes").click()
        expect(page.get_by_role("dialog")).to_contain_text("warn")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
        with clawstate.open(written.root) as state:
            assert state.config.path.read_text() == TEXT.replace("info", "warn")

        page.get_by_role("tab", name="History").click()
        page.locator(".changes").get_by_role("button", name="Undo").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Put back").click()
        expect(page.get_by_text("Put back; that is")).to_be_visible()
        seen.picture("config-history")
    with clawstate.open(written.root) as state:
        assert state.config.path.read_text() == TEXT
