"""`TranscriptSuite`: the promises of `TranscriptLog` as tests of an engine."""
# ruff: noqa: E402 - pytest explains the assertions of modules that it knew before their import

from __future__ import annotations

import pytest

_LAWS = ("entry", "session")
pytest.register_assert_rewrite(*(f"clawstate.testing.transcript_{each}_laws" for each in _LAWS))

from clawstate.testing.transcript_entry_laws import EntryLaws
from clawstate.testing.transcript_session_laws import SessionLaws

__all__ = ["TranscriptSuite"]


class TranscriptSuite(EntryLaws, SessionLaws):
    """
    Every law that an engine of transcripts must keep; to be run by pytest.

    A subclass gives `make`, and `raw_lines`, which goes around the engine on purpose, so that an
    error in writing and one in reading cannot cancel out.

    .. code-block:: python

        class TestMyEngine(TranscriptSuite):
            def make(self, tmp_path):
                return MyTranscripts(tmp_path / "transcripts.db")

    Laws of a `Capability` that the engine does not declare are skipped by name.
    """
