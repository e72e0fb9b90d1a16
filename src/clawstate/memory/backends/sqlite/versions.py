"""`SqliteVersions`: the tables `versions` and `successors`, which no search reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import apsw

from clawstate.clock import from_ms, to_ms
from clawstate.memory.backends.columns import pack, record_of, subwords_of, unpack
from clawstate.memory.backends.sqlite import history, moves, writing
from clawstate.memory.backends.sqlite.rows import SELECT, stored_embedder
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
from clawstate.sqlite import Part

_OURS = "IN (SELECT value FROM json_each(?))"
_LIVE = "(m.expires_at IS NULL OR m.expires_at > ?)"
_PAST = f"""
{history.SELECT} WHERE v.id {_OURS} AND (v.expires_at IS NULL OR v.expires_at > ?)
ORDER BY v.began, v.version
"""

_ARCHIVED = (
    history.SELECT.replace("v.ending\n", "v.ending, v.version, v.embedding, v.subwords\n")
    + f"""
WHERE v.ending = 'archived' AND v.id {_OURS} AND v.id NOT IN (SELECT id FROM memories)
    AND (v.expires_at IS NULL OR v.expires_at > ?)
    AND v.version = (SELECT max(o.version) FROM versions o WHERE o.id = v.id)
ORDER BY v.docno
"""
)
_EVERY = history.SELECT.replace("v.ending\n", "v.ending, v.version\n")
# The last version of what is no longer kept: where it was put anew under its id, it is.
_ENDED = """
v.ending <> 'updated' AND v.id NOT IN (SELECT id FROM memories)
    AND (v.expires_at IS NULL OR v.expires_at > ?)
    AND v.version = (SELECT max(o.version) FROM versions o WHERE o.id = v.id)
"""
_SUCCESSORS = """
SELECT f.id, json_group_array(f.successor) FROM (
    SELECT o.id, o.successor FROM successors o JOIN memories m ON m.id = o.successor
    JOIN scopes s ON s.scope = m.scope
    WHERE (?1 IS NULL OR s.namespace = ?1) AND (m.expires_at IS NULL OR m.expires_at > ?2)
    ORDER BY o.id, o.successor) f
GROUP BY f.id HAVING count(*) > 1 ORDER BY f.id
"""
_POSITIONS = """
SELECT f.thread, json_group_array(f.id) FROM (
    SELECT m.thread, m.scope, m.position, m.id FROM memories m JOIN scopes s ON s.scope = m.scope
    WHERE m.thread IS NOT NULL AND (?1 IS NULL OR s.namespace = ?1)
        AND (m.expires_at IS NULL OR m.expires_at > ?2)
    ORDER BY m.scope, m.thread, m.position, m.id) f
GROUP BY f.scope, f.thread, f.position HAVING count(*) > 1 ORDER BY f.thread, f.position, f.scope
"""
_WITHOUT_VECTOR = """
SELECT v.version, v.content FROM versions v WHERE v.embedding IS NULL
    AND v.began <= ?1 AND v.ended > ?1 AND (v.expires_at IS NULL OR v.expires_at > ?2)
ORDER BY v.version LIMIT ?3
"""
_FILL = "UPDATE versions SET embedding = ?, subwords = ? WHERE version = ? AND embedding IS NULL"
_CONFLICTS: tuple[tuple[Literal["successors", "position"], str], ...] = (
    ("successors", _SUCCESSORS),
    ("position", _POSITIONS),
)


class SqliteVersions:
    """
    The `VersionStore` of a database, which keeps updates of records within *limits*.

    *forgot* is told how many changes left bytes behind.
    """

    def __init__(
        self,
        database: Part,
        now_ms: Callable[[], int],
        forgot: Callable[[int], None],
        *,
        limits: VersionLimits,
    ) -> None:
        self._database = database
        self._limits = limits
        self._now_ms = now_ms
        self._forgot = forgot

    def supersede(
        self, old: MemoryRecord, new: Embedded | str, *, embedder: EmbedderIdentity | None
    ) -> bool:
        """Put *new* in the place of *old* if that is still what is kept."""
        with self._database.writing() as connection:
            live = self._live(connection, old.id)
            past = [] if live else self._past(connection, [old.id])
            present = live or (past[-1].record if past and past[-1].ending != "updated" else None)
            if present != old:
                return False
            if isinstance(new, str):
                if self._live(connection, new) is None:
                    return False
            else:
                new = begin_at_the_end(old, new) if live else new
                writing.upsert(connection, [new], embedder=embedder)
            successor = new if isinstance(new, str) else new.record.id
            connection.execute(
                "INSERT OR IGNORE INTO successors VALUES (?, ?)", (old.id, successor)
            )
            if live:
                began = None if isinstance(new, str) else to_ms(new.record.created_at)
                self._put_aside(connection, old, until=began)
            writing.touch(connection, [old.id, successor], now_ms=self._now_ms())
        self._forgot(1)
        return True

    def past(self, ids: Sequence[str]) -> list[RecordVersion]:
        """Return the versions of *ids* that ended, oldest first."""
        with self._database.reading() as connection:
            return self._past(connection, ids)

    def successions(self, ids: Sequence[str]) -> list[Succession]:
        """Return who took the place of whom."""
        sql = f"""
            SELECT id, successor FROM successors WHERE id {_OURS} OR successor {_OURS}
            ORDER BY id, successor
        """
        wanted = json.dumps(list(ids))
        with self._database.reading() as connection:
            rows = connection.execute(sql, (wanted, wanted))
            return [Succession(str(old), str(new)) for old, new in rows]

    def archive(self, ids: Sequence[str]) -> int:
        """Take *ids* out of what searches see."""
        if not self._database.exists():
            return 0
        sql = f"SELECT m.docno, m.updated_at, m.id FROM memories m WHERE m.id {_OURS} AND {_LIVE}"
        with self._database.writing() as connection:
            now_ms = self._now_ms()
            found = connection.execute(sql, (json.dumps(list(ids)), now_ms)).fetchall()
            ended = [(int(str(row[0])), max(now_ms, int(str(row[1])) + 1)) for row in found]
            history.keep(connection, ended, "archived", limits=self._limits)
            writing.remove(connection, [docno for docno, _ in ended], now_ms=now_ms)
            if found:
                writing.touch(connection, [str(row[2]) for row in found], now_ms=now_ms)
        self._forgot(len(found))
        return len(found)

    def restore(self, ids: Sequence[str]) -> int:
        """Put archived records back."""
        if not self._database.exists():
            return 0
        with self._database.writing() as connection:
            rows = connection.execute(_ARCHIVED, (json.dumps(list(ids)), self._now_ms())).fetchall()
            back = [_arrival(row) for row in rows]
            writing.insert(connection, back)
            numbers = json.dumps([row[18] for row in rows])
            connection.execute(f"DELETE FROM versions WHERE version {_OURS}", (numbers,))
            if back:
                kept = [each.embedded.record.id for each in back]
                writing.touch(connection, kept, now_ms=self._now_ms())
        return len(back)

    def archived(self, after: str | None, limit: int) -> list[RecordVersion]:
        """Return the next archived records in the order of ids."""
        sql = f"""
            {history.SELECT} WHERE v.ending = 'archived' AND v.id > ?
            AND (v.expires_at IS NULL OR v.expires_at > ?) ORDER BY v.id, v.version LIMIT ?
        """
        with self._database.reading() as connection:
            rows = connection.execute(sql, (after or "", self._now_ms(), limit))
            return [_version(row) for row in rows]

    def forget_updates(self) -> int:
        """Forget what stood in records before they were updated."""
        if not self._database.exists():
            return 0
        with self._database.reading() as connection:
            sql = "SELECT EXISTS (SELECT 1 FROM versions WHERE ending = 'updated')"
            if not connection.execute(sql).get:
                return 0
        with self._database.writing() as connection:
            connection.execute("DELETE FROM versions WHERE ending = 'updated'")
            dropped = connection.changes()
            writing.add_to_meta(connection, writing.REWRITTEN, dropped)
        self._forgot(dropped)
        return dropped

    def forget_chosen(self, chosen: Filter) -> int:
        """Forget the versions that *chosen* lets through."""
        with self._database.reading() as connection:
            if not connection.execute("SELECT EXISTS (SELECT 1 FROM versions)").get:
                return 0
        with self._database.writing() as connection:
            # In Python: conditions of SQL speak of the table of what is kept.
            rows = connection.execute(_EVERY)
            found = [
                (int(row[18]), str(row[1]), row[17])
                for row in rows
                if lets_through(chosen, record_of(row), now=0)
            ]
            kept = "SELECT EXISTS (SELECT 1 FROM memories WHERE id = ?)"
            gone = {each for _, each, ending in found if ending != "updated"}
            gone = {each for each in gone if not connection.execute(kept, (each,)).get}
            numbers = json.dumps([number for number, _, _ in found])
            connection.execute(f"DELETE FROM versions WHERE version {_OURS}", (numbers,))
            ids = json.dumps(sorted(gone))
            connection.execute(f"DELETE FROM successors WHERE id {_OURS}", (ids,))
            if found:
                writing.add_to_meta(connection, writing.REWRITTEN, len(found))
                writing.touch(connection, sorted(gone), now_ms=self._now_ms())
        self._forgot(len(found))
        return len(gone)

    def ended(self, chosen: Filter) -> list[RecordVersion]:
        """Return what is no longer kept and *chosen* lets through, each as it was last."""
        with self._database.reading() as connection:
            sql = f"{history.SELECT} WHERE {_ENDED} ORDER BY v.id"
            # In Python, as in `forget_chosen`.
            found = [_version(row) for row in connection.execute(sql, (self._now_ms(),))]
        return [each for each in found if lets_through(chosen, each.record, now=0)]

    def ended_ids(self, beginning: str, limit: int, ending: Ending | None = None) -> list[str]:
        """Return ids of what is no longer kept that begin with *beginning*."""
        sql = f"""
            SELECT v.id FROM versions v WHERE v.id >= ? AND v.id < ? AND {_ENDED}
            AND v.ending = coalesce(?, v.ending) ORDER BY v.id LIMIT ?
        """
        last = f"{beginning}{chr(0x10FFFF)}"
        with self._database.reading() as connection:
            rows = connection.execute(sql, (beginning, last, self._now_ms(), ending, limit))
            return [str(row[0]) for row in rows]

    def conflicts(self, namespace: str | None) -> list[Conflict]:
        """Return what contradicts itself."""
        with self._database.reading() as connection:
            values = (namespace, self._now_ms())
            return [
                Conflict(kind, tuple(json.loads(str(ids))), str(about))
                for kind, sql in _CONFLICTS
                for about, ids in connection.execute(sql, values)
            ]

    def texts_at(self, moment: float, limit: int) -> list[Text]:
        """Return texts of versions of a moment that have no vector."""
        at = to_ms(moment)
        with self._database.reading() as connection:
            rows = connection.execute(_WITHOUT_VECTOR, (at, max(at, self._now_ms()), limit))
            return [Text(key, content_hash(text), text) for key, text in rows]

    def fill(self, made: Mapping[int, KnownVector], embedder: EmbedderIdentity) -> None:
        """Give versions their vectors."""
        rows = [
            (pack(vector), None if numbers is None else numbers.tobytes(), version)
            for version, (vector, numbers) in made.items()
        ]
        with self._database.writing() as connection:
            # Another process may have replaced all vectors meanwhile.
            if stored_embedder(connection) == embedder:
                connection.executemany(_FILL, rows)
                writing.touch(connection, now_ms=self._now_ms())

    def moves(self, first: float, last: float, after: Position | None, limit: int) -> list[Move]:
        """Return the next moves."""
        with self._database.reading() as connection:
            bounds = (to_ms(first), to_ms(last))
            return moves.find(connection, bounds, after, limit, now_ms=self._now_ms())

    def activity(self, first: float, step: float, count: int) -> Activity:
        """Return how much moved in each span."""
        spans = (to_ms(first), to_ms(step), count)
        with self._database.reading() as connection:
            return moves.count(connection, spans, now_ms=self._now_ms())

    def kept_at(
        self, moment: float, chosen: Filter, after: Position | None, limit: int
    ) -> list[MemoryRecord]:
        """Return the next records of a moment, the one made last first."""
        with self._database.reading() as connection:
            return moves.kept_at(
                connection, to_ms(moment), chosen, after, limit, now_ms=self._now_ms()
            )

    def forget(self, ids: Sequence[str]) -> int:
        """Forget the versions of *ids* that ended."""
        if not self._database.exists():
            return 0
        with self._database.writing() as connection:
            dropped, past = history.drop(connection, ids)
            if dropped:
                writing.add_to_meta(connection, writing.REWRITTEN, dropped)
                writing.touch(connection, sorted(past), now_ms=self._now_ms())
        self._forgot(dropped)
        return dropped

    def _put_aside(
        self, connection: apsw.Connection, old: MemoryRecord, *, until: int | None
    ) -> None:
        """Take *old* out of what searches see, and keep it as it was *until* (ms), or now."""
        sql = "SELECT docno FROM memories WHERE id = ?"
        docno = int(connection.execute(sql, (old.id,)).get)
        # Later than the version itself began, also where the clock was set back.
        now_ms = max(self._now_ms(), to_ms(old.updated_at) + 1)
        ended = now_ms if until is None else until
        history.keep(connection, [(docno, ended)], "superseded", limits=self._limits)
        writing.remove(connection, [docno], now_ms=now_ms)

    def _live(self, connection: apsw.Connection, record_id: str) -> MemoryRecord | None:
        sql = f"{SELECT} WHERE m.id = ? AND {_LIVE}"
        found = connection.execute(sql, (record_id, self._now_ms())).fetchall()
        return record_of(found[0]) if found else None

    def _past(self, connection: apsw.Connection, ids: Sequence[str]) -> list[RecordVersion]:
        rows = connection.execute(_PAST, (json.dumps(list(ids)), self._now_ms()))
        return [_version(row) for row in rows]


def _version(row: Sequence[Any]) -> RecordVersion:
    return RecordVersion(record_of(row), from_ms(row[15]), from_ms(row[16]), row[17])


def _arrival(row: Sequence[Any]) -> Arrival:
    record = record_of(row)
    vector = None if row[19] is None else unpack([row[19]])[0]
    place = (record.created_at, record.updated_at, record.position)
    whole = Embedded(record, vector, subwords_of(row[20]))
    return Arrival(whole, content_hash(record.text), place, None)
