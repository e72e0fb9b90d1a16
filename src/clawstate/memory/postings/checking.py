"""What is wrong with packed postings, by themselves: blocks, tail and counts against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from clawstate.memory.postings.folding import LOW, arrays, decode
from clawstate.memory.postings.holders import find_holders
from clawstate.memory.postings.scoring import Docs, all_counts
from clawstate.memory.postings.snapshot import SnapshotCache
from clawstate.memory.postings.store import BLOCK, FIELDS, MOST, Block, PostingStore
from clawstate.memory.postings.tail import Tail
from clawstate.quantities import number_of


def check(store: PostingStore, blocks: Iterable[Block]) -> tuple[list[str], set[int]]:
    """Return what is wrong, sentence by sentence, and the numbers of all documents."""
    found: list[str] = []
    present: set[int] = set()
    slots: dict[int, int] = {}
    tokens = np.zeros(FIELDS, np.int64)
    try:
        for each in store.lengths():
            texts, fields = arrays(each)
            slots[each.block] = len(texts)
            there = np.flatnonzero(texts)
            present.update((there | each.block << BLOCK).tolist())
            tokens[0] += int((texts[there].astype(np.int64) - 1).sum())
            if fields is not None:
                tokens[1:] += fields.astype(np.int64).sum(axis=1)
        tail = Tail().extend(store.tail(0))
    except (TypeError, ValueError) as error:
        return [f"the word index cannot be read: {error}"], present
    wrong = 0
    for block in blocks:
        try:
            ids = decode(block).ids
        except (TypeError, ValueError):
            wrong += 1
            continue
        is_sound = not len(ids) or (
            bool((np.diff(ids) > 0).all()) and int(ids[-1]) < slots.get(block.key & LOW, 0)
        )
        wrong += not is_sound
    if wrong:
        one, many = "block of the word index is", "blocks of the word index are"
        found.append(f"{number_of(wrong, one, many)} damaged")
    present.update(tail.docs.tolist())
    present.difference_update(tail.gone.tolist())
    totals = store.totals()
    if totals.documents != len(present):
        held = number_of(len(present), "record")
        found.append(f"the word index holds {held} but notes {totals.documents:,}")
    return found, present


def count_wrong(store: PostingStore, terms: Mapping[int, Sequence[str]]) -> int:
    """Return how many of the documents, whose *terms* are given, are indexed by others."""
    snapshot = SnapshotCache().snapshot(store, None)
    numbers = store.numbers({each for given in terms.values() for each in given})
    try:
        found = find_holders(snapshot, store, dict.fromkeys(numbers.values(), 0))
    except ValueError:
        return len(terms)
    marked = {(doc, term) for doc, term, _ in snapshot.tail.marked.tolist()}
    wrong = 0
    for doc, given in terms.items():
        for term, count in Counter(given).items():
            number = numbers.get(term)
            if (doc, number) in marked:
                continue
            told = (
                0
                if number is None
                else all_counts(snapshot, found[number], Docs(np.array([doc])))[0]
            )
            if told != min(count, MOST):
                wrong += 1
                break
    return wrong
