"""The frame of the web UI: signing in, navigation, keys, a lost connection."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from browsing import SIZES, wait_until
from browsing import sight as sight_of
from playwright.sync_api import expect
from running_gateway import Gateway

import clawstate

_KEY = """() => new Promise((done) => {
    indexedDB.open("clawstate").onsuccess = (event) => {
        const kept = event.target.result.transaction("keys").objectStore("keys").get("device");
        kept.onsuccess = () => done(kept.result.privateKey.extractable);
    };
})"""

PAGES = (
    "/",
    "/?q=green+tea",
    "/overview",
    "/map",
    "/sessions",
    "/inbox",
    "/devices",
    "/doctor",
    "/credentials",
    "/timeline",
    "/timeline?show=known",
    "/config",
    "/config?tab=text",
    "/config?tab=history",
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_usable_by_everybody_at_each_size(sight, path, size) -> None:
    """A page has no serious fault by axe, light or dark, and is as wide as its window."""
    with sight(size=size, color_scheme="light") as seen:
        page = seen.open(path)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(300)
            seen.picture(f"{re.sub('[^a-z]', '', path) or 'home'}-{size}-{scheme}")

            assert seen.axe() == []
            assert seen.overflow() == 0


@pytest.mark.parametrize("size", SIZES)
def test_who_is_not_signed_in_is_told_how(sight, size) -> None:
    """Without a token the page names the command that gives a link, and offers pairing."""
    with sight(size=size, scopes=None) as seen:
        page = seen.open("/overview")
        seen.picture(f"sign-in-{size}")

        expect(page.get_by_text("clawstate gateway open")).to_be_visible()
        expect(page.get_by_role("button", name="Pair this browser")).to_be_visible()
        assert seen.axe() == []
        assert seen.overflow() == 0


def test_the_link_of_the_gateway_signs_in_and_leaves_the_address(sight, gateway: Gateway) -> None:
    """The ticket in the fragment is given for a token, and stays neither in address nor history."""
    ticket = gateway.post("/api/v1/sign-in/tickets").json["ticket"]
    with sight(scopes=None) as seen:
        seen.page.goto(f"{gateway.url}/overview#token={ticket}")
        expect(seen.page.get_by_role("heading", name="Overview")).to_be_visible()

        assert ticket not in seen.page.url
        seen.page.reload()
        expect(seen.page.get_by_role("heading", name="Overview")).to_be_visible()


@pytest.mark.slow
def test_a_browser_pairs_as_a_device_that_only_reads(sight, gateway: Gateway) -> None:
    """A browser asks with a key of its own, shows a code, and reads once it is approved."""
    with sight(scopes=None) as seen:
        page = seen.open("/overview")
        page.get_by_role("button", name="Pair this browser").click()
        code = page.locator(".code-shown").inner_text()
        gateway.post("/api/v1/pairing/approve", {"code": code})

        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        expect(page.get_by_text("read only")).to_be_visible()
        assert page.evaluate(_KEY) is False


def test_ctrl_k_reaches_a_screen_and_the_focus_returns(sight) -> None:
    """From the keyboard alone: Ctrl-K, some letters, Enter; Escape gives the focus back."""
    with sight() as seen:
        page = seen.open("/overview")
        page.get_by_role("link", name="Overview").focus()
        page.keyboard.press("Control+k")
        expect(page.get_by_role("combobox")).to_be_focused()
        page.keyboard.press("Escape")

        expect(page.get_by_role("link", name="Overview")).to_be_focused()
        page.keyboard.press("Control+k")
        expect(page.get_by_role("combobox")).to_be_focused()
        page.keyboard.type("shortc")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()


@pytest.mark.slow
def test_a_lost_connection_is_told_and_heals(browser, tmp_path: Path) -> None:
    """While the gateway is away a banner says so; when it is back the page goes on by itself."""
    root = tmp_path / "state"
    with Gateway(root) as first, sight_of(browser, first) as seen:
        page = seen.open("/overview")
        port = first.url.rpartition(":")[2]
        first.stop()
        expect(page.get_by_text("Connection lost")).to_be_visible()
        with Gateway(root, "--port", port):
            expect(page.get_by_text("Connection lost")).to_be_hidden()
            with clawstate.open(root) as state:
                state.memory.add("Ada prefers green tea")
            expect(page.locator(".tile").first).to_have_text("1memories")
        # What the network refused meanwhile is what this was about.
        seen.problems = [each for each in seen.problems if "ERR_" not in each]


@pytest.mark.slow
def test_what_could_not_be_asked_is_asked_once_it_can(browser, tmp_path: Path) -> None:
    """A search that failed while the gateway was away is answered when it is back, by itself."""
    root = tmp_path / "state"
    with clawstate.open(root) as state:
        state.memory.add("Ada prefers green tea")
    with Gateway(root) as first, sight_of(browser, first) as seen:
        page = seen.open("/")
        port = first.url.rpartition(":")[2]
        first.stop()
        page.get_by_role("searchbox").fill("green")
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        with Gateway(root, "--port", port):
            expect(page.locator("mark").first).to_have_text("green")
        seen.problems = [each for each in seen.problems if "ERR_" not in each and "/ws" not in each]


@pytest.mark.slow
def test_the_page_opens_without_the_gateway(browser, tmp_path: Path) -> None:
    """Once it was open the page comes from the browser itself, and says that it is alone."""
    with Gateway(tmp_path / "state") as started, sight_of(browser, started) as seen:
        page = seen.open("/overview")
        wait_until(page, "navigator.serviceWorker.controller !== null")
        started.stop()
        page.reload()

        expect(page.get_by_text("Connection lost")).to_be_visible()
        expect(page.get_by_role("link", name="Overview")).to_be_visible()
        seen.problems = [each for each in seen.problems if "ERR_" not in each]


def test_files_are_kept_for_ever_and_the_page_is_asked_for_again(gateway: Gateway) -> None:
    """A file lies under a digest of all files, and is packed; the page itself is revalidated."""
    page = gateway.get("/", token=None)
    link = re.search(rb'src="(/ui/[^"]+main.js)"', page.body)[1].decode()
    script = gateway.get(link, token=None, headers={"Accept-Encoding": "gzip"})

    assert "immutable" in script.headers["Cache-Control"]
    assert b"import" in gzip.decompress(script.body)
    assert page.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": page.headers["ETag"]}
    assert gateway.get("/", token=None, headers=known).status == 304
    assert gateway.get("/ui/another/main.js", token=None).status == 404


def test_a_page_runs_nothing_but_the_files_of_the_gateway(gateway: Gateway) -> None:
    """The policy has no place for scripts or styles within a page, and there are none."""
    page = gateway.get("/", token=None)

    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert not re.findall(rb"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", page.body)


def test_paths_of_programs_are_no_pages(gateway: Gateway) -> None:
    """A wrong path or method of the API is told as ever, also to who takes a page."""
    asks = {"Accept": "text/html"}

    assert gateway.get("/api/v1/none", headers=asks).error == "not_found"
    assert gateway.get("/api/v1/memory/search", headers=asks).status == 405
    assert gateway.get("/sessions/abc", token=None, headers=asks).status == 200
    assert gateway.get("/sessions/abc", token=None).status == 404


def test_commands_on_a_page_are_for_the_state_that_it_shows(sight, gateway: Gateway) -> None:
    """A command that a page names opens the state of the page, wherever that lies."""
    told = gateway.get("/api/v1/sign-in").json["command"]
    assert told == f"clawstate --state-dir {gateway.root}"
    with sight() as seen:
        page = seen.open("/inbox")

        expect(page.locator(".command code")).to_have_text(
            f"{told} memory capture conversation.jsonl"
        )


def test_two_browsers_of_a_kind_have_different_names(gateway: Gateway) -> None:
    """A browser that is called as another device is gets a number."""
    names = []
    for _ in range(3):
        ticket = gateway.post("/api/v1/sign-in/tickets").json["ticket"]
        asked = {"ticket": ticket, "name": "Lynx on Plan 9"}
        token = gateway.post("/api/v1/sign-in", asked, token=None).json["token"]
        names.append(gateway.get("/api/v1/sign-in", token=token).json["name"])

    assert names == ["Lynx on Plan 9", "Lynx on Plan 9 (2)", "Lynx on Plan 9 (3)"]


def test_the_page_can_be_installed(gateway: Gateway) -> None:
    """Its manifest names icons as PNG of the sizes that systems ask for, and they are there."""
    icons = gateway.get("/manifest.webmanifest", token=None).json["icons"]

    found = {(each["sizes"], each["purpose"]) for each in icons if each["type"] == "image/png"}
    assert found == {(f"{n}x{n}", of) for n in (192, 512) for of in ("any", "maskable")}
    for each in icons:
        assert gateway.get(each["src"], token=None).body[:4] in {b"\x89PNG", b"<svg"}


@pytest.mark.slow
def test_a_backup_is_made_and_proven_from_the_page(browser, tmp_path: Path) -> None:
    """Health makes a backup at the press of a button, and tells that it was proven."""
    root = tmp_path / "state"
    with clawstate.open(root) as state:
        state.memory.add("Ada prefers green tea")
    with Gateway(root) as started, sight_of(browser, started) as seen:
        page = seen.open("/doctor")
        page.get_by_role("button", name="Back up now").click()

        expect(page.get_by_text("A backup was made")).to_be_visible()
        expect(page.locator(".backups")).to_contain_text("proven")
        assert seen.axe() == []
        seen.picture("health-backups")
