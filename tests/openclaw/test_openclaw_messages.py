"""Transcripts of the OpenClaw that lives in a directory, of which messages are not here yet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import clawstate
from clawstate.doctor import examine
from clawstate.importers.openclaw import import_openclaw
from clawstate.state.openclaw_messages import waiting
from importers.openclaw_home import OpenClawHome
from openclaw.openclaw_databases import OpenClawDatabases

ONE = "11111111-1111-4111-8111-111111111111"
KEY = "agent:main:main"


@pytest.fixture(params=["files", "sqlite"])
def root(request, tmp_path, clock) -> Path:
    """Return a directory of OpenClaw's with transcripts, in either form."""
    if request.param == "files":
        home = OpenClawHome(tmp_path / "state", clock())
        home.sessions()
        home.transcripts()
        home.json("cron/jobs.json", {})
        return home.root
    return OpenClawDatabases(tmp_path / "state", clock()).everything().root


def left(root: Path, clock, session_id: str | None = None) -> list[str]:
    with clawstate.open(root, clock=clock) as state:
        return [each.session_id for each in waiting(state._context, state.transcripts, session_id)]


def test_transcripts_are_told_until_they_are_taken_over(root, clock) -> None:
    """What OpenClaw keeps is named, one session or all, and nothing of it once it is here."""
    assert ONE in left(root, clock)
    assert left(root, clock, ONE) == [ONE]
    assert left(root, clock, "another") == []

    with clawstate.open(root, clock=clock) as state:
        import_openclaw(state, root)

    assert left(root, clock) == []


def test_later_messages_are_told(tmp_path, clock) -> None:
    """A transcript that was taken over and went on is named again."""
    home = OpenClawHome(tmp_path / "state", clock())
    home.sessions()
    home.transcripts()
    home.json("cron/jobs.json", {})
    with clawstate.open(home.root, clock=clock) as state:
        import_openclaw(state, home.root)
    path = home.root / f"agents/main/sessions/{ONE}.jsonl"
    body = {"role": "user", "content": "later"}
    later = {"type": "message", "id": "feedbeef", "parentId": None, "message": body}
    path.write_text(path.read_text().rstrip("\n") + "\n" + json.dumps(later) + "\n")

    with clawstate.open(home.root, clock=clock) as state:
        (found,) = waiting(state._context, state.transcripts)

    assert (found.session_id, found.has_none) == (ONE, False)
    assert "later messages" in found.sentence


def test_in_a_directory_of_nobodys_nothing_is_looked_for(tmp_path, clock) -> None:
    """Without an OpenClaw there is no transcript of one."""
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        state.sessions.resolve("a")

    assert left(tmp_path / "state", clock) == []


@pytest.mark.parametrize("form", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_transcript_in_utf16_is_named_everywhere(tmp_path, clock, form) -> None:
    """The doctor, a look at the session and an import say what is wrong with it, once each."""
    home = OpenClawHome(tmp_path / "state", clock())
    home.sessions()
    home.transcripts()
    home.json("cron/jobs.json", {})
    path = home.root / f"agents/main/sessions/{ONE}.jsonl"
    path.write_bytes(path.read_text().encode(form))

    with clawstate.open(home.root, clock=clock) as state:
        (found,) = waiting(state._context, state.transcripts, ONE)
        findings = [e for e in examine(state, deep=False) if e.code == "transcript-encoding"]
        report = import_openclaw(state, home.root, kinds=["transcripts"])

    assert "save it as UTF-8" in found.sentence
    assert [each.path for each in findings] == [str(path)]
    failed = [each.message for each in report.remarks if each.severity == "failed"]
    assert [each for each in failed if "UTF-16" in each] == failed
    assert report.count("transcripts").failed == 1
