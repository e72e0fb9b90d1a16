"""Second copies of one transcript, as programs that sync folders leave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openclaw_fixtures import counts

from clawstate.importers.openclaw import import_openclaw
from clawstate.importers.sync import import_paths

SESSION = "5f0c9a3e-9f57-4a49-8a55-6f0b2d6a1c01"
NAMES = [
    f"{SESSION} 2.jsonl",
    f"{SESSION} (1).jsonl",
    f"{SESSION}.sync-conflict-20261101-120000-ABCDEFG.jsonl",
    f"{SESSION} (Ada's conflicted copy 2026-11-01).jsonl",
    f"{SESSION}-laptop.jsonl",
    "restored.jsonl",
]


def line(number: int, text: str) -> str:
    return json.dumps({
        "type": "message",
        "id": f"0000000{number}",
        "parentId": None,
        "timestamp": "2026-11-01T10:00:00.000Z",
        "message": {"role": "user", "content": [{"type": "text", "text": text}]},
    })  # fmt: skip


def transcript(*texts: str) -> str:
    header = {"type": "session", "version": 3, "id": SESSION, "timestamp": "2026-11-01T10:00:00Z"}
    lines = [json.dumps(header), *(line(number, text) for number, text in enumerate(texts))]
    return "".join(f"{each}\n" for each in lines)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "openclaw/agents/main/sessions"
    folder.mkdir(parents=True)
    (folder / f"{SESSION}.jsonl").write_text(transcript("one heron", "two herons"))
    index = {"agent:main:main": {"sessionId": SESSION, "updatedAt": 1_790_000_000_000}}
    (folder / "sessions.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_merged_into_its_session(folder: Path, state, name: str) -> None:
    """The entries of a copy go to the session that its header names, each of them once."""
    (folder / name).write_text(transcript("one heron", "two herons", "three herons"))

    dry = import_openclaw(state, folder.parents[2], dry_run=True)
    report = import_openclaw(state, folder.parents[2])

    texts = [each.text for each in state.transcripts.messages(SESSION)]
    assert texts == ["one heron", "two herons", "three herons"]
    assert len(state.transcripts.search("heron")) == 3
    assert state.transcripts.stats()["sessions"] == 1
    assert counts(report)["transcripts"] == counts(dry)["transcripts"]


def test_a_topic_stays_a_transcript_of_its_own(folder: Path, state) -> None:
    """The file of a topic has its session's id in the header, and is not merged with it."""
    (folder / f"{SESSION}-topic-7.jsonl").write_text(transcript("a topic"))

    import_openclaw(state, folder.parents[2])

    assert len(state.transcripts.messages(SESSION)) == 2
    assert state.transcripts.stats()["sessions"] == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_gives_the_memory_each_message_once(folder: Path, state, name: str) -> None:
    """A copy in a folder that is imported is passed over, and told; named, it adds nothing."""
    (folder / name).write_text(transcript("one heron"))

    report = import_paths(state.memory, [folder])

    assert report.added == 2
    assert [each.path.name for each in report.problems] == [name]
    assert import_paths(state.memory, [folder / name]).added == 0
    assert len(state.memory.records()) == 2
