"""What the laws of transcripts need of the engine under test: how to make it, and go around it."""
# ruff: noqa: ARG002 - the arguments of a hook are for those who give it

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from clawstate.stores.transcripts import Transcripts
from clawstate.stores.transcripts.contract import TranscriptLog
from clawstate.testing.hooks import ManualTime, skip_undeclared

LONG: Final = "a value that is too long for a row " * 2_000


class TranscriptHooks:
    """What a suite is told by its subclass, and the fixtures that it makes of that."""

    def make(self, tmp_path: Path) -> TranscriptLog:
        """
        Return the engine under test over a state below *tmp_path*: the same for the same path.

        Another process calls it as well when the engine declares `Capability.SHARED`, so the class
        must be importable by its name.
        """
        raise NotImplementedError(tmp_path)

    def raw_lines(self, tmp_path: Path, session_id: str) -> list[str]:
        """Return the short lines of a session as they lie on disk, without using the engine."""
        pytest.skip(f"raw_lines is not given: {session_id} is not read around the engine")

    @pytest.fixture
    def time(self) -> ManualTime:
        """Give the clock of the transcripts."""
        return ManualTime()

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[TranscriptLog]:
        """Give the engine under test over an empty state."""
        log = self.make(tmp_path)
        yield log
        log.close()

    @pytest.fixture
    def store(self, log: TranscriptLog, time: ManualTime) -> Transcripts:
        """Give empty transcripts."""
        return Transcripts(log, clock=time)

    @pytest.fixture(autouse=True)
    def _require_capability(self, request: pytest.FixtureRequest, log: TranscriptLog) -> None:
        skip_undeclared(request, log)


def make_message(role: str, text: str, **rest: Any) -> dict[str, Any]:
    """Return a message."""
    return {"role": role, "content": text, **rest}


def texts(store: Transcripts, session_id: str = "s", **page: Any) -> list[str]:
    """Return what was said in a session."""
    return [each.text for each in store.messages(session_id, **page)]


def export_lines(store: Transcripts, session_id: str = "s") -> list[str]:
    """Return the lines of a session, the header first."""
    out = io.BytesIO()
    store.export(session_id, out)
    return out.getvalue().decode().splitlines()
