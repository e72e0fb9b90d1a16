"""States that real OpenClaws made: what is seen of them where they lie, and what is taken over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from masters import KINDS, TURNS
from openclaw_checks import fingerprint
from verbs import MAIN

import clawstate
from clawstate.importers.openclaw import import_openclaw

OLD, NEW, UPGRADED = (kind for kind in KINDS if kind.is_beside and not kind.moves_in)
MOVED_IN = next(kind for kind in KINDS if kind.is_beside and kind.moves_in)
SQLITE_ERA = pytest.mark.parametrize("kind", [NEW, UPGRADED], ids=str)
EVERY_ERA = pytest.mark.parametrize("kind", [OLD, NEW, UPGRADED], ids=str)
SAID = [f"hello {number}, I am Ada" for number in range(TURNS)]

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]


@EVERY_ERA
def test_whose_the_directory_is_stands_in_one_line(masters, kind) -> None:
    """Status names OpenClaw, and in the SQLite era its version and schemas."""
    masters.fresh(kind)

    with masters.ours(kind) as ours:
        said = ours("status")

    assert "openclaw" in json.dumps(said).lower()
    if kind.is_sqlite:
        assert kind.used_by.version in json.dumps(said)


@EVERY_ERA
def test_what_openclaw_keeps_is_listed(masters, kind) -> None:
    """Its credentials and sessions are listed, be they files or rows, and nothing changes."""
    masters.fresh(kind)
    before = fingerprint(masters.home)

    with masters.ours(kind) as ours:
        sessions = {each["key"] for each in ours("sessions", "list")["sessions"]}
        credentials = {each["id"] for each in ours("auth", "list")["profiles"]}

    assert MAIN in sessions
    assert "openai:theirs" in credentials
    assert fingerprint(masters.home) == before


def test_an_upgrade_takes_nothing_out_of_sight(masters) -> None:
    """After OpenClaw moved shared files into its rows, all is listed still, and status says so."""
    real = masters.fresh(MOVED_IN)
    with masters.ours(MOVED_IN) as ours:
        ours.credential()
        ours.session()
        before = {each["id"] for each in ours("auth", "list")["profiles"]}

    done = real.run("doctor", "--fix", "--non-interactive")

    assert done.code == 0, done
    with masters.ours(MOVED_IN) as ours:
        after = {each["id"] for each in ours("auth", "list")["profiles"]}
        sessions = {each["key"] for each in ours("sessions", "list")["sessions"]}
        status = json.dumps(ours("status"))
    assert after >= before
    assert sessions >= {MAIN, "agent:main:ours"}
    assert real.openclaw.release.version in status


@SQLITE_ERA
def test_secrets_in_rows_are_found(masters, kind) -> None:
    """An audit names the database in which secrets of OpenClaw stand in the clear."""
    masters.fresh(kind)

    with masters.ours(kind) as ours:
        said = json.dumps(ours("auth", "audit", codes=(1,)))

    assert "openclaw.sqlite" in said
    assert "made-up-of-theirs" not in said


@EVERY_ERA
@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_real_state_is_taken_over_whole(masters, kind, running, tmp_path) -> None:
    """Every message, session and credential is here once, however often it is imported."""
    real = masters.fresh(kind)
    source = tmp_path / "source"
    if running:
        with real.gateway():
            real.turn("said while it ran")
            check_import(real.root, tmp_path / "ours", [*SAID, "said while it ran"])
    else:
        shutil.copytree(real.root, source, symlinks=True)
        before = fingerprint(source)
        check_import(source, tmp_path / "ours", SAID)
        assert fingerprint(source) == before


def check_import(source: Path, to: Path, said: list[str]) -> None:
    with clawstate.open(to) as state:
        report = import_openclaw(state, source)
        again = import_openclaw(state, source)

        assert not report.has_failed(), report.remarks
        assert not sum(count.new + count.changed for count in again.counts.values()), again.counts
        session = state.sessions.require(MAIN)
        texts = [each.text for each in state.transcripts.messages(session.session_id)]
        heard = [text for text in texts if not text.startswith("You said")]
        found = [wanted for text in heard for wanted in said if wanted in text]
        assert found == said, texts
        assert "openai:theirs" in {each.id for each in state.auth().profiles()}
