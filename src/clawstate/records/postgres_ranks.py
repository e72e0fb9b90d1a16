"""Ranking rows that were written when their collection had another order, or none."""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

from clawstate.postgres.connection import Connection
from clawstate.postgres.part import Part
from clawstate.records import postgres_rows as rows
from clawstate.records.postgres_rows import RowKeys
from clawstate.records.rules import position_of

_PAGE = 1_000

_Ranks: TypeAlias = list[tuple[str, str, float]]


def rank_rows(part: Part, keys: RowKeys) -> None:
    """Rank all rows of *keys* by the order of their collection; usually there is none to rank."""
    if keys.spec.order is None:
        return
    bound = {**keys.mine, "ranked": keys.spec.order, "limit": _PAGE}
    # Two ranges: an index finds no inequality.
    for side in ("<", ">"):
        sql = (
            f"SELECT {rows.COLUMNS} FROM clawstate.records WHERE {rows.MINE}"
            f" AND ranked {side} %(ranked)s LIMIT %(limit)s"
        )
        while found := part.rows(sql, bound):
            ranks: _Ranks = []
            for head, rest, *others in found:
                record = keys.read((head, rest, *others)).record
                ranks.append((head, rest, position_of(keys.spec, record.key, record.value)[0]))
            part.change(partial(_write, keys=keys, ranks=ranks))


def _write(connection: Connection, *, keys: RowKeys, ranks: _Ranks) -> None:
    sql = (
        "UPDATE clawstate.records SET ranked = %(ranked)s, rank = %(rank)s"
        f" WHERE {rows.MINE} AND id = %(id)s AND rest = %(rest)s"
    )
    bound = {**keys.mine, "ranked": keys.spec.order}
    for head, rest, rank in ranks:
        connection.execute(sql, {**bound, "id": head, "rest": rest, "rank": rank})
