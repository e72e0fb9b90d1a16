"""The messages of the sessions, append-only, searchable, in OpenClaw's transcript format."""

from clawstate.stores.transcripts.importing import read_lines
from clawstate.stores.transcripts.service import Transcripts, TranscriptSettings
from clawstate.stores.transcripts.values import (
    Message,
    TranscriptHit,
    TranscriptImport,
    TranscriptInfo,
    TranscriptProblem,
)

__all__ = [
    "Message",
    "TranscriptHit",
    "TranscriptImport",
    "TranscriptInfo",
    "TranscriptProblem",
    "TranscriptSettings",
    "Transcripts",
    "read_lines",
]
