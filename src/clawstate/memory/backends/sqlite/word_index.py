"""
The word leg on FTS5: Porter stems, BM25 as FTS5 defines it (k1 = 1.2, b = 0.75).

Only this module knows how words are indexed. Each row has two columns, the mark of its namespace
and its text; the mark restricts a search to one namespace inside the index and weighs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import apsw

from clawstate.memory.contract import Scores, WordQuery

# Scripts written without spaces: each sign is indexed as a word, so that any part is found.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f])"
)

# Not "ORDER BY rank": that sorts every match inside FTS5 and takes half as long again.
_RANKED = """
SELECT f.rowid, bm25(memory_words, 0.0, 1.0) AS score FROM memory_words f {join}
WHERE memory_words MATCH ? {condition}
ORDER BY score LIMIT ?
"""


def add(connection: apsw.Connection, rows: Iterable[tuple[int, int, str]]) -> None:
    """Index the text of each (docno, scope, text)."""
    connection.executemany(
        "INSERT INTO memory_words (rowid, scope, content) VALUES (?, ?, ?)",
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
    condition: tuple[str, list[Any]] | None,
    limit: int,
) -> tuple[Scores, Scores]:
    """
    Return the best *limit* rows by the terms of *query*, and by its phrases.

    *scope* None searches all namespaces; *condition* is SQL over the row `m` of `memories`.
    """
    by_terms = _ranked(connection, map(_quoted, query.terms), scope, condition, limit)
    if not by_terms:
        return {}, {}
    phrases = (_quoted(" ".join(pair)) for pair in query.phrases)
    return by_terms, _ranked(connection, phrases, scope, condition, limit)


def spaced(text: str) -> str:
    """Return *text* with blanks around the signs of scripts that are written without."""
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def _ranked(
    connection: apsw.Connection,
    alternatives: Iterable[str],
    scope: int | None,
    condition: tuple[str, list[Any]] | None,
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


def _quoted(words: str) -> str:
    return '"' + spaced(words).replace('"', '""') + '"'
