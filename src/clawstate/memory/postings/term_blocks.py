"""`TermBlocks`: what the blocks of one epoch hold of a term, decoded, and kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clawstate.interrupts import Mutex
from clawstate.memory.postings.folding import LOW
from clawstate.memory.postings.store import BLOCK, Block, PostingReads

Part: TypeAlias = tuple[NDArray[np.uint16] | None, NDArray[np.uint8]]
"""The low halves of documents' numbers and the counts; None: a count for each document."""

BlockLengths: TypeAlias = Mapping[int, tuple[NDArray[np.uint16], NDArray[np.uint8] | None]]
"""The lengths of the documents of each block: of their texts, and of their other fields."""

Listed: TypeAlias = tuple[NDArray[np.uint32], NDArray[np.uint8]]
"""The numbers of documents, ascending, and their counts."""

BUDGET = 64 << 20
"""Bytes of lists that are kept between searches at least: all of 300,000 records."""

BUDGET_EACH = 384
"""Bytes for each record, where that is more: less than its vector takes in memory."""

_SHARE = 8  # of the budget: a list that is longer would drive out many others


class Places(NamedTuple):
    """
    All documents of a term, ascending, with how often they hold it and where.

    The places of a document are those from its start on, as many as it counts.
    """

    docs: NDArray[np.uint32]
    counts: NDArray[np.uint8]
    starts: NDArray[np.int64]
    places: NDArray[np.uint16]

    def of(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the places of the documents at *rows*, each behind the number of its row's."""
        many = self.counts.take(rows)
        ends = many.cumsum(dtype=np.int64)
        at = (self.starts.take(rows) - ends + many).repeat(many)
        at += np.arange(len(at))
        found = np.arange(len(rows), dtype=np.int64).repeat(many)
        found <<= 16
        found |= self.places.take(at)
        return found


@dataclass(slots=True)
class TermBlocks:
    """
    The lists of one term by block, which never change.

    `bounds` are the highest count and the least length of a text; `places` are there where they
    were asked for.
    """

    is_placed: bool = False
    size: int = 0
    held: int = 0
    """How many bytes it takes."""
    parts: dict[int, Part] = field(default_factory=dict)
    bounds: dict[int, tuple[int, int]] = field(default_factory=dict)
    places: dict[int, NDArray[np.uint16]] = field(default_factory=dict)
    _sparse: Listed | None = None
    _every: Places | None = None
    _keys: NDArray[np.int64] | None = None

    def sparse(self) -> Listed:
        """Return the documents of all blocks that list them, ascending, and their counts."""
        # One list for a search in it: a look into each block would cost more than it finds.
        if self._sparse is None:
            self._sparse = _join(
                [(block, *part) for block, part in self.parts.items() if part[0] is not None]
            )
        return self._sparse

    def with_places(self) -> Places:
        """Return all documents with their places; raises `ValueError` for damage."""
        if self._every is None:
            docs, counts = self._lists()
            places = self._places()
            ends: NDArray[np.int64] = counts.cumsum(dtype=np.int64)
            if len(places) != (int(ends[-1]) if len(ends) else 0):
                raise ValueError("places of the word index do not fit their counts")
            starts: NDArray[np.int64] = np.subtract(ends, counts, dtype=np.int64)
            self._every = Places(docs, counts, starts, places)
        return self._every

    def keys(self) -> NDArray[np.int64]:
        """Return all documents' numbers with a place of 16 bits behind; `ValueError` for damage."""
        if self._keys is None:
            docs, counts = self._lists()
            keys: NDArray[np.int64] = docs.astype(np.int64)
            keys <<= 16
            keys = keys.repeat(counts)
            keys |= self._places()
            self._keys = keys
        return self._keys

    def _lists(self) -> Listed:
        if all(part[0] is not None for part in self.parts.values()):
            return self.sparse()
        return _join([(block, *part) for block, part in self.parts.items()])

    def _places(self) -> NDArray[np.uint16]:
        places = [*self.places.values()]
        return places[0] if len(places) == 1 else np.concatenate([_NONE, *places])


_NONE = np.empty(0, np.uint16)


def _join(
    parts: Sequence[tuple[int, NDArray[np.uint16] | None, NDArray[np.uint8]]],
) -> Listed:
    if not parts:
        return np.empty(0, np.uint32), np.empty(0, np.uint8)
    low: list[NDArray[np.integer]] = []
    counts: list[NDArray[np.uint8]] = []
    for _, ids, many in parts:
        here = np.flatnonzero(many != 0) if ids is None else ids
        low.append(here)
        counts.append(many[here] if ids is None else many)
    blocks = np.array([block for block, _, _ in parts], np.uint32) << BLOCK
    docs = np.concatenate(low).astype(np.uint32)
    docs += blocks.repeat([len(each) for each in low])
    return docs, np.concatenate(counts)


def decode_blocks(
    lengths: BlockLengths,
    blocks: Iterable[Block],
    terms: Iterable[int],
    placed: Collection[int] = (),
) -> dict[int, TermBlocks]:
    """Return what *blocks* hold of each of *terms*; raises `ValueError` for damage."""
    found = {term: TermBlocks(term in placed) for term in terms}
    for each in blocks:
        one = found[each.key >> BLOCK]
        block = each.key & LOW
        counts = np.frombuffer(each.counts, np.uint8)
        ids = None if each.dense else np.frombuffer(each.ids, "<u2")
        slots = len(lengths[block][0]) if block in lengths else 0
        wrong = len(counts) > slots if ids is None else len(ids) != len(counts)
        if wrong or (ids is not None and len(ids) and int(ids[-1]) >= slots):
            raise ValueError(f"block {each.key} of the word index does not fit")
        one.parts[block] = ids, counts
        one.bounds[block] = each.most, each.least
        one.size += each.size
        if each.places:
            one.places[block] = np.frombuffer(each.places, "<u2")
        # With what the lists of all blocks together will take, and some for the objects.
        joined = (18 if each.places else 5) * each.size
        one.held += len(each.ids) + len(each.counts) + 2 * len(each.places) + joined + 1000
    return found


class TermCache:
    """The terms last asked for in one epoch of the blocks. Thread-safe."""

    # In questions the same words come again and again, and to read and decode them takes a third
    # of the time of a search by words. A fold makes other blocks, and its epoch gets another cache.
    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._mutex = Mutex()
        self._kept: OrderedDict[int, TermBlocks] = OrderedDict()  # least recently used first
        self._held = 0

    def find(
        self,
        store: PostingReads,
        lengths: BlockLengths,
        terms: Collection[int],
        placed: Collection[int] = (),
    ) -> dict[int, TermBlocks]:
        """Return what *store* has of *terms*, with places for those in *placed*."""
        found: dict[int, TermBlocks] = {}
        with self._mutex:
            for term in terms:
                known = self._kept.get(term)
                if known is not None and (known.is_placed or term not in placed):
                    self._kept.move_to_end(term)
                    found[term] = known
        missing = [term for term in terms if term not in found]
        if missing:
            read = decode_blocks(lengths, store.blocks(missing, placed), missing, placed)
            found.update(read)
            with self._mutex:
                for term, each in read.items():
                    self._keep(term, each)
        return found

    def holds(self, term: int, *, is_placed: bool) -> bool:
        """Tell whether *term* need not be asked for, with its places if *is_placed*."""
        known = self._kept.get(term)
        return known is not None and (known.is_placed or not is_placed)

    def sizes(self, store: PostingReads, terms: Collection[int]) -> dict[int, int]:
        """Return how many documents the blocks of *terms* hold."""
        found: dict[int, int] = {}
        for term in terms:
            if (known := self._kept.get(term)) is not None:
                found[term] = known.size
        missing = [term for term in terms if term not in found]
        return {**found, **store.sizes(missing)} if missing else found

    def _keep(self, term: int, blocks: TermBlocks) -> None:
        if blocks.held > self._budget // _SHARE:
            return
        self._held += blocks.held
        before = self._kept.pop(term, None)
        self._kept[term] = blocks
        if before is not None:
            self._held -= before.held
        while self._held > self._budget and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._held -= oldest.held
