"""
The words of the messages on FTS5: Porter stems, ranked by BM25 (k1 = 1.2, b = 0.75).

A row has the mark of its session, that of its role, and the words. The marks restrict a search
inside the index and weigh nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import apsw

from clawstate.sqlite.words import quoted, sign_places, spaced, stems

_TERM = re.compile(r'"([^"]*)"|(\w+)')
_MOST_TERMS = 32

# A word in every twentieth message chooses nothing, but costs most of the time of a search.
_MANY_ROWS = 20_000
_COMMON_SHARE = 0.05
_LARGE_SHARE = 0.2

# Not "ORDER BY rank": that sorts every match inside FTS5 and takes half as long again.
_RANKED = """
SELECT f.rowid, -bm25(message_words, 0.0, 0.0, 1.0) AS score FROM message_words f {join}
WHERE message_words MATCH ? {condition}
ORDER BY score DESC, f.rowid DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which messages may be found; times in milliseconds, *until* itself left out."""

    session: int | None = None
    role: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


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
            spaced(words).encode(errors="replace").decode(),
        ),
    )


def remove(connection: apsw.Connection, positions: str) -> None:
    """Take *positions* (a JSON list) out of the index."""
    connection.execute(
        "DELETE FROM message_words WHERE rowid IN (SELECT value FROM json_each(?))", (positions,)
    )


def terms_of(query: str) -> list[str]:
    """Return the words of *query*, and what stands in double quotes as one, without repetitions."""
    found = (phrase or word for phrase, word in _TERM.findall(query))
    return list(dict.fromkeys(each.lower() for each in found if each.strip()))[:_MOST_TERMS]


def search(
    connection: apsw.Connection, terms: list[str], bounds: Bounds, limit: int
) -> list[tuple[int, float]]:
    """
    Return the best *limit* (position, score): first what has all terms, then what has some.

    Among equals the newer comes first. A score is from 0 to 1, above one half for what has all.
    """
    scope = _scope(connection, bounds.session)
    every = _ranked(connection, " AND ".join(map(quoted, terms)), bounds, scope, limit)
    all_of_them = [(position, (1 + _share(score)) / 2) for position, score in every]
    if len(every) == limit or len(parts := list(_parts(connection, terms))) < 2:
        return all_of_them
    some = _ranked(connection, " OR ".join(map(quoted, parts)), bounds, scope, limit)
    have = {position for position, _ in every}
    rest = [(position, _share(score) / 2) for position, score in some if position not in have]
    return (all_of_them + rest)[:limit]


def _share(score: float) -> float:
    """Return a BM25 *score*, which has no upper bound and may be next to nothing, as 0 to 1."""
    return score / (1 + score) if score > 0 else 0.0


def _parts(connection: apsw.Connection, terms: list[str]) -> Iterator[str]:
    """Give what may be found by itself: telling words, and pairs of signs."""
    common = _common(connection, terms)
    for term in [each for each in terms if each not in common] or terms:
        places = sign_places(term)
        if len(places) < len(term) or len(term) < 3:
            yield term
        else:
            yield from (first + second for first, second in pairwise(term))


def _common(connection: apsw.Connection, terms: Iterable[str]) -> set[str]:
    total = connection.execute("SELECT max(position) FROM messages").get or 0
    if total < _MANY_ROWS:
        return set()
    return {term for term in terms if _frequency(connection, term) > total * _COMMON_SHARE}


def _frequency(connection: apsw.Connection, term: str) -> int:
    sql = "SELECT doc FROM message_vocabulary WHERE term = ?"
    found = (connection.execute(sql, (stem,)).get or 0 for stem in stems(connection, term))
    return min(found, default=0)


def _scope(connection: apsw.Connection, session: int | None) -> str:
    """Return what restricts a search to *session* inside the index, if that saves anything."""
    if session is None:
        return ""
    # The mark of a session that has most of the messages is a list as long as all of them.
    held = connection.execute("SELECT messages FROM transcripts WHERE session = ?", (session,)).get
    total = connection.execute("SELECT max(position) FROM messages").get or 0
    return "" if held > total * _LARGE_SHARE else f"(scope : s{session}) AND "


def _ranked(
    connection: apsw.Connection, words: str, bounds: Bounds, scope: str, limit: int
) -> list[tuple[int, float]]:
    match = f"{scope}content : ({words})"
    condition = ""
    values: list[str | int] = []
    if bounds.role is not None:
        match = f"(role : {quoted(f'r{bounds.role}')}) AND {match}"
    for column, bound in (
        ("session =", None if scope else bounds.session),
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
