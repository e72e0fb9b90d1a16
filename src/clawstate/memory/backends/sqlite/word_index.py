"""
The word leg on FTS5: Porter stems, BM25 as FTS5 defines it (k1 = 1.2, b = 0.75).

Only this module knows how words are indexed. Each row has two columns, the mark of its namespace
and its text; the mark restricts a search to one namespace inside the index and weighs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import apsw

from clawstate.memory.backends.sqlite.conditions import Bound
from clawstate.memory.contract import Scores, WordQuery
from clawstate.memory.query_words import MANY_ROWS, telling
from clawstate.sqlite.words import quoted, spaced, stems

# Not "ORDER BY rank": that sorts every match inside FTS5 and takes half as long again.
_RANKED = """
SELECT f.rowid, bm25(memory_words, 0.0, 1.0) AS score FROM memory_words f {join}
WHERE memory_words MATCH ? {condition}
ORDER BY score LIMIT ?
"""
# The unary plus keeps SQLite from running the whole match again for each docno.
_SCORED = """
SELECT {number}, f.rowid, -bm25(memory_words, 0.0, 1.0) FROM memory_words f
WHERE memory_words MATCH ? AND +f.rowid IN (SELECT docno FROM wanted)
"""
_FREQUENCIES = """
SELECT v.term, v.doc FROM json_each(?) k CROSS JOIN memory_vocabulary v ON v.term = k.value
"""


def add(connection: apsw.Connection, rows: Iterable[tuple[int, int, str]]) -> None:
    """Index the text of each (docno, scope, text)."""
    connection.executemany(
        "INSERT INTO memory_words (rowid, scope, content) VALUES (?, ?, ?)",
        # A letter before the number, so that the mark of a namespace is one token that stems to
        # itself.
        ((docno, f"s{scope}", spaced(text)) for docno, scope, text in rows),
    )


def remove(connection: apsw.Connection, docnos: Iterable[int]) -> None:
    """Take *docnos* out of the index."""
    connection.executemany("DELETE FROM memory_words WHERE rowid = ?", ((no,) for no in docnos))


def search(
    connection: apsw.Connection,
    query: WordQuery,
    *,
    scope: int | None,
    total: int,
    condition: Bound | None,
    limit: int,
) -> tuple[Scores, Scores]:
    """
    Return the best *limit* rows by the terms of *query*, and by its phrases.

    *scope* None searches all namespaces, which hold *total* rows; *condition* is SQL over the row
    `m` of `memories`.
    """
    chosen = _telling(connection, query.terms, total)
    by_terms = _ranked(connection, map(quoted, chosen), scope, condition, limit)
    if not by_terms and len(chosen) < len(query.terms):
        # The rare terms are in other namespaces, or in what *condition* leaves out.
        chosen = query.terms
        by_terms = _ranked(connection, map(quoted, chosen), scope, condition, limit)
    if not by_terms:
        return {}, {}
    if len(chosen) < len(query.terms):
        _add(by_terms, connection, [term for term in query.terms if term not in chosen])
    phrases = (quoted(" ".join(pair)) for pair in query.phrases)
    return by_terms, _ranked(connection, phrases, scope, condition, limit)


def lists(
    connection: apsw.Connection, query: WordQuery, docnos: str
) -> tuple[list[Scores], list[Scores]]:
    """Return the BM25 of *docnos* (a JSON list) for each term, and for each phrase."""
    alternatives = [*query.terms, *(" ".join(pair) for pair in query.phrases)]
    found: list[Scores] = [{} for _ in alternatives]
    if alternatives and docnos != "[]":
        parts = (_SCORED.format(number=number) for number in range(len(alternatives)))
        wanted = "WITH wanted (docno) AS MATERIALIZED (SELECT value FROM json_each(?))"
        matches = (f"content : {quoted(each)}" for each in alternatives)
        rows = connection.execute(f"{wanted} {' UNION ALL '.join(parts)}", (docnos, *matches))
        for number, docno, score in rows:
            found[number][docno] = score
    return found[: len(query.terms)], found[len(query.terms) :]


def _ranked(
    connection: apsw.Connection,
    alternatives: Iterable[str],
    scope: int | None,
    condition: Bound | None,
    limit: int,
) -> Scores:
    match = " OR ".join(dict.fromkeys(alternatives))
    if not match:
        return {}
    match = f"content : ({match})"
    if scope is not None:
        match = f"(scope : s{scope}) AND {match}"
    text, values = condition or ("", [])
    sql = _RANKED.format(
        join="JOIN memories m ON m.docno = f.rowid" if text else "",
        condition=f"AND {text}" if text else "",
    )
    rows = connection.execute(sql, (match, *values, limit))
    return {docno: -score for docno, score in rows}


def _telling(connection: apsw.Connection, terms: tuple[str, ...], total: int) -> tuple[str, ...]:
    if total < MANY_ROWS:
        return terms
    found = {term: stems(term) for term in terms}
    wanted = json.dumps([stem for each in found.values() for stem in each])
    rows = dict(connection.execute(_FREQUENCIES, (wanted,)))
    # A term of several stems is a phrase, which stands in no more rows than its rarest stem.
    frequencies = {
        term: min((rows.get(stem, 0) for stem in parts), default=0) for term, parts in found.items()
    }
    return telling(frequencies, total)


def _add(scores: Scores, connection: apsw.Connection, terms: Iterable[str]) -> None:
    docnos = json.dumps(list(scores))
    for each in lists(connection, WordQuery(tuple(terms)), docnos)[0]:
        for docno, score in each.items():
            scores[docno] += score
