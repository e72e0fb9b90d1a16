"""Where the transcripts of a state lie: in the database of its memory (decision 31)."""

from __future__ import annotations

from contextlib import suppress

from clawstate.config.settings import WORKSPACE
from clawstate.errors import StateError
from clawstate.state.context import Context
from clawstate.state.memory_place import memory_db
from clawstate.stores.transcripts import Transcripts, TranscriptSettings
from clawstate.stores.transcripts.backends.sqlite.log import SqliteTranscripts


def open_transcripts(context: Context) -> Transcripts:
    """Return the transcripts of the state on *context*; nothing is made before the first append."""
    database = context.backends.database(memory_db(context))

    def settings() -> TranscriptSettings:
        workspace = None
        with suppress(StateError):  # a broken configuration must not cost a message
            workspace = WORKSPACE.of(context.config)
        return TranscriptSettings(str(workspace or context.paths.root))

    return Transcripts(SqliteTranscripts(database), settings=settings, clock=context.clock)
