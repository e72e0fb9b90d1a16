from __future__ import annotations

import json
from pathlib import Path

import pytest

from clawstate.importers.openclaw_transcript import read_openclaw_transcript, without_recalled_text
from clawstate.importers.passages import MAXIMUM_LENGTH, Passage, Problem

HEADER = {"type": "session", "version": 3, "id": "s-1", "timestamp": "2026-02-27T09:30:00Z"}


def said(role: str, content: object, **more: object) -> dict[str, object]:
    message = {"role": role, "content": content, "timestamp": 1772184600500} | more
    return {
        "type": "message",
        "id": "8c5343b7",
        "parentId": None,
        "timestamp": "2026-02-27T09:30:02.000Z",
        "message": message,
    }


def text(value: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": value}]


@pytest.fixture
def items(tmp_path: Path):
    def read(*lines: object):
        path = tmp_path / "s-1.jsonl"
        parts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
        path.write_text("\n".join(parts))
        return list(read_openclaw_transcript(path))

    return read


def test_messages_know_session_speaker_time_and_line(items) -> None:
    """What was said comes clean, with its session, role, model, time and line."""
    question, answer = items(
        HEADER,
        said("user", "When is the boiler serviced?"),
        said("assistant", text("In October."), provider="anthropic", model="claude-x"),
    )

    assert question == Passage(
        "When is the boiler serviced?",
        2,
        2,
        names=("user",),
        key="openclaw\0s-1\0" + "8c5343b7\x000",
        thread="s-1",
        position=0,
        created_at=1772184600.5,
        metadata={"role": "user", "messageId": "8c5343b7"},
    )
    assert (answer.text, answer.position, answer.start_line) == ("In October.", 1, 3)
    assert answer.metadata == {"role": "assistant", "messageId": "8c5343b7", "model": "claude-x"}


def test_everything_else_is_passed_over_in_silence(items) -> None:
    """Tool calls, results, thinking, images and bookkeeping are neither passages nor problems."""
    entries = items(
        HEADER,
        {"type": "model_change", "provider": "p", "modelId": "m"},
        {"type": "thinking_level_change", "thinkingLevel": "high"},
        {"type": "compaction", "summary": "They spoke of boilers.", "firstKeptEntryId": "a"},
        {"type": "custom", "customType": "x", "data": {"text": "no"}},
        {"type": "custom_message", "customType": "x", "content": "no"},
        said("toolResult", text("file list")),
        said("bashExecution", "ls"),
        said(
            "assistant",
            [
                {"type": "thinking", "thinking": "hmm"},
                {"type": "text", "text": "Let me look."},
                {"type": "toolCall", "name": "read", "arguments": {}},
                {"type": "image", "data": "AAAA"},
                {"type": "text", "text": "Found it."},
            ],
        ),
        said("assistant", [{"type": "toolCall", "name": "read", "arguments": {}}]),
        "",
    )

    assert [each.text for each in entries] == ["Let me look.\nFound it."]


def test_first_version_works(items) -> None:
    """A transcript without ids and without message times uses the time of the line."""
    (passage,) = items(
        {"type": "session", "id": "old"},
        {
            "type": "message",
            "timestamp": "2026-02-27T09:30:00Z",
            "message": {"role": "user", "content": "hi"},
        },
    )

    assert (passage.thread, passage.created_at) == ("old", 1772184600)
    assert passage.metadata == {"role": "user"}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("<relevant-memories>\nold\n</relevant-memories>\n\nnew", "new"),
        ("a <relevant-memories>x</relevant-memories>b", "a b"),
        ("<Relevant-Memories source='x'>x</RELEVANT-MEMORIES>b", "b"),
        ("<relevant-memories>x<relevant-memories>y</relevant-memories>z</relevant-memories>b", "b"),
        ("<relevant-memories>x<relevant-memories>y</relevant-memories>b", "b"),
        ("a<relevant-memories>never closed", "a"),
        ("<relevant-memories>x</relevant-memories>" * 2 + "b", "b"),
        ("stray </relevant-memories>end", "stray end"),
        ("about relevant-memories", "about relevant-memories"),
    ],
)
def test_recalled_memories_are_taken_out(given: str, left: str) -> None:
    """What a memory injected into a conversation is not part of it."""
    assert without_recalled_text(given) == left


def test_a_message_of_recalled_text_alone_is_none(items) -> None:
    """A message from which nothing is left is passed over."""
    assert items(HEADER, said("user", "<relevant-memories>x</relevant-memories>\n")) == []


def test_delivery_mirror_does_not_double(items) -> None:
    """The mirror's copy of the previous answer is left out, its own text is not."""
    mirror = {"provider": "openclaw", "model": "delivery-mirror"}

    entries = items(
        HEADER,
        said("assistant", text("Done.")),
        said("assistant", text("Done."), **mirror),
        said("user", text("Again?")),
        said("assistant", text("Done."), **mirror),
        said("assistant", text("Done.")),
    )

    assert [each.text for each in entries] == ["Done.", "Again?", "Done.", "Done."]


@pytest.mark.parametrize(
    "bad",
    [
        "{torn",
        "[1]",
        {"type": "message"},
        {"type": "message", "message": {"role": "user", "content": 5}},
        {"type": "message", "message": {"role": "user", "content": "a\0b"}},
    ],
)
def test_bad_line_costs_only_itself(items, bad: object) -> None:
    """A damaged line, as the last of a crashed session, is a problem and the rest goes in."""
    before, problem = items(HEADER, said("user", "hi"), bad)

    assert isinstance(problem, Problem)
    assert (before.text, problem.line) == ("hi", 3)


def test_long_message_comes_in_parts(items) -> None:
    """A long message is cut between paragraphs; each part names its line and its number."""
    parts = items(HEADER, said("user", "\n\n".join(["It rained. " * 60] * 5)), said("user", "end"))

    assert len(parts) > 3
    assert all(len(each.text) <= MAXIMUM_LENGTH for each in parts)
    assert [each.position for each in parts] == list(range(len(parts)))
    assert [each.metadata.get("part") for each in parts[:2]] == [1, 2]
    assert {each.start_line for each in parts[:-1]} == {2}


def test_text_cut_within_an_emoji_is_mended(items) -> None:
    """Half a surrogate pair, as JavaScript cuts it, becomes U+FFFD."""
    assert items(HEADER, said("user", "cut \ud83d"))[0].text == "cut \ufffd"


def test_both_messages_of_a_fused_line_are_taken(items) -> None:
    """Messages that two writers put on one line are both taken."""
    fused = json.dumps(said("user", text("one"))) + json.dumps(said("assistant", text("two")))

    found = items(HEADER, fused)

    assert [each.text for each in found if isinstance(each, Passage)] == ["one", "two"]
