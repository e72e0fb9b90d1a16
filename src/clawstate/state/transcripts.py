"""Where the transcripts of a state lie: in the database of its memory (decisions 31 and 66)."""

from __future__ import annotations

from contextlib import suppress

from clawstate.config.settings import WORKSPACE
from clawstate.errors import StateError
from clawstate.interrupts import load_modules
from clawstate.state.context import Context
from clawstate.state.memory_place import memory_db
from clawstate.state.server_memory import FeedNote, memory_server
from clawstate.stores.transcripts import Transcripts, TranscriptSettings
from clawstate.stores.transcripts.backends.sqlite.log import SqliteTranscripts
from clawstate.stores.transcripts.contract import TranscriptLog


def open_transcripts(context: Context) -> Transcripts:
    """Return the transcripts of the state on *context*; nothing is made before the first append."""

    def settings() -> TranscriptSettings:
        workspace = None
        with suppress(StateError):  # a broken configuration must not cost a message
            workspace = WORKSPACE.of(context.config)
        return TranscriptSettings(str(workspace or context.paths.root))

    return Transcripts(_log(context), settings=settings, clock=context.clock)


def _log(context: Context) -> TranscriptLog:
    if (server := memory_server(context)) is None:
        return SqliteTranscripts(context.backends.database(memory_db(context)))
    load_modules("clawstate.stores.transcripts.backends.postgres.log")
    from clawstate.stores.transcripts.backends.postgres.log import (  # noqa: PLC0415 - few have it
        PostgresTranscripts,
    )

    tenant = context.backends.tenant
    return PostgresTranscripts(server, tenant=tenant, note=FeedNote(server, tenant))
