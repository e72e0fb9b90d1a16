"""What the laws of transcripts need of the engine under test: how to make it, and go around it."""
# ruff: noqa: ARG002 - the arguments of a hook are for those who give it

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from clawstate.stores.transcripts import Transcripts
from clawstate.stores.transcripts.contract import Capability, TranscriptLog

F = TypeVar("F", bound=Callable[..., Any])

_NEEDED = "clawstate_needs"
LONG: Final = "a value that is too long for a row " * 2_000


def needs(capability: Capability) -> Callable[[F], F]:
    """Keep a law for engines that declare *capability*; others skip it and say so."""

    def marked(law: F) -> F:
        setattr(law, _NEEDED, capability)
        return law

    return marked


class ManualTime:
    """A clock that a law moves: seconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


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
    def _declared(self, request: pytest.FixtureRequest, log: TranscriptLog) -> None:
        capability: Capability | None = getattr(request.function, _NEEDED, None)
        if capability is not None and capability not in log.capabilities:
            pytest.skip(f"{type(log).__name__} does not declare {capability.name}")


def said(role: str, text: str, **rest: Any) -> dict[str, Any]:
    """Return a message."""
    return {"role": role, "content": text, **rest}


def texts(store: Transcripts, session_id: str = "s", **page: Any) -> list[str]:
    """Return what was said in a session."""
    return [each.text for each in store.messages(session_id, **page)]


def exported(store: Transcripts, session_id: str = "s") -> list[str]:
    """Return the lines of a session, the header first."""
    out = io.BytesIO()
    store.export(session_id, out)
    return out.getvalue().decode().splitlines()
