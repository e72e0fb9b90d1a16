"""The screen Config: its form and its text, where each change can be taken back."""

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
        page = seen.open("/config?tab=text")
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


FORM = """{
  // Asked for by the whole family.
  logging: { level: "info" },
  $include: "./more.json5",
  gateway: {
    auth: { mode: "token", token: "kept-as-it-is-0123456789" },
    trustedProxies: ["10.0.0.1"],
  },
}
"""
MORE = "{ gateway: { tools: { deny: ['exec'] }, channelHealthCheckMinutes: 5 } } // of the network"


@pytest.fixture
def formed(tmp_path: Path) -> Iterator[Gateway]:
    """Start a gateway on a configuration with a secret, comments and an included file."""
    root = tmp_path / "state"
    with clawstate.open(root) as state:
        state.config.set("logging.level", "info")
        state.config.path.write_text(FORM)
        (state.config.path.parent / "more.json5").write_text(MORE)
    with Gateway(root) as started:
        yield started


def test_a_form_changes_one_key_and_nothing_else(browser, formed: Gateway) -> None:
    """A changed key is compared, saved and undone; comments and the secret beside it stay."""
    file = formed.root / "openclaw.json"
    with sight_of(browser, formed, size="phone") as seen:
        page = seen.open("/config")
        expect(page.get_by_text("more.json5:1")).to_have_count(2)
        assert "kept-as-it-is" not in page.content()
        page.get_by_role("combobox", name="logging.level").select_option("debug")
        page.get_by_role("textbox", name="gateway.trustedProxies").fill("10.0.0.1\n10.0.0.2")
        page.get_by_role("spinbutton", name="gateway.channelHealthCheckMinutes").fill("-1")
        expect(page.get_by_role("alert")).to_contain_text("less than may be")
        expect(page.get_by_role("button", name="See what changes")).to_be_disabled()
        page.get_by_role("button", name="Leave gateway.channelHealthCheckMinutes").click()
        seen.picture("config-form-phone")

        page.get_by_role("button", name="See what changes").click()
        expect(page.get_by_role("dialog")).to_contain_text('logging.level: "debug"')
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()

        wanted = FORM.replace('"info"', '"debug"')
        assert file.read_text().startswith(wanted[: wanted.index("trustedProxies")])
        assert "10.0.0.2" in file.read_text()
        assert "kept-as-it-is-0123456789" in file.read_text()
        page.get_by_role("button", name="Undo", exact=True).click()
        expect(page.get_by_text("Undone")).to_be_visible()
        assert file.read_text() == FORM


@pytest.mark.slow
def test_a_setting_is_found_added_and_removed(browser, formed: Gateway) -> None:
    """Search finds what is not set by its words; it is set, replaced where secret, and removed."""
    with sight_of(browser, formed) as seen:
        page = seen.open("/config")
        page.get_by_role("searchbox", name="Find a setting").fill("TCP port")
        page.get_by_role("button", name="Set gateway.port").click()
        page.get_by_role("spinbutton", name="gateway.port").fill("18999")
        page.get_by_role("searchbox", name="Find a setting").fill("")
        page.get_by_role("button", name="Replace gateway.auth.token").click()
        page.get_by_label("gateway.auth.token", exact=True).fill("another-secret-987654")
        page.get_by_role("button", name="Remove logging.level").click()
        page.keyboard.press("Control+s")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("gateway.port: 18999")
        expect(dialog).not_to_contain_text("987654")
        seen.picture("config-form-review")
        dialog.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
        seen.picture("config-form")
        assert seen.axe() == []
    with clawstate.open(formed.root) as state:
        assert state.config.get("gateway.port") == 18999
        assert state.config.secret("gateway.auth.token") == "another-secret-987654"
        assert "level" not in state.config.text()
        assert "// Asked for by the whole family." in state.config.text()


@pytest.mark.slow
def test_who_was_slower_is_told_and_overwrites_nobody(browser, formed: Gateway, run_on) -> None:
    """A key that somebody else set since it was shown is not overwritten."""
    with sight_of(browser, formed) as seen:
        page = seen.open("/config")
        page.get_by_role("combobox", name="logging.level").select_option("debug")
        page.get_by_role("button", name="See what changes").click()
        run_on(formed.root, "config", "set", "logging.level", '"warn"')
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("Somebody changed it meanwhile")
        seen.problems.clear()
    with clawstate.open(formed.root) as state:
        assert state.config.get("logging.level") == "warn"
