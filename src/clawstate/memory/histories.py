"""What records were: a record that takes another's place, and the chain of all that came before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import groupby

from clawstate.errors import ConflictError, InvalidError, NotFoundError
from clawstate.memory import ingest
from clawstate.memory.absent import KEPT_HINT, absence_error
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.meanings import InUse, Meanings
from clawstate.memory.records import MemoryRecord, new_id
from clawstate.memory.validation import change_record
from clawstate.memory.versions import RecordVersion

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TOLD_ELSEWHERE = frozenset({"id", "created_at", "updated_at"})


def supersede(
    engine: MemoryEngine,
    meanings: Meanings,
    old_id: str,
    *,
    new: str,
    changes: Mapping[str, object],
    now: Callable[[], float],
) -> MemoryRecord:
    """Put *new*, the id of a record that is kept or else a text, in the place of *old_id*."""
    # Compare-and-set, as an update is made: the text is embedded without a lock.
    while True:
        old = _present(engine, old_id)
        kept = engine.get([new]).get(new) if isinstance(new, str) else None
        if kept is None and _ID.fullmatch(new):
            raise _no_successor(engine, new)
        if kept is None:
            successor = _successor(old, new, changes, now())
        else:
            _require_apart(old, kept, changes)
            successor = kept
        if _put(engine, meanings, old, successor, is_kept=kept is not None):
            return engine.get([successor.id]).get(successor.id, successor)


def history(engine: MemoryEngine, record_id: str) -> list[RecordVersion]:
    """Return all versions of *record_id*, of those it took the place of, and of its successors."""
    ids = [record_id]
    followers: dict[str, list[str]] = {}
    while True:
        links = engine.versions.successions(ids)
        followers = {
            old: [each.new for each in group]
            for old, group in groupby(links, lambda link: link.old)
        }
        every = list(dict.fromkeys([*ids, *(each for link in links for each in link)]))
        if len(every) == len(ids):
            break
        ids = every
    past = engine.versions.past(ids)
    found = past + [
        RecordVersion(record, max([record.created_at, *_ends(past, record.id)]))
        for record in engine.get(ids).values()
    ]
    if not any(each.record.id == record_id for each in found):
        raise NotFoundError("memory", record_id, KEPT_HINT)
    return _with_changes(_in_order(found, followers), followers)


def _present(engine: MemoryEngine, record_id: str) -> MemoryRecord:
    """Return the record, as it was last where it is no longer kept but has a successor."""
    if (kept := engine.get([record_id]).get(record_id)) is not None:
        return kept
    past = engine.versions.past([record_id])
    if past and past[-1].ending == "superseded":
        return past[-1].record
    raise absence_error(engine, record_id)


def _successor(
    old: MemoryRecord, text: str, changes: Mapping[str, object], now: float
) -> MemoryRecord:
    changed = change_record(old, {**changes, "text": text}, now=now)
    return replace(changed, id=new_id(), created_at=changed.updated_at)


def _no_successor(engine: MemoryEngine, new: str) -> NotFoundError:
    error = absence_error(engine, new)
    hint = "name a record that is kept, or write a text"
    return error if error.hint != KEPT_HINT else NotFoundError("memory", new, hint)


def _require_apart(old: MemoryRecord, kept: MemoryRecord, changes: Mapping[str, object]) -> None:
    if kept.id == old.id:
        raise InvalidError("new", "is the record itself", "give another id, or the new text")
    if kept.namespace != old.namespace:
        hint = f"the record that it takes the place of is in {old.namespace!r}"
        raise ConflictError(
            "record", kept.id, f"it is kept in namespace {kept.namespace!r}; {hint}"
        )
    if changes:
        raise InvalidError(min(changes), "is for a new text", "change the record with update")


def _put(
    engine: MemoryEngine, meanings: Meanings, old: MemoryRecord, new: MemoryRecord, *, is_kept: bool
) -> bool:
    if is_kept:
        return engine.versions.supersede(old, new.id, embedder=None)

    def put(chosen: InUse) -> bool:
        (whole,) = ingest.embed_records([new], chosen.embedder, engine.embeddings)
        identity = None if whole.vector is None else chosen.identity
        return engine.versions.supersede(old, whole, embedder=identity)

    return meanings.try_with(put)


def _ends(past: Sequence[RecordVersion], record_id: str) -> list[float]:
    return [each.until for each in past if each.record.id == record_id and each.until is not None]


def _in_order(
    found: Sequence[RecordVersion], followers: Mapping[str, Sequence[str]]
) -> list[RecordVersion]:
    """Return *found* by time, and what took another's place at the same moment behind it."""
    older = {new for group in followers.values() for new in group}
    return sorted(
        found,
        key=lambda each: (each.since, each.record.id in older, each.until is None, each.record.id),
    )


def _with_changes(
    ordered: Sequence[RecordVersion], followers: Mapping[str, Sequence[str]]
) -> list[RecordVersion]:
    """Return *ordered*, each with its successors and with what changed since the one before."""
    leaders = {new: old for old, group in followers.items() for new in group}
    last: dict[str, MemoryRecord] = {}
    told: list[RecordVersion] = []
    for each in ordered:
        record = each.record
        before = last.get(record.id) or last.get(leaders.get(record.id, ""))
        changed = () if before is None else _changed_fields(before, record)
        after = tuple(followers.get(record.id, ())) if each.ending == "superseded" else ()
        told.append(replace(each, successors=after, changed=changed))
        last[record.id] = record
    return told


def _changed_fields(before: MemoryRecord, after: MemoryRecord) -> tuple[str, ...]:
    names = (each.name for each in fields(MemoryRecord) if each.name not in _TOLD_ELSEWHERE)
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))
