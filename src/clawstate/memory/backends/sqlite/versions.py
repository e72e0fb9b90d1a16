"""`SqliteVersions`: the tables `versions` and `successors`, which no search reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import cast

import apsw

from clawstate.clock import from_ms, to_ms
from clawstate.memory.backends.sqlite import history, writing
from clawstate.memory.backends.sqlite.rows import SELECT, record_of
from clawstate.memory.contract import Embedded, EmbedderIdentity
from clawstate.memory.records import MemoryRecord
from clawstate.memory.versions import Ending, RecordVersion, Succession
from clawstate.sqlite import Part

_OURS = "IN (SELECT value FROM json_each(?))"
_LIVE = "(m.expires_at IS NULL OR m.expires_at > ?)"
_PAST = f"""
{history.SELECT} WHERE v.id {_OURS} AND (v.expires_at IS NULL OR v.expires_at > ?)
ORDER BY v.began, v.version
"""


class SqliteVersions:
    """
    The `VersionStore` of a database, which keeps *most* updates of a record.

    *forgot* is told how many changes left bytes behind.
    """

    def __init__(
        self,
        database: Part,
        now_ms: Callable[[], int],
        forgot: Callable[[int], None],
        *,
        most: int,
    ) -> None:
        self._database = database
        self._most = most
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
                writing.upsert(connection, [new], embedder=embedder)
            successor = new if isinstance(new, str) else new.record.id
            connection.execute(
                "INSERT OR IGNORE INTO successors VALUES (?, ?)", (old.id, successor)
            )
            if live:
                self._put_aside(connection, old)
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

    def _put_aside(self, connection: apsw.Connection, old: MemoryRecord) -> None:
        """Take *old* out of what searches see, and keep it as the last of its versions."""
        sql = "SELECT docno FROM memories WHERE id = ?"
        docno = int(connection.execute(sql, (old.id,)).get)
        # Later than the version itself began, also where the clock was set back.
        now_ms = max(self._now_ms(), to_ms(old.updated_at) + 1)
        history.keep(connection, [(docno, now_ms)], "superseded", most=self._most)
        writing.remove(connection, [docno], now_ms=now_ms)

    def _live(self, connection: apsw.Connection, record_id: str) -> MemoryRecord | None:
        sql = f"{SELECT} WHERE m.id = ? AND {_LIVE}"
        found = connection.execute(sql, (record_id, self._now_ms())).fetchall()
        return record_of(found[0]) if found else None

    def _past(self, connection: apsw.Connection, ids: Sequence[str]) -> list[RecordVersion]:
        rows = connection.execute(_PAST, (json.dumps(list(ids)), self._now_ms()))
        return [
            RecordVersion(
                record_of(row),
                from_ms(int(str(row[15]))),
                from_ms(int(str(row[16]))),
                cast("Ending", row[17]),
            )
            for row in rows
        ]
