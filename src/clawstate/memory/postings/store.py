"""What packed postings ask of a store: blobs by key, a tail, one row of totals."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

FIELDS: Final = 4
"""Text, headings, title, names: each has lengths and a mean length of its own."""

BLOCK: Final = 16
"""How many low bits of a document's number tell it apart within its block."""

NOWHERE: Final = 0xFFFF
"""The place of what has none: a mark, and what stands behind 65,535 tokens."""

MOST: Final = 255
"""How often a term counts in one document at most."""


class Kind(IntEnum):
    """What a batch of the tail does."""

    ADD = 1  # documents come, with all their terms
    REMOVE = -1  # documents go, with all their terms
    MARK = 2  # documents that stay get terms that weigh nothing: what filters ask for
    UNMARK = -2  # and lose them


class Document(NamedTuple):
    """
    A document as it is indexed.

    `tokens` holds the number of a term and its place, `lengths` how many tokens each field has.
    """

    number: int
    lengths: Sequence[int]
    tokens: Sequence[tuple[int, int]]


class Batch(NamedTuple):
    """Some documents that one transaction added, removed or marked; `data` is made by `pack`."""

    seq: int
    kind: int
    data: bytes


class Block(NamedTuple):
    """
    Who holds one term among the documents of one block; `key` is the term's number and the block's.

    Sparse, `ids` are the `size` low halves of the documents' numbers, ascending, and `counts` how
    often each holds the term. Dense, `ids` are empty and `counts` has a place for every document.
    `places` tells where, as many for each document as it counts; empty for marks. `most` bounds the
    counts from above, `least` the lengths of the texts from below.
    """

    key: int
    dense: int
    size: int
    most: int
    least: int
    ids: bytes
    counts: bytes
    places: bytes


class Lengths(NamedTuple):
    """
    The lengths of the documents of one block, in tokens.

    `texts` are uint16, one more than the length and 0 where no document is; `fields` uint8, one row
    for each other field, or empty where none has any.
    """

    block: int
    texts: bytes
    fields: bytes


@dataclass(frozen=True, slots=True)
class Totals:
    """
    The one row of counts: what `epoch` the blocks are of, and sums that include the tail.

    `tokens` are the sums of lengths by field, `holders` how many documents have the field at all;
    `waiting` documents are in the tail, whose last batch has the number `last`.
    """

    epoch: int = 0
    documents: int = 0
    tokens: tuple[int, ...] = (0,) * FIELDS
    holders: tuple[int, ...] = (0,) * FIELDS
    waiting: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Fold:
    """
    The blocks that the tail up to `last` was merged into; those of size 0 are to go.

    `terms` may have no document any more.
    """

    epoch: int
    last: int
    blocks: Sequence[Block]
    lengths: Sequence[Lengths]
    terms: Sequence[int] = ()


class PostingReads(Protocol):
    """What a search asks of postings. All calls of one search see one state."""

    def totals(self) -> Totals:
        """Return the counts."""

    def tail(self, after: int) -> list[Batch]:
        """Return the batches behind the number *after*, in order."""

    def numbers(self, terms: Iterable[str]) -> Mapping[str, int]:
        """Return the numbers of those *terms* that have one."""

    def sizes(self, terms: Sequence[int]) -> Mapping[int, int]:
        """Return how many documents the blocks of *terms* hold; none for who has no block."""

    def blocks(self, terms: Sequence[int], placed: Collection[int]) -> list[Block]:
        """Return the blocks of *terms*, with places for those in *placed*, ordered by key."""


class PostingStore(PostingReads, Protocol):
    """Where postings lie: what folds and checks ask beyond what a search does."""

    def at(self, keys: Sequence[int]) -> list[Block]:
        """Return the whole blocks of these keys."""

    def lengths(self, blocks: Collection[int] | None = None) -> list[Lengths]:
        """Return the lengths of all blocks, or of *blocks*."""


def pack(documents: Sequence[Document]) -> bytes:
    """Return *documents* as the data of a batch."""
    # Without numpy: a write alone does not pay for loading it.
    total = sum(len(each.tokens) for each in documents)
    rows, terms, places = array("I"), array("I"), array("H")
    for row, each in enumerate(documents):
        if each.tokens:
            numbers, where = zip(*each.tokens, strict=True)
            rows.extend([row] * len(numbers))
            terms.extend(numbers)
            places.extend(where)
    lengths = array("H", (min(n, NOWHERE) for each in documents for n in each.lengths))
    numbered = array("q", (each.number for each in documents))
    parts = (numbered, lengths, rows, terms, places)
    if sys.byteorder == "big":
        for part in parts:
            part.byteswap()
    head = struct.pack("<II", len(documents), total)
    return b"".join((head, *(part.tobytes() for part in parts)))
