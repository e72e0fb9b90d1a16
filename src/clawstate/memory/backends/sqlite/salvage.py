"""Make what was saved of a damaged memory fit together again."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import apsw

from clawstate.clock import to_ms
from clawstate.memory.backends.columns import record_of
from clawstate.memory.backends.sqlite import (
    postings,
    schema,
    subwords,
    upkeep,
    word_index,
    writing,
)
from clawstate.memory.backends.sqlite.rows import REEMBEDDING, SELECT, stored_embedder
from clawstate.memory.records import new_id
from clawstate.sqlite import DamagedValueError
from clawstate.sqlite.salvage import Saved

_PAGE = 1000


def mend(connection: apsw.Connection, now: float, cut: AbstractSet[str]) -> Saved:
    """
    Name lost namespaces anew, remove what belongs to nothing, and derive the rest anew.

    *cut* are the tables of which not all could be read. Returns how many records were saved.
    """
    one = connection.execute
    noted: int = one("SELECT coalesce(sum(records), 0) FROM scopes").get
    notes = _lost_marks(connection, cut)
    one("INSERT OR IGNORE INTO meta VALUES ('database_id', ?)", (new_id(),))
    notes += _name_namespaces(connection)
    for docno in list(_unusable(connection)):
        one("DELETE FROM memories WHERE docno = ?", (docno,))
    one("DELETE FROM tags WHERE memory_id NOT IN (SELECT id FROM memories)")
    one("DELETE FROM imported WHERE import NOT IN (SELECT import FROM imports)")
    # A source that was taken in whole is read again: what it gave may be among what is lost.
    one("UPDATE imports SET fingerprint = NULL")
    # Searches that remember what there was look again at what is gone.
    one(
        "UPDATE scopes SET removed = removed + 1, records ="
        " (SELECT count(*) FROM memories m WHERE m.scope = scopes.scope)"
    )
    if stored_embedder(connection) is None:
        # Nobody can tell whose the vectors are: they are made anew.
        one("UPDATE memories SET embedding = NULL, subwords = NULL")
        one("DELETE FROM embedding_cache")
        one("UPDATE versions SET embedding = NULL, subwords = NULL")
    upkeep.drop_damaged_vectors(connection)
    # Which of the new vectors are lost is not known; they are soon made again.
    one("DELETE FROM reembedded")
    one("DELETE FROM meta WHERE key = ?", (REEMBEDDING,))
    # Rows that the index cannot do without may be lost, so its tables are made anew as well.
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'word_*'"
    for (name,) in one(tables).fetchall():
        one(f'DROP TABLE "{name}"')
    one(postings.TABLES)
    one(schema.SUBWORDS_BESIDE_TAIL)
    word_index.rebuild(connection)
    subwords.recount(connection)
    upkeep.mend_vectors(connection, anew=True)
    writing.count(connection, writing.REWRITTEN)
    writing.touch(connection, now_ms=to_ms(now))
    return Saved(noted, one("SELECT count(*) FROM memories").get, tuple(notes))


def _lost_marks(connection: apsw.Connection, cut: AbstractSet[str]) -> list[str]:
    has_key = connection.execute("SELECT count(*) FROM meta WHERE key = 'database_id'").get
    notes = []
    if "scopes" in cut:
        notes.append("what counts records is damaged too: more may be lost than it tells")
    if "forgotten" in cut or not has_key:
        notes.append("marks of what was forgotten are lost: an import may bring it back")
    if {"imports", "imported"} & cut:
        notes.append(
            "notes of imports are lost: what a file gave may be taken in twice once it is edited"
        )
    return notes


def _name_namespaces(connection: apsw.Connection) -> list[str]:
    one = connection.execute
    sql = """
        SELECT scope FROM (SELECT scope FROM memories UNION SELECT scope FROM versions)
        WHERE scope NOT IN (SELECT scope FROM scopes)
    """
    lost: list[Any] = one(sql).fetchall()
    if not lost:
        return []
    # A memory of one namespace is most often that which needs no name.
    has_others = len(lost) > 1 or one("SELECT count(*) FROM scopes").get
    names = {scope: f"recovered-{scope}" if has_others else "default" for (scope,) in lost}
    for scope, name in names.items():
        one("INSERT INTO scopes (scope, namespace) VALUES (?, ?)", (scope, name))
    return [f"the names of namespaces were lost; they are called {', '.join(names.values())} now"]


def _rows(connection: apsw.Connection, sql: str, values: tuple[int, ...]) -> list[Any]:
    return connection.execute(sql, values).fetchall()


def _unusable(connection: apsw.Connection) -> Iterator[int]:
    """Yield the docnos of rows that are no record."""
    sql, last = "SELECT docno FROM memories WHERE docno > ? ORDER BY docno LIMIT ?", -1
    while docnos := _rows(connection, sql, (last, _PAGE)):
        for (docno,) in docnos:
            try:
                (row,) = connection.execute(f"{SELECT} WHERE m.docno = ?", (docno,))
                record_of(row)
            except (DamagedValueError, ValueError, TypeError, LookupError, ArithmeticError):
                yield docno
        (last,) = docnos[-1]
