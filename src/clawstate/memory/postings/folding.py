"""A fold: what the tail adds and takes away, merged into the blocks that it touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.postings.store import (
    BLOCK,
    FIELDS,
    MOST,
    NOWHERE,
    Batch,
    Block,
    Fold,
    Lengths,
    PostingStore,
)
from clawstate.memory.postings.tail import Ints, Tail

SIZE = 1 << BLOCK
LOW = SIZE - 1

# One list in ten or more of a block's documents is kept with a place for each: half as large again
# as a sparse one, and twice as fast to add up (measured).
_DENSE_SHARE, _DENSE_FROM = 10, 64


class Postings(NamedTuple):
    """The decoded documents of a block: low halves ascending, counts, and places one by one."""

    ids: Ints
    counts: Ints
    places: NDArray[np.uint16]


def fold(store: PostingStore) -> Fold | None:
    """
    Return the present tail of *store* merged into its blocks; None for an empty one.

    Nothing is written: the engine does that, if nobody was faster. Raises `ValueError` for blocks
    that cannot be decoded.
    """
    totals = store.totals()
    batches = store.tail(0)
    return merge(store, batches, epoch=totals.epoch) if batches else None


def merge(store: PostingStore, batches: Sequence[Batch], *, epoch: int) -> Fold:
    """Return *batches* merged into the blocks of *store* that they touch."""
    tail = Tail().extend(batches)
    lengths = _Arrays(store, np.concatenate([tail.docs, tail.gone]) >> BLOCK)
    lengths.put(tail.docs, tail.lengths)
    lengths.clear(tail.gone)
    added, dropped = _changes(tail)
    keys = np.unique(np.concatenate([added.keys, dropped[:, 0]]))
    found = {each.key: each for each in store.at(keys.tolist())}
    blocks = _append(added, dropped, found, lengths)
    terms = np.unique(np.concatenate([tail.gone_terms, tail.marked[:, 1]])).tolist()
    return Fold(epoch, tail.last, blocks, lengths.blobs(), terms)


class _Added(NamedTuple):
    """Postings to add, ordered by key and document; `first` of each are the places."""

    keys: Ints
    ids: Ints
    counts: Ints
    first: Ints
    places: NDArray[np.uint16]


def _changes(tail: Tail) -> tuple[_Added, Ints]:
    """Return what comes, and the pairs of key and low half that go, both ordered."""
    alive = tail.alive()
    kept = alive[tail.rows]
    docs, terms, places = tail.docs[tail.rows[kept]], tail.terms[kept], tail.places[kept]
    drops = [np.stack([tail.gone_terms, tail.gone_docs], axis=1)]
    if len(tail.marked):
        # Of several marks and unmarks of a document by one term the last counts.
        last: dict[tuple[int, int], int] = {}
        for doc, term, sign in tail.marked.tolist():
            last[doc, term] = sign
        gone = set(tail.gone.tolist())
        pairs = np.array(list(last), np.int64)
        signs = np.fromiter(last.values(), np.int64, len(last))
        drops.append(pairs[:, ::-1])
        new = (signs > 0) & np.array([doc not in gone for doc, _ in last], np.bool_)
        # What the tail itself marked is replaced too.
        known = set(last)
        again = [pair in known for pair in zip(docs.tolist(), terms.tolist(), strict=True)]
        stays = ~np.array(again, np.bool_)
        docs = np.concatenate([docs[stays], pairs[new, 0]])
        terms = np.concatenate([terms[stays], pairs[new, 1]])
        fill = np.full(int(new.sum()), NOWHERE, np.uint16)
        places = np.concatenate([places[stays], fill])
    keys, low = terms << BLOCK | docs >> BLOCK, docs & LOW
    # By document first, as they come, so a stable sort by key alone keeps them in order, unless
    # marks of older documents were added, or writers who do not wait for each other took turns.
    is_mixed = len(tail.marked) > 0 or bool((tail.docs[1:] < tail.docs[:-1]).any())
    order = np.lexsort((places, low, keys)) if is_mixed else np.argsort(keys, kind="stable")
    return _group(keys[order], low[order], places[order]), _pairs(np.concatenate(drops))


def _pairs(drops: Ints) -> Ints:
    if not len(drops):
        return np.empty((0, 2), np.int64)
    keys = drops[:, 0] << BLOCK | drops[:, 1] >> BLOCK
    return np.unique(np.stack([keys, drops[:, 1] & LOW], axis=1), axis=0)


def _group(keys: Ints, low: Ints, places: NDArray[np.uint16]) -> _Added:
    if not len(keys):
        none = np.empty(0, np.int64)
        return _Added(none, none, none, none, places)
    new = np.ones(len(keys), np.bool_)
    new[1:] = (keys[1:] != keys[:-1]) | (low[1:] != low[:-1])
    first = np.flatnonzero(new)
    counts = np.diff(np.append(first, len(keys)))
    if int(counts.max()) > MOST:
        rank = np.arange(len(keys)) - np.repeat(first, counts)
        kept = rank < MOST
        return _group(keys[kept], low[kept], places[kept])
    return _Added(keys[first], low[first], counts, first, places)


def _append(
    added: _Added, dropped: Ints, found: Mapping[int, Block], lengths: _Arrays
) -> list[Block]:
    blocks: list[Block] = []
    drops: dict[int, list[int]] = {}
    for key, low in dropped.tolist():
        drops.setdefault(key, []).append(low)
    ids, counts = added.ids.astype("<u2").tobytes(), added.counts.astype(np.uint8).tobytes()
    places = added.places.astype("<u2").tobytes()
    starts = np.flatnonzero(np.diff(added.keys, prepend=-1)) if len(added.keys) else added.keys
    ends = np.append(starts, len(added.keys))[1:]
    texts = lengths.texts_of(added.keys & LOW, added.ids)
    most = np.maximum.reduceat(added.counts, starts).tolist() if len(starts) else []
    least = np.minimum.reduceat(texts, starts).tolist() if len(starts) else []
    firsts = np.append(added.first, len(added.places)).tolist()
    low_of = added.ids
    groups = zip(added.keys[starts].tolist(), starts.tolist(), ends.tolist(), strict=True)
    for number, (key, start, end) in enumerate(groups):
        old = found.get(key)
        where = places[2 * firsts[start] : 2 * firsts[end]]
        if end - start == firsts[end] - firsts[start] and where.count(b"\xff") == len(where):
            where = b""  # marks
        new = Block(
            key,
            0,
            end - start,
            most[number],
            least[number],
            ids[2 * start : 2 * end],
            counts[start:end],
            where,
        )
        gone = drops.pop(key, None)
        slots = lengths.slots(key & LOW)
        blocks.append(_join(old, new, gone, int(low_of[start]), slots))
    for key, gone in drops.items():
        if key in found:
            old = found[key]
            empty = Block(key, 0, 0, 0, old.least, b"", b"", b"")
            blocks.append(_join(old, empty, gone, 0, lengths.slots(key & LOW)))
    return blocks


def _join(old: Block | None, new: Block, gone: list[int] | None, low: int, slots: int) -> Block:
    """Return *new*, which begins at *low*, behind *old* without the documents *gone*."""
    if old is None:
        old = new._replace(size=0, ids=b"", counts=b"", places=b"", most=0)
    size = old.size + new.size
    is_behind = not old.dense and (not old.size or int.from_bytes(old.ids[-2:], "little") < low)
    is_behind &= bool(old.places or not old.size) == bool(new.places)
    if is_behind and not gone and not _is_dense(size, slots):
        # Nearly all of them: bytes behind bytes, nothing is decoded.
        return Block(
            new.key,
            0,
            size,
            max(old.most, new.most),
            min(old.least, new.least),
            old.ids + new.ids,
            old.counts + new.counts,
            old.places + new.places,
        )
    before, after = decode(old), decode(new)
    if gone:
        before = _without(before, gone)
    both = _together(before, after)
    return encode(
        new.key, both, slots=slots, most=max(old.most, new.most), least=min(old.least, new.least)
    )


def _without(postings: Postings, gone: Sequence[int]) -> Postings:
    kept = ~np.isin(postings.ids, gone)
    places = postings.places
    if len(places):
        places = places[np.repeat(kept, postings.counts)]
    return Postings(postings.ids[kept], postings.counts[kept], places)


def _together(one: Postings, other: Postings) -> Postings:
    if not len(one.ids) or not len(other.ids):
        return other if not len(one.ids) else one
    ids = np.concatenate([one.ids, other.ids])
    counts = np.concatenate([one.counts, other.counts])
    joined = np.concatenate([one.places, other.places])
    if bool(len(one.places)) != bool(len(other.places)):
        # A term of texts whose first documents had it behind all places looks like a mark.
        joined = np.concatenate(
            [
                each.places
                if len(each.places)
                else np.full(int(each.counts.sum()), NOWHERE, np.uint16)
                for each in (one, other)
            ]
        )
    if one.ids[-1] < other.ids[0]:
        return Postings(ids, counts, joined)
    order = np.argsort(ids, kind="stable")
    if len(joined):
        by_token = np.argsort(np.repeat(ids, counts), kind="stable")
        joined = joined[by_token]
    return Postings(ids[order], counts[order], joined)


def decode(block: Block) -> Postings:
    """Return what *block* holds; raises `ValueError` for damage."""
    counts = np.frombuffer(block.counts, np.uint8).astype(np.int64)
    if block.dense:
        ids = np.flatnonzero(counts)
        counts = counts[ids]
    else:
        ids = np.frombuffer(block.ids, "<u2").astype(np.int64)
    places = np.frombuffer(block.places, "<u2").astype(np.uint16)
    if len(ids) != block.size or len(counts) != block.size:
        raise ValueError(f"block {block.key} holds another number of documents than it says")
    if len(places) and len(places) != int(counts.sum()):
        raise ValueError(f"block {block.key} holds another number of places than it says")
    return Postings(ids, counts, places)


def encode(key: int, postings: Postings, *, slots: int, most: int, least: int) -> Block:
    """Return *postings* as a block among *slots* documents."""
    size = len(postings.ids)
    counts = postings.counts.astype(np.uint8)
    ids = postings.ids.astype("<u2").tobytes()
    dense = _is_dense(size, slots)
    if dense:
        every = np.zeros(int(postings.ids[-1]) + 1, np.uint8)
        every[postings.ids] = counts
        counts, ids = every, b""
    places = postings.places.astype("<u2").tobytes()
    return Block(key, int(dense), size, most, least, ids, counts.tobytes(), places)


def _is_dense(size: int, slots: int) -> bool:
    return size > _DENSE_FROM and size * _DENSE_SHARE >= slots


class _Arrays:
    """The lengths of the blocks that a fold touches."""

    def __init__(self, store: PostingStore, blocks: Ints) -> None:
        numbers = np.unique(blocks).tolist()
        self._store = store
        self._texts: dict[int, NDArray[np.int64]] = {}
        self._fields: dict[int, NDArray[np.uint8]] = {}
        self._touched = set(numbers)
        for each in store.lengths(numbers):
            self._take(each)

    def put(self, docs: Ints, lengths: NDArray[np.uint16]) -> None:
        """Note the *lengths* of *docs*."""
        for block in np.unique(docs >> BLOCK).tolist():
            chosen = docs >> BLOCK == block
            low = docs[chosen] & LOW
            slots = int(low.max()) + 1
            texts = _longer(self._texts.get(block, np.empty(0, np.int64)), slots)
            texts[low] = np.minimum(lengths[chosen, 0].astype(np.int64) + 1, NOWHERE)
            self._texts[block] = texts
            others = np.minimum(lengths[chosen, 1:], MOST).astype(np.uint8)
            fields = self._fields.get(block)
            if fields is None and not others.any():
                continue
            if fields is None:
                fields = np.zeros((FIELDS - 1, 0), np.uint8)
            fields = _longer(fields, len(texts))
            fields[:, low] = others.T
            self._fields[block] = fields

    def clear(self, docs: Ints) -> None:
        """Note that *docs* are no more."""
        for doc in docs.tolist():
            texts = self._texts.get(doc >> BLOCK)
            if texts is not None and doc & LOW < len(texts):
                texts[doc & LOW] = 0
                fields = self._fields.get(doc >> BLOCK)
                if fields is not None and doc & LOW < fields.shape[1]:
                    fields[:, doc & LOW] = 0

    def slots(self, block: int) -> int:
        """Return how many documents *block* has room for."""
        if block not in self._texts:
            for each in self._store.lengths([block]):  # marks alone touch no length
                self._take(each)
        return len(self._texts.get(block, ()))

    def texts_of(self, blocks: Ints, low: Ints) -> Ints:
        """Return the lengths of the texts of these documents."""
        found = np.zeros(len(low), np.int64)
        for block in np.unique(blocks).tolist():
            if not self.slots(block):
                continue
            chosen = blocks == block
            texts = self._texts[block]
            found[chosen] = texts[np.minimum(low[chosen], len(texts) - 1)]
        return np.maximum(found - 1, 0)

    def blobs(self) -> list[Lengths]:
        """Return the lengths of the touched blocks."""
        return [
            Lengths(
                block,
                self._texts[block].astype("<u2").tobytes(),
                self._fields[block].tobytes() if block in self._fields else b"",
            )
            for block in sorted(self._touched & self._texts.keys())
        ]

    def _take(self, each: Lengths) -> None:
        texts, fields = arrays(each)
        self._texts[each.block] = texts.astype(np.int64)
        if fields is not None:
            self._fields[each.block] = fields.copy()


def arrays(each: Lengths) -> tuple[NDArray[np.uint16], NDArray[np.uint8] | None]:
    """Return the lengths of texts and of the other fields; raises `ValueError` for damage."""
    texts = np.frombuffer(each.texts, "<u2").astype(np.uint16)
    if not each.fields:
        return texts, None
    return texts, np.frombuffer(each.fields, np.uint8).reshape(FIELDS - 1, -1)


_Any = TypeVar("_Any", bound=np.generic)


def _longer(array: NDArray[_Any], length: int) -> NDArray[_Any]:
    missing = length - array.shape[-1]
    if missing <= 0:
        return array
    widths = [(0, 0)] * (array.ndim - 1) + [(0, missing)]
    return np.pad(array, widths)
