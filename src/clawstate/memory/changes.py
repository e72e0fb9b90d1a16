"""What happened to records between two moments, and making one what it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from clawstate.arguments import require_seconds
from clawstate.clock import from_ms, to_ms
from clawstate.errors import InvalidError, NotFoundError
from clawstate.memory import ingest
from clawstate.memory.absent import absence_error
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.meanings import InUse, Meanings
from clawstate.memory.moves import MemoryChange, Move
from clawstate.memory.records import MemoryRecord
from clawstate.memory.versions import RecordVersion
from clawstate.moments import Moment, end_seconds
from clawstate.paging import Listing, Page

LISTING = Listing("memory changes")
MOST_SPANS: Final = 1_000

_LATER = "'memory history ID' tells what it was, and when"


def record_at(engine: MemoryEngine, record_id: str, moment: float) -> MemoryRecord | None:
    """Return the record as it was at *moment*, or None where it was not kept then."""
    found = _lives(engine, [record_id]).get(record_id, [])
    then = [each for each in found if each.since <= moment and _ends_after(each, moment)]
    if not then:
        return None
    record = then[-1].record
    is_over = record.expires_at is not None and record.expires_at <= moment
    return None if is_over else record


def changes(
    engine: MemoryEngine, begin: float, end: float, limit: int, after: str | None
) -> Page[MemoryChange]:
    """Return a page of what happened after *begin* and by *end*."""
    position = LISTING.require_page(limit, after)
    first = from_ms(to_ms(begin) + 1)
    found = engine.versions.moves(first, end, position, limit + 1)
    page = LISTING.page(((each.position, each) for each in found), limit)
    ids = list(dict.fromkeys(each.name for each in page if each.kind != "forgotten"))
    lives = _lives(engine, ids)
    links = engine.versions.successions(ids) if ids else []
    heirs: dict[str, list[str]] = {}
    for old, new in links:
        heirs.setdefault(old, []).append(new)
    told = (_change(each, lives.get(each.name, []), heirs.get(each.name, [])) for each in page)
    return Page(tuple(told), page.after)


def put_back(
    engine: MemoryEngine,
    meanings: Meanings,
    record_id: str,
    moment: float,
    *,
    now: Callable[[], float],
) -> MemoryRecord:
    """Make the record what it was at *moment*, and return it."""
    # Compare-and-set, as an update is made: the text is embedded without a lock.
    while True:
        kept = engine.get([record_id]).get(record_id)
        then = record_at(engine, record_id, moment)
        if then is None:
            raise _absence(engine, record_id)
        if kept is not None and replace(then, updated_at=kept.updated_at) == kept:
            return kept
        if kept is None and engine.versions.restore([record_id]):
            continue  # it was archived; now it is changed as one that is kept
        again = _made_again(then, kept, now())

        def put(
            chosen: InUse, again: MemoryRecord = again, kept: MemoryRecord | None = kept
        ) -> bool:
            (whole,) = ingest.embed_records([again], chosen.embedder, engine.embeddings)
            identity = None if whole.vector is None else chosen.identity
            if kept is not None:
                return engine.swap(kept, whole, embedder=identity) is not None
            engine.upsert([whole], embedder=identity)
            return True

        if meanings.try_with(put):
            return engine.get([record_id]).get(record_id, again)


def span(since: Moment, until: Moment | None, *, now: float) -> tuple[float, float]:
    """Return the seconds that two moments mean; of a day its end."""
    begin = end_seconds("since", since)
    end = now if until is None else end_seconds("until", until)
    if end < begin and until is None:
        raise InvalidError("since", "lies in the future", "name an earlier time")
    if end < begin:
        raise InvalidError("until", "lies before since", "exchange the two")
    return begin, end


def count_spans(begin: float, end: float, step: float) -> int:
    """Return how many spans of *step* seconds there are from *begin* to *end*."""
    if require_seconds("step", step) < 1:
        raise InvalidError("step", "is below 1 second", "take 86400 for a day")
    count = max(math.ceil((end - begin) / step), 1)
    if count > MOST_SPANS:
        hint = "take a longer step, or a later beginning"
        raise InvalidError("step", f"makes {count:,} spans, at most {MOST_SPANS:,} are told", hint)
    return count


def _made_again(then: MemoryRecord, kept: MemoryRecord | None, now: float) -> MemoryRecord:
    if kept is not None:
        # It grows even if the clock was set back, as with any update.
        return replace(then, updated_at=max(now, kept.updated_at + 0.001))
    # What others took the place of begins again: it was not kept in between.
    return replace(then, created_at=now, updated_at=now)


def _absence(engine: MemoryEngine, record_id: str) -> NotFoundError:
    if engine.get([record_id]) or engine.versions.past([record_id]):
        return NotFoundError("memory of that moment", record_id, _LATER)
    return absence_error(engine, record_id)


def _lives(engine: MemoryEngine, ids: list[str]) -> dict[str, list[RecordVersion]]:
    """Return all versions of each of *ids*, oldest first, the kept one last."""
    found: dict[str, list[RecordVersion]] = {}
    if not ids:
        return found
    for each in engine.versions.past(ids):
        found.setdefault(each.record.id, []).append(each)
    for record in engine.get(ids).values():
        before = found.setdefault(record.id, [])
        ends = [each.until for each in before if each.until is not None]
        before.append(RecordVersion(record, max([record.created_at, *ends])))
    return found


def _change(move: Move, life: list[RecordVersion], heirs: list[str]) -> MemoryChange:
    if move.kind == "forgotten":
        return MemoryChange(from_ms(move.at), move.kind, count=move.count, number=int(move.name))
    at = from_ms(move.at)
    if move.kind == "added":
        begun = [each for each in life if to_ms(each.record.created_at) == move.at]
        return MemoryChange(at, move.kind, move.name, after=begun[0].record if begun else None)
    ended = [
        number
        for number, each in enumerate(life)
        if each.until is not None and to_ms(each.until) == move.at and each.ending == move.kind
    ]
    if not ended:  # it changed once more since the page was read
        return MemoryChange(at, move.kind, move.name)
    before = life[ended[0]].record
    rest = life[ended[0] + 1 :]
    after = rest[0].record if rest and move.kind == "updated" else None
    follow = tuple(heirs) if move.kind == "superseded" else ()
    return MemoryChange(at, move.kind, move.name, before, after, follow)


def _ends_after(version: RecordVersion, moment: float) -> bool:
    return version.until is None or version.until > moment
