"""`PostgresPostings`: packed postings as `bytea`, in the transactions of the records."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from clawstate.memory.analysis import VERSION
from clawstate.memory.postings.store import (
    BLOCK,
    FIELDS,
    Batch,
    Block,
    Fold,
    Lengths,
    Totals,
)
from clawstate.postgres.transaction import Row, Transaction

_LONGEST = 600  # bytes of a token that an index holds beside a tenant
_LOW = (1 << BLOCK) - 1
ZEROS: Final = [0] * FIELDS

TAIL_ROW: Final = "seq, kind, documents, tokens, holders, scopes, data, subwords"

_TOTALS = """
SELECT epoch, documents, tokens, holders FROM clawstate.memory_totals WHERE tenant = %(tenant)s
"""
_IN_TAIL = """
SELECT documents, tokens, holders, seq FROM clawstate.memory_tail WHERE tenant = %(tenant)s
"""
_TAIL = """
SELECT seq, kind, data FROM clawstate.memory_tail
WHERE tenant = %(tenant)s AND seq > %(after)s AND kind <> 0 ORDER BY seq
"""
_NUMBERS = """
SELECT token, term FROM clawstate.memory_terms
WHERE tenant = %(tenant)s AND token = ANY(%(tokens)s::text[])
"""
_MAKE_NUMBERS = """
INSERT INTO clawstate.memory_terms (tenant, token)
SELECT %(tenant)s, t FROM unnest(%(tokens)s::text[]) t ON CONFLICT DO NOTHING RETURNING token, term
"""
BLOCK_COLUMNS: Final = "term, block, dense, size, most, least, ids, counts"
_BLOCKS = f"""
SELECT {BLOCK_COLUMNS}, CASE WHEN term = ANY(%(placed)s::bigint[]) THEN places ELSE '' END
FROM clawstate.memory_blocks
WHERE tenant = %(tenant)s AND term = ANY(%(terms)s::bigint[]) ORDER BY term, block
"""
_SIZES = """
SELECT term, sum(size)::bigint FROM clawstate.memory_blocks
WHERE tenant = %(tenant)s AND term = ANY(%(terms)s::bigint[]) GROUP BY term
"""
_AT = f"""
SELECT {BLOCK_COLUMNS}, places FROM clawstate.memory_blocks
JOIN unnest(%(terms)s::bigint[], %(blocks)s::integer[]) AS k (term, block) USING (term, block)
WHERE tenant = %(tenant)s
"""
_EVERY = f"""
SELECT {BLOCK_COLUMNS}, places FROM clawstate.memory_blocks
WHERE tenant = %(tenant)s ORDER BY term, block
"""
_LENGTHS = """
SELECT block, texts, fields FROM clawstate.memory_lengths
WHERE tenant = %(tenant)s AND (%(every)s OR block = ANY(%(blocks)s::integer[])) ORDER BY block
"""
_PUT = """
INSERT INTO clawstate.memory_blocks
    (tenant, term, block, dense, size, most, least, ids, counts, places)
SELECT %(tenant)s, * FROM unnest(%(term)s::bigint[], %(block)s::integer[], %(dense)s::smallint[],
    %(size)s::integer[], %(most)s::integer[], %(least)s::integer[], %(ids)s::bytea[],
    %(counts)s::bytea[], %(places)s::bytea[])
ON CONFLICT (tenant, term, block) DO UPDATE SET dense = excluded.dense, size = excluded.size,
    most = excluded.most, least = excluded.least, ids = excluded.ids, counts = excluded.counts,
    places = excluded.places
"""
_DROP = """
DELETE FROM clawstate.memory_blocks b
USING unnest(%(terms)s::bigint[], %(blocks)s::integer[]) AS k (term, block)
WHERE b.tenant = %(tenant)s AND b.term = k.term AND b.block = k.block
"""
_PUT_LENGTHS = """
INSERT INTO clawstate.memory_lengths (tenant, block, texts, fields)
SELECT %(tenant)s, * FROM unnest(%(block)s::integer[], %(texts)s::bytea[], %(fields)s::bytea[])
ON CONFLICT (tenant, block) DO UPDATE SET texts = excluded.texts, fields = excluded.fields
"""
_ONCE = 2_000  # blocks that one statement writes


def token_key(token: str) -> str:
    """Return what stands for *token* in the table of terms: itself, unless it is very long."""
    raw = token.encode()
    if len(raw) <= _LONGEST:
        return token
    # No other token begins so: behind a sign that no analysis gives.
    return f"\x12{hashlib.sha256(raw).hexdigest()}"


class PostgresPostings:
    """
    A `PostingStore` inside a running transaction, for folds and checks.

    Searches do not read by it, but all at once; see `WordState`.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._in = transaction

    def totals(self) -> Totals:
        """Return the counts."""
        rows = self._in.rows(_TOTALS)
        if not rows:
            return Totals()
        epoch, documents, tokens, holders = rows[0]
        tail = self._in.rows(_IN_TAIL)
        return Totals(
            epoch,
            documents + sum(row[0] for row in tail),
            tuple(map(sum, zip(tokens, *(row[1] for row in tail), strict=True))),
            tuple(map(sum, zip(holders, *(row[2] for row in tail), strict=True))),
            last=max((row[3] for row in tail), default=0),
        )

    def tail(self, after: int) -> list[Batch]:
        """Return the batches behind *after* that are seen."""
        return [Batch(*row) for row in self._in.rows(_TAIL, after=after)]

    def numbers(self, terms: Iterable[str]) -> Mapping[str, int]:
        """Return the numbers of those *terms* that have one."""
        return self._numbers({token_key(each): each for each in terms})

    def sizes(self, terms: Sequence[int]) -> Mapping[int, int]:
        """Return how many documents the blocks of *terms* hold; none for who has no block."""
        return dict(self._in.rows(_SIZES, terms=[*terms]))

    def blocks(self, terms: Sequence[int], placed: Collection[int]) -> list[Block]:
        """Return the blocks of *terms*, with places for those in *placed*."""
        return [*map(block_of, self._in.rows(_BLOCKS, terms=[*terms], placed=[*placed]))]

    def at(self, keys: Sequence[int]) -> list[Block]:
        """Return the whole blocks of these keys."""
        terms, blocks = [key >> BLOCK for key in keys], [key & _LOW for key in keys]
        return [*map(block_of, self._in.rows(_AT, terms=terms, blocks=blocks))]

    def every(self) -> Iterable[Block]:
        """Return all blocks."""
        return map(block_of, self._in.rows(_EVERY))

    def lengths(self, blocks: Collection[int] | None = None) -> list[Lengths]:
        """Return the lengths of all blocks, or of *blocks*."""
        rows = self._in.rows(_LENGTHS, every=blocks is None, blocks=[*(blocks or ())])
        return [Lengths(*row) for row in rows]

    def put(self, fold: Fold) -> None:
        """Write the blocks and lengths of *fold*."""
        kept = [each for each in fold.blocks if each.size]
        for first in range(0, len(kept), _ONCE):
            some = kept[first : first + _ONCE]
            self._in.run(
                _PUT,
                term=[each.key >> BLOCK for each in some],
                block=[each.key & _LOW for each in some],
                **{
                    name: [getattr(each, name) for each in some]
                    for name in ("dense", "size", "most", "least", "ids", "counts", "places")
                },
            )
        if gone := [each.key for each in fold.blocks if not each.size]:
            terms, blocks = [key >> BLOCK for key in gone], [key & _LOW for key in gone]
            self._in.run(_DROP, terms=terms, blocks=blocks)
        if fold.lengths:
            self._in.run(
                _PUT_LENGTHS,
                **{
                    name: [getattr(each, name) for each in fold.lengths]
                    for name in ("block", "texts", "fields")
                },
            )

    def made_numbers(self, terms: Collection[str]) -> Mapping[str, int]:
        """Return the numbers of *terms*, given out now to those that have none."""
        keys = {token_key(each): each for each in terms}
        known = dict(self._numbers(keys))
        # In one order, so that two writers of the same words wait for each other in no circle.
        while missing := sorted(key for key, token in keys.items() if token not in known):
            made = self._in.rows(_MAKE_NUMBERS, tokens=missing)
            known.update((keys[key], number) for key, number in made)
            if len(made) < len(missing):  # another writer was faster, and has committed by now
                known.update(self._numbers({key: keys[key] for key in missing}))
        return known

    def clear(self) -> None:
        """Forget everything, so that it can be made anew from the texts."""
        for table in ("terms", "blocks", "lengths", "tail"):
            self._in.run(f"DELETE FROM clawstate.memory_{table} WHERE tenant = %(tenant)s")

    def _numbers(self, keys: Mapping[str, str]) -> Mapping[str, int]:
        rows = self._in.rows(_NUMBERS, tokens=[*keys]) if keys else []
        return {keys[key]: number for key, number in rows}


def block_of(row: Row) -> Block:
    """Return the block in a row of its columns."""
    term, block, *rest = row
    return Block(term << BLOCK | block, *rest)


ANALYSIS: Final = VERSION
