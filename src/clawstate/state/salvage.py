"""Save what can be read of a damaged `memory.db`: the records of the memory, and the messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import apsw

from clawstate.errors import CorruptError, StateError
from clawstate.health import SALVAGE, Finding
from clawstate.memory.backends.lancedb import outbox
from clawstate.memory.backends.sqlite import salvage as memory
from clawstate.memory.backends.sqlite import upkeep
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.memory.contract import DAMAGE
from clawstate.quantities import number_of
from clawstate.sqlite import Part, change_log
from clawstate.sqlite.migrations import PartFormat
from clawstate.sqlite.salvage import Saved, salvage, set_aside
from clawstate.state.context import Context
from clawstate.state.memory_place import MemoryPlace, memory_db, memory_place
from clawstate.stores.transcripts.backends.sqlite import checking
from clawstate.stores.transcripts.backends.sqlite import salvage as transcripts
from clawstate.stores.transcripts.backends.sqlite.schema import MIGRATIONS as TRANSCRIPT_MIGRATIONS
from clawstate.stores.transcripts.backends.sqlite.schema import PART as TRANSCRIPTS
from clawstate.stores.transcripts.turns import DAMAGE as TRANSCRIPT_DAMAGE

_BESIDE = tuple(
    PartFormat(Path(), *part)
    for part in ((TRANSCRIPTS, TRANSCRIPT_MIGRATIONS), (change_log.PART, change_log.MIGRATIONS))
)
_GIVE_UP = "restore the newest backup, or move the file away to begin with an empty memory"


def with_salvage(findings: Iterable[Finding], context: Context, damage: str) -> Iterator[Finding]:
    """Give *findings*, those of the code *damage* with a repair that saves what can be read."""
    once = cache(partial(_salvage, context))  # one repair is for all that is damaged
    place = memory_place(context)
    catalogue = cache(partial(_salvage_catalogue, context, place))
    for each in findings:
        if each.code == damage and each.repair is None:
            is_catalogue = place.in_directory and each.path in {
                str(place.path),
                str(place.database),
            }
            yield replace(each, fix=SALVAGE, repair=catalogue if is_catalogue else once)
        else:
            yield each


def _salvage(context: Context) -> str:
    part = context.backends.database(memory_db(context)).part(PART, MIGRATIONS)
    now = context.clock()
    saved: dict[str, Saved] = {}

    def mend(connection: apsw.Connection, cut: AbstractSet[str]) -> None:
        saved["record"] = memory.mend(connection, now, cut)
        if _has_transcripts(connection):
            saved["message"] = transcripts.mend(connection, now)
        all_of = saved.values()
        if any(each.noted for each in all_of) and not any(each.kept for each in all_of):
            problem = "is damaged, and no record or message of it can be read"
            raise CorruptError(str(part.path), problem, _GIVE_UP)

    try:
        aside = salvage(part, [mend], is_damaged=partial(_is_damaged, part), beside=_BESIDE)
    except CorruptError as error:
        # Others are no damage, such as somebody else's database.
        if not isinstance(error.__cause__, apsw.Error | UnicodeError):
            raise
        problem = "is damaged so that nothing of it can be read"
        raise CorruptError(str(part.path), problem, _GIVE_UP) from error
    if aside is None:
        return "it was saved meanwhile"
    counts = " and ".join(_count(what, each) for what, each in saved.items())
    notes = [note for each in saved.values() for note in each.notes]
    kept = (
        f"the damaged database is kept as {aside}, with all that you may forget later, until you"
        " remove it"
    )
    return "; ".join([f"saved {counts}", *notes, kept])


def _count(what: str, saved: Saved) -> str:
    # Where the list of them is lost as well, nobody knows how many there were.
    if not saved.noted and not saved.kept:
        return f"no {what}, for none was found"
    return f"{saved.kept:,} of {number_of(max(saved.noted, saved.kept), what)}"


def _salvage_catalogue(context: Context, place: MemoryPlace) -> str:
    part = context.backends.database(place.database).part(PART, MIGRATIONS)
    now = context.clock()
    notes: list[str] = []

    def mend(connection: apsw.Connection, cut: AbstractSet[str]) -> None:
        # What is mended is no change that the table has to be told of.
        outbox.remove_triggers(connection)
        notes.extend(memory.mend(connection, now, cut).notes)
        outbox.write_all_anew(connection)

    try:
        aside = salvage(part, [mend], is_damaged=partial(_is_damaged, part))
    except (CorruptError, apsw.Error):
        with part.alone():
            aside = set_aside(place.database)
        notes.append(
            "what was not in the table could not be read: what waited for it, histories, the"
            " archive, notes of imports and marks of what was forgotten"
        )
    if aside is None:
        return "it was saved meanwhile"
    kept = f"the damaged catalogue is kept as {aside}, until you remove it"
    return "; ".join(["saved from it and from the table", *notes, kept])


def _is_damaged(part: Part) -> bool:
    try:
        with part.reading() as connection:
            found = {code for code, _ in upkeep.check(connection, deep=True)}
            if _has_transcripts(connection):
                found |= {code for code, _ in checking.check(connection, deep=True)}
    except StateError:
        return True
    return bool(found & {DAMAGE, TRANSCRIPT_DAMAGE})


def _has_transcripts(connection: apsw.Connection) -> bool:
    sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'messages'"
    return bool(connection.execute(sql).get)
