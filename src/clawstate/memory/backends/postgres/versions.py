"""`PostgresVersions`: earlier versions and successors, which no search reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from clawstate.clock import from_ms, to_ms
from clawstate.memory.backends.columns import pack, record_of, subwords_of, unpack
from clawstate.memory.backends.postgres import history, moves, words, writing
from clawstate.memory.backends.postgres.place import Place
from clawstate.memory.backends.postgres.rows import LIVE, SELECT, SELECT_PAST, stored_embedder
from clawstate.memory.backends.postgres.schema import PART
from clawstate.memory.contract import Embedded, EmbedderIdentity, KnownVector
from clawstate.memory.filters import Filter
from clawstate.memory.matching import lets_through
from clawstate.memory.moves import Activity, Move
from clawstate.memory.records import MemoryRecord, content_hash
from clawstate.memory.replacement import Text
from clawstate.memory.rules import Arrival
from clawstate.memory.versions import (
    Conflict,
    Ending,
    RecordVersion,
    Succession,
    VersionLimits,
    begin_at_the_end,
)
from clawstate.paging import Position
from clawstate.postgres.transaction import Transaction

_LIVE_PAST = "(v.expires_at IS NULL OR v.expires_at > %(now)s)"
_NOT_KEPT = """
NOT EXISTS (SELECT 1 FROM clawstate.memory_records r WHERE r.tenant = v.tenant AND r.id = v.id)
"""
_IS_LAST = """
NOT EXISTS (SELECT 1 FROM clawstate.memory_versions o
    WHERE o.tenant = v.tenant AND o.id = v.id AND o.version > v.version)
"""
_PAST = f"""
{SELECT_PAST} WHERE v.tenant = %(tenant)s AND v.id = ANY(%(ids)s::text[]) AND {_LIVE_PAST}
ORDER BY v.began, v.version
"""
_ARCHIVED = f"""
{SELECT_PAST} WHERE v.tenant = %(tenant)s AND v.ending = 'archived'
    AND v.id = ANY(%(ids)s::text[]) AND {_NOT_KEPT} AND {_LIVE_PAST} AND {_IS_LAST}
ORDER BY v.docno
"""
_LISTED = f"""
{SELECT_PAST} WHERE v.tenant = %(tenant)s AND v.ending = 'archived' AND v.id > %(after)s
    AND {_LIVE_PAST} ORDER BY v.id, v.version LIMIT %(limit)s
"""
_EVERY = f"{SELECT_PAST} WHERE v.tenant = %(tenant)s ORDER BY v.version"
# The last version of what is no longer kept: where it was put anew under its id, it is.
_ENDED = f"""
v.tenant = %(tenant)s AND v.ending <> 'updated' AND {_NOT_KEPT} AND {_LIVE_PAST} AND {_IS_LAST}
"""
_ENDED_RECORDS = f"{SELECT_PAST} WHERE {_ENDED} ORDER BY v.id"
_ENDED_IDS = f"""
SELECT v.id FROM clawstate.memory_versions v
WHERE v.id >= %(first)s AND v.id < %(last)s AND {_ENDED}
    AND v.ending = coalesce(%(ending)s, v.ending) ORDER BY v.id LIMIT %(limit)s
"""
_SUCCESSORS = f"""
SELECT f.id, json_agg(f.successor ORDER BY f.successor)::text FROM (
    SELECT o.id, o.successor FROM clawstate.memory_successors o
    JOIN clawstate.memory_records m ON m.tenant = o.tenant AND m.id = o.successor
    JOIN clawstate.memory_scopes s ON s.tenant = m.tenant AND s.scope = m.scope
    WHERE o.tenant = %(tenant)s AND s.namespace = coalesce(%(namespace)s, s.namespace)
        AND {LIVE}) f
GROUP BY f.id HAVING count(*) > 1 ORDER BY f.id
"""
_POSITIONS = f"""
SELECT m.thread, json_agg(m.id ORDER BY m.id)::text FROM clawstate.memory_records m
JOIN clawstate.memory_scopes s ON s.tenant = m.tenant AND s.scope = m.scope
WHERE m.tenant = %(tenant)s AND m.thread IS NOT NULL
    AND s.namespace = coalesce(%(namespace)s, s.namespace) AND {LIVE}
GROUP BY m.scope, m.thread, m.position HAVING count(*) > 1
ORDER BY m.thread, m.position, m.scope
"""
_WITHOUT_VECTOR = """
SELECT v.version, v.content FROM clawstate.memory_versions v
WHERE v.tenant = %(tenant)s AND v.embedding IS NULL AND v.began <= %(moment)s
    AND v.ended > %(moment)s AND (v.expires_at IS NULL OR v.expires_at > %(end)s)
ORDER BY v.version LIMIT %(limit)s
"""
_FILL = """
UPDATE clawstate.memory_versions v SET embedding = k.embedding, subwords = k.subwords
FROM unnest(%(versions)s::bigint[], %(embeddings)s::bytea[], %(subwords)s::bytea[])
    AS k (version, embedding, subwords)
WHERE v.tenant = %(tenant)s AND v.version = k.version AND v.embedding IS NULL
"""
_CONFLICTS: tuple[tuple[Literal["successors", "position"], str], ...] = (
    ("successors", _SUCCESSORS),
    ("position", _POSITIONS),
)
_SUCCEED = """
INSERT INTO clawstate.memory_successors VALUES (%(tenant)s, %(old)s, %(new)s) ON CONFLICT DO NOTHING
"""
_SUCCESSIONS = """
SELECT id, successor FROM clawstate.memory_successors WHERE tenant = %(tenant)s
    AND (id = ANY(%(ids)s::text[]) OR successor = ANY(%(ids)s::text[])) ORDER BY id, successor
"""
_KEPT = f"""
SELECT m.docno, m.updated_at, m.id FROM clawstate.memory_records m
WHERE m.tenant = %(tenant)s AND m.id = ANY(%(ids)s::text[]) AND {LIVE} ORDER BY m.docno FOR UPDATE
"""
_DROP = """
DELETE FROM clawstate.memory_versions
WHERE tenant = %(tenant)s AND version = ANY(%(versions)s::bigint[])
"""
_DROP_UPDATES = """
DELETE FROM clawstate.memory_versions WHERE tenant = %(tenant)s AND ending = 'updated'
"""
_DROP_SUCCESSORS = """
DELETE FROM clawstate.memory_successors WHERE tenant = %(tenant)s AND id = ANY(%(ids)s::text[])
"""
_ARE_KEPT = """
SELECT id FROM clawstate.memory_records WHERE tenant = %(tenant)s AND id = ANY(%(ids)s::text[])
"""
_ENDING, _VERSION = 17, 18  # columns of `SELECT_PAST`


class PostgresVersions:
    """The `VersionStore` of a memory, which keeps updates of records within *limits*."""

    def __init__(self, place: Place, *, limits: VersionLimits) -> None:
        self._place = place
        self._limits = limits

    def supersede(
        self, old: MemoryRecord, new: Embedded | str, *, embedder: EmbedderIdentity | None
    ) -> bool:
        """Put *new* in the place of *old* if that is still what is kept."""

        def change(within: Transaction) -> bool:
            live = self._live(within, old.id)
            past = [] if live else self._past(within, [old.id])
            present = live or (past[-1].record if past and past[-1].ending != "updated" else None)
            if present != old:
                return False
            given = new
            if isinstance(given, str):
                if self._live(within, given) is None:
                    return False
            else:
                given = begin_at_the_end(old, given) if live else given
                writing.upsert(within, [given], embedder=embedder)
            successor = given if isinstance(given, str) else given.record.id
            within.run(_SUCCEED, old=old.id, new=successor)
            if live:
                began = None if isinstance(given, str) else to_ms(given.record.created_at)
                self._put_aside(within, old, until=began)
            words.touch(within, now_ms=self._place.now_ms())
            within.note(PART, [old.id, successor])
            return True

        done = self._place.change(change, in_order=True)
        self._place.written(int(done))
        return done

    def past(self, ids: Sequence[str]) -> list[RecordVersion]:
        """Return the versions of *ids* that ended, oldest first."""
        return self._place.read(lambda within: self._past(within, ids))

    def successions(self, ids: Sequence[str]) -> list[Succession]:
        """Return who took the place of whom."""
        return [Succession(*row) for row in self._place.rows(_SUCCESSIONS, ids=list(ids))]

    def archive(self, ids: Sequence[str]) -> int:
        """Take *ids* out of what searches see."""
        if not self._place.exists():
            return 0

        def change(within: Transaction) -> int:
            now_ms = self._place.now_ms()
            found = within.rows(_KEPT, ids=list(ids), now=now_ms)
            ended = [(row[0], max(now_ms, row[1] + 1)) for row in found]
            history.keep(within, ended, "archived", limits=self._limits)
            writing.remove(within, [docno for docno, _ in ended], now_ms=now_ms)
            within.note(PART, [row[2] for row in found])
            return len(found)

        count = self._place.change(change)
        self._place.written(count)
        return count

    def restore(self, ids: Sequence[str]) -> int:
        """Put archived records back."""
        if not self._place.exists():
            return 0

        def change(within: Transaction) -> int:
            now_ms = self._place.now_ms()
            found = within.rows(_ARCHIVED, ids=list(ids), now=now_ms)
            back = [_arrival(row) for row in found]
            writing.insert(within, back, now_ms=now_ms)
            within.run(_DROP, versions=[row[_VERSION] for row in found])
            within.note(PART, [each.embedded.record.id for each in back])
            return len(back)

        return self._place.change(change)

    def archived(self, after: str | None, limit: int) -> list[RecordVersion]:
        """Return the next archived records in the order of ids."""
        now = self._place.now_ms()
        rows = self._place.rows(_LISTED, after=after or "", now=now, limit=limit)
        return [_version(row) for row in rows]

    def forget_updates(self) -> int:
        """Forget what stood in records before they were updated."""
        if not self._place.exists():
            return 0

        def change(within: Transaction) -> int:
            dropped = within.run(_DROP_UPDATES)
            if dropped:
                words.touch(within, now_ms=self._place.now_ms(), rewritten=dropped)
            return dropped

        count = self._place.change(change)
        self._place.written(count)
        return count

    def forget_chosen(self, chosen: Filter) -> int:
        """Forget the versions that *chosen* lets through."""

        # In Python: conditions of SQL speak of the table of what is kept.
        def find(within: Transaction) -> list[tuple[int, str, str]]:
            return [
                (row[_VERSION], row[1], row[_ENDING])
                for row in within.rows(_EVERY)
                if lets_through(chosen, record_of(row), now=0)
            ]

        if not self._place.read(find):
            return 0

        def change(within: Transaction) -> tuple[int, int]:
            found = find(within)
            gone = {each for _, each, ending in found if ending != "updated"}
            gone -= {row[0] for row in within.rows(_ARE_KEPT, ids=sorted(gone))}
            within.run(_DROP, versions=[number for number, _, _ in found])
            within.run(_DROP_SUCCESSORS, ids=sorted(gone))
            if found:
                words.touch(within, now_ms=self._place.now_ms(), rewritten=len(found))
                within.note(PART, sorted(gone))
            return len(found), len(gone)

        count, gone = self._place.change(change)
        self._place.written(count)
        return gone

    def ended(self, chosen: Filter) -> list[RecordVersion]:
        """Return what is no longer kept and *chosen* lets through, each as it was last."""
        # In Python, as in `forget_chosen`.
        rows = self._place.rows(_ENDED_RECORDS, now=self._place.now_ms())
        found = [_version(row) for row in rows]
        return [each for each in found if lets_through(chosen, each.record, now=0)]

    def ended_ids(self, beginning: str, limit: int, ending: Ending | None = None) -> list[str]:
        """Return ids of what is no longer kept that begin with *beginning*."""
        rows = self._place.rows(
            _ENDED_IDS,
            first=beginning,
            last=f"{beginning}{chr(0x10FFFF)}",
            now=self._place.now_ms(),
            ending=ending,
            limit=limit,
        )
        return [row[0] for row in rows]

    def conflicts(self, namespace: str | None) -> list[Conflict]:
        """Return what contradicts itself."""

        def read(within: Transaction) -> list[Conflict]:
            now = self._place.now_ms()
            return [
                Conflict(kind, tuple(json.loads(ids)), about)
                for kind, sql in _CONFLICTS
                for about, ids in within.rows(sql, namespace=namespace, now=now)
            ]

        return self._place.read(read)

    def texts_at(self, moment: float, limit: int) -> list[Text]:
        """Return texts of versions of a moment that have no vector."""
        at = to_ms(moment)
        end = max(at, self._place.now_ms())
        rows = self._place.rows(_WITHOUT_VECTOR, moment=at, end=end, limit=limit)
        return [Text(key, content_hash(text), text) for key, text in rows]

    def fill(self, made: Mapping[int, KnownVector], embedder: EmbedderIdentity) -> None:
        """Give versions their vectors."""

        def change(within: Transaction) -> None:
            # Another process may have replaced all vectors meanwhile.
            if stored_embedder(within) == embedder:
                within.run(
                    _FILL,
                    versions=list(made),
                    embeddings=[pack(vector) for vector, _ in made.values()],
                    subwords=[
                        None if numbers is None else numbers.tobytes()
                        for _, numbers in made.values()
                    ],
                )
                words.touch(within, now_ms=self._place.now_ms())

        self._place.change(change)

    def moves(self, first: float, last: float, after: Position | None, limit: int) -> list[Move]:
        """Return the next moves."""
        bounds, now_ms = (to_ms(first), to_ms(last)), self._place.now_ms()
        return self._place.read(
            lambda within: moves.find(within, bounds, after, limit, now_ms=now_ms)
        )

    def activity(self, first: float, step: float, count: int) -> Activity:
        """Return how much moved in each span."""
        spans, now_ms = (to_ms(first), to_ms(step), count), self._place.now_ms()
        return self._place.read(lambda within: moves.count(within, spans, now_ms=now_ms))

    def kept_at(
        self, moment: float, chosen: Filter, after: Position | None, limit: int
    ) -> list[MemoryRecord]:
        """Return the next records of a moment, the one made last first."""
        at, now_ms = to_ms(moment), self._place.now_ms()
        return self._place.read(
            lambda within: moves.kept_at(within, at, chosen, after, limit, now_ms=now_ms)
        )

    def forget(self, ids: Sequence[str]) -> int:
        """Forget the versions of *ids* that ended."""
        if not self._place.exists():
            return 0

        def change(within: Transaction) -> int:
            dropped, past = history.drop(within, ids)
            if dropped:
                words.touch(within, now_ms=self._place.now_ms(), rewritten=dropped)
                within.note(PART, sorted(past))
            return dropped

        count = self._place.change(change)
        self._place.written(count)
        return count

    def _put_aside(self, within: Transaction, old: MemoryRecord, *, until: int | None) -> None:
        """Take *old* out of what searches see, and keep it as it was *until* (ms), or now."""
        # Later than the version itself began, also where the clock was set back.
        now_ms = max(self._place.now_ms(), to_ms(old.updated_at) + 1)
        ended = now_ms if until is None else until
        ((docno, _, _),) = within.rows(_KEPT, ids=[old.id], now=-1)
        history.keep(within, [(docno, ended)], "superseded", limits=self._limits)
        writing.remove(within, [docno], now_ms=now_ms)

    def _live(self, within: Transaction, record_id: str) -> MemoryRecord | None:
        sql = f"{SELECT} WHERE m.tenant = %(tenant)s AND m.id = %(id)s AND {LIVE} FOR UPDATE OF m"
        found = within.rows(sql, id=record_id, now=self._place.now_ms())
        return record_of(found[0]) if found else None

    def _past(self, within: Transaction, ids: Sequence[str]) -> list[RecordVersion]:
        rows = within.rows(_PAST, ids=list(ids), now=self._place.now_ms())
        return [_version(row) for row in rows]


def _version(row: Sequence[Any]) -> RecordVersion:
    return RecordVersion(record_of(row), from_ms(row[15]), from_ms(row[16]), row[_ENDING])


def _arrival(row: Sequence[Any]) -> Arrival:
    record = record_of(row)
    vector = None if row[19] is None else unpack([row[19]])[0]
    place = (record.created_at, record.updated_at, record.position)
    whole = Embedded(record, vector, subwords_of(row[20]))
    return Arrival(whole, content_hash(record.text), place, None)
