"""
The words of the messages as arrays of stems, ranked by BM25 (k1 = 1.2, b = 0.75) as FTS5 has it.

A row counts two tokens more than it has words, which are the marks of session and role on SQLite:
so scores are the same on every engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from clawstate.postgres.transaction import Transaction
from clawstate.sqlite.words import stems
from clawstate.stores.transcripts.contract import Bounds
from clawstate.stores.transcripts.queries import best

MARKS = 2
"""How many tokens a row counts beside its words."""

_LONGEST = 600  # bytes of a stem that an index of arrays takes
_LEAST_WEIGHT = 1e-6
_TOTALS = """
SELECT coalesce(sum(worded), 0)::bigint, coalesce(sum(tokens), 0)::bigint
FROM clawstate.transcripts WHERE tenant = %(tenant)s
"""
_FREQUENCY = """
SELECT count(*) FROM clawstate.messages
WHERE tenant = %(tenant)s AND stems @> %(stems)s::text[]
"""
_HOLDERS = """
p{number} AS MATERIALIZED (
    SELECT * FROM (SELECT m.position, m.length, {count} AS n FROM clawstate.messages m
        WHERE m.tenant = %(tenant)s AND m.stems @> %(s{number})s::text[]) k WHERE n > 0)
"""
_SCORES = """
SELECT position, w.weight * n * 2.2
    / (n + 1.2 * (0.25 + 0.75 * length / %(mean)s::double precision)) AS score
FROM p{number}, (
    SELECT CASE WHEN f.n < %(total)s / 2.0
        THEN ln((%(total)s - f.n + 0.5::double precision) / (f.n + 0.5)) ELSE {least} END AS weight
    FROM (SELECT count(*) AS n FROM p{number}) f) w
"""
_RANKED = """
WITH {holders}
SELECT k.position, sum(k.score) AS total FROM ({scores}) k
JOIN clawstate.messages m ON m.tenant = %(tenant)s AND m.position = k.position
WHERE {bounds} GROUP BY k.position HAVING count(*) >= %(least)s
ORDER BY total DESC, k.position DESC LIMIT %(limit)s
"""


def stems_of(words: str) -> list[str]:
    """Return the stems of *words* in their order, as they are kept."""
    return [_key(each) for each in stems(words)]


def search(
    within: Transaction, terms: Sequence[str], bounds: Bounds, session: int | None, limit: int
) -> list[tuple[int, float]]:
    """Return the best *limit* (position, score) within *bounds*, whose session has this number."""
    total, tokens = within.rows(_TOTALS)[0]
    return best(_Words(within, bounds, session, limit, total, tokens), terms, limit)


class _Words(NamedTuple):
    within: Transaction
    bounds: Bounds
    session: int | None
    limit: int
    rows: int
    tokens: int

    def rank(self, words: Sequence[str], *, require_all: bool) -> list[tuple[int, float]]:
        phrases = [stems_of(each) for each in words]
        if not phrases or (require_all and not all(phrases)) or not any(phrases):
            return []
        given = [each for each in phrases if each]
        values: dict[str, Any] = {
            "total": self.rows,
            "mean": self.tokens / max(self.rows, 1),
            "least": len(given) if require_all else 1,
            "limit": self.limit,
        }
        for number, phrase in enumerate(given):
            values[f"s{number}"] = phrase
        holders = ",".join(
            _HOLDERS.format(number=number, count=_count(number, len(phrase)))
            for number, phrase in enumerate(given)
        )
        scores = " UNION ALL ".join(
            _SCORES.format(number=number, least=_LEAST_WEIGHT) for number in range(len(given))
        )
        text, bound = self._within()
        sql = _RANKED.format(holders=holders, scores=scores, bounds=text)
        found = self.within.rows(sql, **values, **bound)
        return [(position, float(score)) for position, score in found]

    def frequency(self, word: str) -> int:
        found = (int(self.within.one(_FREQUENCY, stems=[each])) for each in stems_of(word))
        return min(found, default=0)

    def total(self) -> int:
        return self.rows

    def _within(self) -> tuple[str, dict[str, Any]]:
        conditions = {
            "m.session = %(session)s": self.session,
            "m.role = %(role)s": self.bounds.role,
            "m.timestamp >= %(since)s": self.bounds.since_ms,
            "m.timestamp < %(until)s": self.bounds.until_ms,
        }
        asked = {sql: value for sql, value in conditions.items() if value is not None}
        names = {sql: sql.partition("%(")[2].partition(")")[0] for sql in asked}
        return " AND ".join(asked) or "true", {names[sql]: each for sql, each in asked.items()}


def _count(number: int, length: int) -> str:
    """Return SQL for how often the stems of a phrase stand together."""
    first = f"array_positions(m.stems, (%(s{number})s::text[])[1])"
    if length == 1:
        return f"cardinality({first})"
    behind = " AND ".join(
        f"m.stems[at + {place}] = (%(s{number})s::text[])[{place + 1}]"
        for place in range(1, length)
    )
    return f"(SELECT count(*) FROM unnest({first}) at WHERE {behind})"


def _key(stem: str) -> str:
    raw = stem.encode()
    return stem if len(raw) <= _LONGEST else f"\x02{hashlib.sha256(raw).hexdigest()}"
