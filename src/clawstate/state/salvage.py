"""Save what can be read of a damaged `memory.db`: the records of the memory, and the messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, partial

import apsw

from clawstate.errors import CorruptError
from clawstate.health import FIX, Finding
from clawstate.memory.backends.sqlite import salvage as memory
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.sqlite.salvage import salvage
from clawstate.state.context import Context
from clawstate.state.memory_place import memory_db
from clawstate.stores.transcripts.backends.sqlite import salvage as transcripts

_REMEDY = f"{FIX} to keep what can be read of it, or restore the newest backup"


def with_salvage(findings: Iterable[Finding], context: Context, damage: str) -> Iterator[Finding]:
    """Give *findings*, those of the code *damage* with a repair that saves what can be read."""
    once = cache(partial(_salvage, context))  # one repair is for all that is damaged
    for each in findings:
        if each.code == damage and each.repair is None:
            yield replace(each, fix=_REMEDY, repair=once)
        else:
            yield each


def _salvage(context: Context) -> str:
    part = context.backends.database(memory_db(context)).part(PART, MIGRATIONS)
    now, counts = context.clock(), [0, 0, 0, 0]

    def count_noted(connection: apsw.Connection) -> None:
        counts[0] = connection.execute("SELECT coalesce(sum(records), 0) FROM scopes").get
        if _has_transcripts(connection):
            sql = "SELECT coalesce(sum(messages), 0) FROM transcripts"
            counts[2] = connection.execute(sql).get

    def mend(connection: apsw.Connection) -> None:
        memory.mend(connection, now)
        counts[1] = connection.execute("SELECT count(*) FROM memories").get
        if _has_transcripts(connection):
            transcripts.mend(connection, now)
            counts[3] = connection.execute("SELECT count(*) FROM messages").get
        if not counts[1] and not counts[3] and (counts[0] or counts[2]):
            problem = "is damaged, and no record or message of it can be read"
            raise CorruptError(str(part.path), problem, "restore the newest backup")

    aside = salvage(part, [count_noted, mend])
    noted, records, sent, messages = counts
    return (
        f"saved {records:,} of {max(noted, records):,} records and {messages:,} of"
        f" {max(sent, messages):,} messages; the damaged database is kept as {aside}, until you"
        " remove it"
    )


def _has_transcripts(connection: apsw.Connection) -> bool:
    sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'messages'"
    return bool(connection.execute(sql).get)
