"""Memory and transcripts in the PostgreSQL database of a state, where it has one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from clawstate.config.settings import MEMORY_TYPE
from clawstate.errors import StateError
from clawstate.interrupts import load_modules
from clawstate.state.memory_place import memory_db, memory_place

if TYPE_CHECKING:
    from clawstate.postgres.connection import Connection
    from clawstate.postgres.database import Database
    from clawstate.state.context import Context


def memory_server(context: Context) -> Database | None:
    """
    Return the database that memory and transcripts of the state lie in; None where that is a file.

    That is the database of the records, if `state.store` names a server and `memory.store.type`
    says nothing else. What lies in a file of this machine stays there, so that nothing is hidden.
    """
    with suppress(StateError):  # what cannot be read asks for nothing
        backends = context.backends
        if not backends.has_server or MEMORY_TYPE.of(context.config.view()) != MEMORY_TYPE.default:
            return None
        if os.path.lexists(memory_db(context)) or os.path.lexists(memory_place(context).database):
            return None
        return backends.server_database(backends.choice)
    return None


def has_messages(context: Context) -> bool:
    """Tell whether there may be transcripts; makes nothing."""
    return memory_db(context).exists() or memory_server(context) is not None


class FeedNote:
    """Notes in the feed of a tenant what a change of memory or transcripts moves."""

    def __init__(self, database: Database, tenant: str) -> None:
        load_modules("clawstate.postgres.change_log")
        from clawstate.postgres import change_log  # noqa: PLC0415 - few have a server
        from clawstate.postgres.migrations import PartFormat  # noqa: PLC0415 - see above
        from clawstate.postgres.names import encode_name  # noqa: PLC0415 - see above
        from clawstate.postgres.part import Part  # noqa: PLC0415 - see above

        self._log = change_log
        self._format = PartFormat(change_log.PART, change_log.MIGRATIONS, database.place)
        self._tenant = encode_name("tenant", tenant)
        self._is_ready = False
        part = Part(database, change_log.PART, change_log.MIGRATIONS, tenant=tenant)
        database.forgetting[f"changes of {tenant}"] = lambda: change_log.forget_changes(part)

    def __call__(self, connection: Connection, part: str, keys: Sequence[str]) -> None:
        """Note it in the running transaction, which makes the tables of the feed if need be."""
        if not self._is_ready:
            # Made here they may be rolled back, so they are believed in once they were found.
            self._is_ready = self._format.find(connection) > 0
            if not self._is_ready:
                self._format.migrate(connection)
        self._log.note_changes(connection, self._tenant, part, keys)
