"""What is wrong with the transcripts."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.errors import CorruptError, StateError
from clawstate.health import Finding
from clawstate.state import State


def check(state: State, *, deep: bool = True) -> Iterator[Finding]:
    """Look at tables, blobs and the word index, at chains and at results of tools."""
    path = str(state.paths.memory_db)
    for each in state.places.utf16_transcripts():
        remedy = "save it as UTF-8; neither OpenClaw nor clawstate reads it"
        yield Finding("transcript-encoding", "warning", str(each), "is UTF-16", remedy)
    try:
        path = str(state.places.memory_db())
        found = state.transcripts.check(deep=deep)
    except CorruptError as error:
        yield Finding.of(error, path, "restore the newest backup")
        return
    except StateError as error:
        yield Finding.of(error, path, "see the message")
        return
    yield from _without_session(state, path)
    yield from found


def _without_session(state: State, path: str) -> Iterator[Finding]:
    try:
        found = [each for each in state.sessions.ended() if state.transcripts.held(each)]
    except StateError:
        return  # told where the sessions are looked at

    def collect() -> str:
        state.sessions.collect()
        return "removed"

    for each in sorted(found):
        message = f"messages of the session {each} are left, which was removed for good"
        remedy = "goes with 'clawstate sessions prune'"
        yield Finding("transcript-without-session", "info", path, message, remedy, repair=collect)
