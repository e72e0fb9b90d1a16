"""The screen Sessions: finding, reading and clearing up conversations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browsing import SIZES
from playwright.sync_api import expect
from running_gateway import Gateway
from seeding import HOSTILE

import clawstate

KEY = "agent:main:reading"
DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def session(gateway: Gateway) -> str:
    """Return a session with everything that a transcript may hold, and a branch."""
    with clawstate.open(gateway.root) as state:
        session = state.sessions.resolve(KEY).session_id
        call = {"type": "toolCall", "id": "c1", "name": "read_file", "arguments": {"path": "a.md"}}
        turn = [
            {"role": "user", "content": "Remember that I prefer white tea from Fujian."},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Tea?"}, call]},
            {
                "role": "toolResult",
                "toolCallId": "c1",
                "toolName": "read_file",
                "content": [{"type": "text", "text": "line\n" * 500}],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": HOSTILE["markup"] + HOSTILE["direction"]},
                    {"type": "image", "mimeType": "image/png", "data": DOT},
                    {"type": "image", "mimeType": "image/svg+xml", "data": DOT},
                ],
            },
            {"role": "user", "content": HOSTILE["languages"]},
        ]
        ids = state.transcripts.append(session, turn)
        said = [{"role": "user", "content": turn[0]["content"], "id": ids[0]}]
        assert state.memory.capture(said, session=session).records
        state.transcripts.append(session, [{"role": "user", "content": "Again"}], parent=ids[0])
    return session


@pytest.mark.parametrize("size", SIZES)
def test_a_session_is_readable_by_everybody_and_nothing_in_it_acts(sight, session, size) -> None:
    """All that was said is text, folded where it is long, and a picture is only shown on demand."""
    for scheme in ("light", "dark"):
        with sight(size=size, color_scheme=scheme) as seen:
            page = seen.open(f"/sessions/{session}")
            expect(page.get_by_text("<script>alert('owned')</script>")).to_be_visible()
            seen.picture(f"session-{size}-{scheme}")

            assert "owned" not in page.title()
            assert seen.axe() == []
            assert seen.overflow() == 0
    with sight(size=size) as seen:
        page = seen.open(f"/sessions/{session}")
        page.locator("summary", has_text="read_file").click()
        expect(page.get_by_text('"path": "a.md"')).to_be_visible()
        page.get_by_role("button", name="Show the picture").click()
        expect(page.locator(".picture img")).to_have_js_property("naturalWidth", 1)
        expect(page.get_by_text("not shown: image/svg+xml")).to_be_visible()
        seen.picture(f"session-open-{size}")


def test_a_hit_leads_to_its_message_and_a_memory_to_where_it_was_said(sight, session) -> None:
    """From the search in all that was said, by keys alone, to the message; what was born there."""
    with sight() as seen:
        page = seen.open("/sessions?in=messages")
        page.get_by_role("searchbox").fill("Fujian")
        expect(page.locator(".session-said mark")).to_have_text("Fujian")
        seen.picture("sessions-said")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")

        expect(page.locator(".said.meant")).to_contain_text("white tea from Fujian")
        assert "?m=" in page.url
        expect(page.locator(".said.meant .badge.good")).to_have_text("remembered")
        page.locator("summary", has_text="1 memory born here").click()
        expect(page.get_by_role("link", name="where it was said")).to_be_visible()
        page.locator("summary", has_text="2 branches").click()
        page.get_by_role("button", name="2 messages").click()
        expect(page.locator(".said")).to_have_count(2)


def test_what_is_said_while_somebody_reads_appears(sight, session, gateway: Gateway) -> None:
    """A message that another process appends is there without a reload, once."""
    with sight() as seen:
        page = seen.open(f"/sessions/{session}")
        expect(page.locator(".said", has_text="Again")).to_be_visible()
        with clawstate.open(gateway.root) as state:
            state.transcripts.append(session, [{"role": "assistant", "content": "Just now."}])

        expect(page.locator(".said", has_text="Just now.")).to_have_count(1)


def test_a_session_is_renamed_found_and_exported(sight, session) -> None:
    """A label is given and undone; the list finds it; the export holds each message."""
    with sight() as seen:
        page = seen.open(f"/sessions/{session}")
        page.get_by_role("button", name="Rename").click()
        page.get_by_label("Label").fill("Tea talk")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Tea talk")).to_be_visible()
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as saved:
            page.get_by_role("menuitem", name="JSON Lines").click()
        lines = Path(saved.value.path()).read_text().splitlines()
        assert json.loads(lines[0])["content"].endswith("Fujian.")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("heading", name=KEY)).to_be_visible()
        page.get_by_role("link", name="← Sessions").click()
        page.get_by_role("searchbox").fill("reading")
        expect(page.locator(".session")).to_have_count(1)


def test_a_prune_is_told_before_it_is_done(sight) -> None:
    """What would go is listed; nothing goes before somebody confirms; who reads has no button."""
    with sight(scopes=("operator.read",)) as seen:
        seen.open("/sessions")
        expect(seen.page.get_by_role("button", name="Prune")).to_have_count(0)
    with sight() as seen:
        page = seen.open("/sessions")
        page.get_by_role("button", name="Prune").click()
        page.get_by_label("Keep so many at most").fill("5")
        page.get_by_role("button", name="Show what would go").click()
        expect(page.get_by_text("would go, 5 stay")).to_be_visible()
        seen.picture("sessions-prune")
        assert seen.axe() == []
        page.get_by_role("button", name="Archive").click()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Undone")).to_be_visible()
