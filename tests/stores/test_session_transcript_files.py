"""In OpenClaw's own index each session has a transcript file, as OpenClaw's doctor wants it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clawstate.state.sessions import open_index

KEY = "agent:main:ours"


@pytest.fixture
def folder(tmp_path) -> Path:
    found = tmp_path / "state/agents/main/sessions"
    found.mkdir(parents=True, mode=0o700)
    return found


@pytest.fixture
def sessions(folder, clock):
    return open_index(folder / "sessions.json", clock=clock)


def transcripts(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.jsonl")}


def test_a_new_session_has_a_transcript_with_a_header(sessions, folder) -> None:
    """The file is private and says whose it is, on one line."""
    made = sessions.resolve(KEY)

    path = folder / made.session_file
    [line] = path.read_text().splitlines()
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(line)["type"] == "session"
    assert json.loads(line)["id"] == made.session_id


def test_a_transcript_that_is_there_stays_as_it_is(sessions, folder) -> None:
    """Neither a change nor a removal of the session touches messages of OpenClaw."""
    made = sessions.resolve(KEY)
    path = folder / made.session_file
    text = path.read_text() + '{"type":"message"}\n'
    path.write_text(text)

    sessions.update(KEY, {"label": "Ada"})
    sessions.delete(KEY)

    assert path.read_text() == text


def test_a_header_alone_goes_with_its_session(sessions, folder) -> None:
    """What is deleted or reset leaves no file without a session; what is restored has one again."""
    first = sessions.resolve(KEY)
    second = sessions.reset(KEY)
    assert transcripts(folder) == {second.session_file} != {first.session_file}

    sessions.delete(KEY)
    assert transcripts(folder) == set()

    sessions.restore(KEY)
    assert len(transcripts(folder)) == 1


def test_a_link_in_the_place_of_a_transcript_is_not_followed(sessions, folder, tmp_path) -> None:
    """A link that is there already counts as a file, and nothing is written through it."""
    made = sessions.resolve(KEY)
    (folder / made.session_file).unlink()
    (folder / made.session_file).symlink_to(tmp_path / "elsewhere")

    sessions.update(KEY, {"label": "Ada"})

    assert not (tmp_path / "elsewhere").exists()
