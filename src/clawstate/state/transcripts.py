"""Where the transcripts of a state lie: in the database of its memory (decision 7)."""

from __future__ import annotations

from contextlib import suppress

from clawstate.errors import StateError
from clawstate.sqlite import Database
from clawstate.state.ground import Ground
from clawstate.state.memory_place import memory_db
from clawstate.stores.transcripts import Transcripts, TranscriptSettings
from clawstate.stores.transcripts.backends.sqlite.log import SqliteTranscripts
from clawstate.stores.transcripts.backends.sqlite.schema import BESIDE, MIGRATIONS, PART


def open_transcripts(ground: Ground) -> Transcripts:
    """Return the transcripts of the state on *ground*; nothing is made before the first append."""
    database = Database(
        memory_db(ground),
        migrations=MIGRATIONS,
        lock_timeout=ground.lock.patience(),
        part=PART,
        beside=BESIDE,
        present=ground.engines.require_place,
    )

    def settings() -> TranscriptSettings:
        workspace = None
        with suppress(StateError):  # a broken configuration must not cost a message
            workspace = ground.config.get("agents.defaults.workspace")
        return TranscriptSettings(str(workspace or ground.paths.root))

    return Transcripts(SqliteTranscripts(database), settings=settings, clock=ground.clock)
