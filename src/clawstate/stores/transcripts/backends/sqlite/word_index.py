"""
The words of the messages on FTS5: Porter stems, ranked by BM25 (k1 = 1.2, b = 0.75).

A row has the mark of its session, that of its role, and the words. The marks restrict a search
inside the index and weigh nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import apsw

from clawstate.sqlite.words import quote_phrase, space_signs, stems
from clawstate.stores.transcripts.contract import Bounds
from clawstate.stores.transcripts.queries import best

_LARGE_SHARE = 0.2

# Not "ORDER BY rank": that sorts every match inside FTS5 and takes half as long again.
_RANKED = """
SELECT f.rowid, -bm25(message_words, 0.0, 0.0, 1.0) AS score FROM message_words f {join}
WHERE message_words MATCH ? {condition}
ORDER BY score DESC, f.rowid DESC LIMIT ?
"""


class _Scope(NamedTuple):
    session: int | None  # asked of each row that matches
    mark: str  # asked of the index


def add(
    connection: apsw.Connection, position: int, session: int, role: str | None, words: str
) -> None:
    """Index *words* as those of the entry at *position*."""
    connection.execute(
        "INSERT INTO message_words (rowid, scope, role, content) VALUES (?, ?, ?, ?)",
        (
            position,
            f"s{session}",
            f"r{role or ''}",
            # JSON may hold half a surrogate pair, which no UTF-8 can.
            space_signs(words).encode(errors="replace").decode(),
        ),
    )


def remove(connection: apsw.Connection, positions: str) -> None:
    """Take *positions* (a JSON list) out of the index."""
    connection.execute(
        "DELETE FROM message_words WHERE rowid IN (SELECT value FROM json_each(?))", (positions,)
    )


def search(
    connection: apsw.Connection,
    terms: Sequence[str],
    bounds: Bounds,
    session: int | None,
    limit: int,
) -> list[tuple[int, float]]:
    """Return the best *limit* (position, score) within *bounds*, whose session has this number."""
    words = _Words(connection, bounds, _scope(connection, session), limit)
    return best(words, terms, limit)


class _Words(NamedTuple):
    connection: apsw.Connection
    bounds: Bounds
    scope: _Scope
    limit: int

    def rank(self, words: Sequence[str], *, require_all: bool) -> list[tuple[int, float]]:
        match = (" AND " if require_all else " OR ").join(map(quote_phrase, words))
        return _rank(self.connection, match, self.bounds, self.scope, self.limit)

    def frequency(self, word: str) -> int:
        sql = "SELECT doc FROM message_vocabulary WHERE term = ?"
        found = (self.connection.execute(sql, (stem,)).get or 0 for stem in stems(word))
        return min(found, default=0)

    def total(self) -> int:
        # An estimate: a count would walk the whole table.
        return self.connection.execute("SELECT max(position) FROM messages").get or 0


def _scope(connection: apsw.Connection, session: int | None) -> _Scope:
    """Restrict a search to *session*: inside the index, if that saves anything."""
    if session is None:
        return _Scope(None, "")
    # The mark of a session that has most of the messages is a list as long as all of them.
    held = connection.execute("SELECT messages FROM transcripts WHERE session = ?", (session,)).get
    total = connection.execute("SELECT max(position) FROM messages").get or 0
    if held > total * _LARGE_SHARE:
        return _Scope(session, "")
    return _Scope(None, f"(scope : s{session}) AND ")


def _rank(
    connection: apsw.Connection, words: str, bounds: Bounds, scope: _Scope, limit: int
) -> list[tuple[int, float]]:
    match = f"{scope.mark}content : ({words})"
    condition = ""
    values: list[str | int] = []
    if bounds.role is not None:
        match = f"(role : {quote_phrase(f'r{bounds.role}')}) AND {match}"
    # The index folds and stems the mark of a role, so the row is asked for it as well.
    for column, bound in (
        ("session =", scope.session),
        ("role =", bounds.role),
        ("timestamp >=", bounds.since_ms),
        ("timestamp <", bounds.until_ms),
    ):
        if bound is not None:
            condition += f" AND m.{column} ?"
            values.append(bound)
    sql = _RANKED.format(
        join="JOIN messages m ON m.position = f.rowid" if condition else "", condition=condition
    )
    return list(connection.execute(sql, (match, *values, limit)))
