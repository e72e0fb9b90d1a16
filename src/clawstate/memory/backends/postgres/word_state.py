"""`WordState`: what one process knows of the words in one state of the database, and of counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from clawstate.memory.backends.subword_batches import Counts, unpack
from clawstate.memory.postings.folding import arrays
from clawstate.memory.postings.snapshot import Snapshot
from clawstate.memory.postings.store import FIELDS, Batch, Kind, Lengths, Totals
from clawstate.memory.postings.tail import Tail
from clawstate.memory.postings.term_blocks import BUDGET, BUDGET_EACH, BlockLengths, TermCache


class Head(NamedTuple):
    """What is asked first of a state: whose it is, what was merged, and who may still commit."""

    database_id: str
    embedder: str | None
    epoch: int
    documents: int
    tokens: Sequence[int]
    holders: Sequence[int]
    changes: int
    horizon: int  # all transactions below it are over
    has_expired: bool
    next_end: int | None


class TailRow(NamedTuple):
    """A change that no fold has merged yet, with the number of its transaction."""

    seq: int
    kind: int
    documents: int
    tokens: Sequence[int]
    holders: Sequence[int]
    scopes: Sequence[int]
    data: bytes
    subwords: bytes | None
    xid: int = 0


class ScopeCounts(NamedTuple):
    """How many records and subwords came to a namespace, or left it, since the last fold."""

    records: int = 0
    subwords: int = 0


@dataclass(frozen=True, slots=True)
class WordState:
    """
    The blocks of one epoch and the rows of the tail that one snapshot of the database saw.

    It never changes. Numbers of the tail are not in the order of commits, so what is new in a later
    snapshot is found by transactions: of those below `horizon` all rows are here.
    """

    database_id: str
    epoch: int
    horizon: int
    changes: int
    rows: Mapping[int, TailRow]
    snapshot: Snapshot
    counted: Counts = field(default_factory=dict)
    scopes: Mapping[int, ScopeCounts] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    """The numbers of terms that were asked for; they stay as long as the epoch."""

    @property
    def unsettled(self) -> list[int]:
        """The rows that are here already of transactions above the horizon."""
        return [seq for seq, row in self.rows.items() if row.xid >= self.horizon]

    @property
    def newer(self) -> tuple[int, int]:
        """What is greater in a state that has seen more."""
        return self.epoch, self.changes


def next_state(
    known: WordState | None, head: Head, came: Iterable[TailRow], lengths: Iterable[Lengths]
) -> WordState:
    """Return the state that *head* tells of: *known*, if it is of that epoch, and what *came*."""
    fresh = {row.seq: row for row in came}
    if known is not None and (known.database_id, known.epoch) == (head.database_id, head.epoch):
        if not fresh:
            return replace(known, horizon=head.horizon)
        return _extend(known, head, fresh)
    budget = max(BUDGET, BUDGET_EACH * head.documents)
    blocks: BlockLengths = {each.block: arrays(each) for each in lengths}
    snapshot = Snapshot(Totals(), blocks, Tail(), TermCache(budget))
    empty = WordState(head.database_id, head.epoch, head.horizon, 0, {}, snapshot)
    return _extend(empty, head, fresh)


def _extend(known: WordState, head: Head, fresh: Mapping[int, TailRow]) -> WordState:
    rows = {**known.rows, **fresh}
    # Where a transaction committed later than others that came behind it, all is put in order anew:
    # of what is marked twice the last counts.
    in_order = min(fresh, default=0) > max(known.rows, default=0)
    tail = known.snapshot.tail if in_order or not fresh else Tail()
    added = [rows[seq] for seq in sorted(fresh if in_order else rows)]
    tail = tail.extend([Batch(row.seq, row.kind, row.data) for row in added if row.kind])
    counted: Counts = {scope: Counter(each) for scope, each in known.counted.items()}
    scopes = dict(known.scopes)
    for row in fresh.values():
        count_subwords(counted, row)
        for scope, records, subwords in triples(row.scopes):
            before = scopes.get(scope, ScopeCounts())
            scopes[scope] = ScopeCounts(before.records + records, before.subwords + subwords)
    totals = Totals(
        head.epoch,
        head.documents + sum(row.documents for row in rows.values()),
        _sums(head.tokens, [row.tokens for row in rows.values()]),
        _sums(head.holders, [row.holders for row in rows.values()]),
        last=max(rows, default=0),
    )
    old = known.snapshot
    return replace(
        known,
        horizon=head.horizon,
        changes=head.changes + len(rows),
        rows=rows,
        snapshot=Snapshot(totals, old.lengths, tail, old.terms),
        counted=counted,
        scopes=scopes,
    )


def count_subwords(counted: Counts, row: TailRow) -> None:
    """Count what *row* has of subwords."""
    for scope, numbers in unpack(row.subwords or b""):
        counts = counted.setdefault(scope, Counter())
        if row.kind == Kind.REMOVE:
            counts.subtract(numbers)
        else:
            counts.update(numbers)


def triples(flat: Sequence[int]) -> Iterable[tuple[int, int, int]]:
    """Give the namespaces in a row of the tail, with the records and subwords that came."""
    return zip(flat[::3], flat[1::3], flat[2::3], strict=True)


def _sums(base: Sequence[int], rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    columns = zip(base, *rows, strict=True) if base else zip(*rows, strict=True)
    return tuple(map(sum, columns)) or (0,) * FIELDS
