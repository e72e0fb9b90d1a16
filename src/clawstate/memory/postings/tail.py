"""The tail: what was written since the last fold, as flat arrays that are compared whole."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.postings.store import FIELDS, Batch, Kind

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The arrays of a batch: `rows` say which of `docs` a token is of."""

    docs: Ints
    lengths: NDArray[np.uint16]
    rows: Ints
    terms: Ints
    places: NDArray[np.uint16]


def unpack(data: bytes) -> Unpacked:
    """Return the arrays that `pack` put into *data*; raises `ValueError` for damage."""
    if len(data) < 8:
        raise ValueError("a batch without a head")
    documents, tokens = struct.unpack_from("<II", data)
    at = 8
    parts: list[NDArray[np.generic]] = []
    for kind, count in (
        ("<i8", documents),
        ("<u2", documents * FIELDS),
        ("<u4", tokens),
        ("<u4", tokens),
        ("<u2", tokens),
    ):
        parts.append(np.frombuffer(data, kind, count, at))
        at += parts[-1].nbytes
    if at != len(data):
        raise ValueError("a batch of another length")
    rows = parts[2].astype(np.int64)
    if tokens and int(rows.max()) >= documents:
        raise ValueError("a batch with tokens of no document")
    return Unpacked(
        parts[0].astype(np.int64),
        parts[1].astype(np.uint16).reshape(documents, FIELDS),
        rows,
        parts[3].astype(np.int64),
        parts[4].astype(np.uint16),
    )


def _none() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Tail:
    """
    All batches behind a fold. It never changes: one that is longer is another one.

    `docs` with `lengths` came, `rows`, `terms` and `places` are their tokens; `gone` went, and
    `gone_terms` are the terms they held. Marks of documents that stay are `marked`: number, term,
    and 1 or -1.
    """

    last: int = 0
    docs: Ints = field(default_factory=_none)
    lengths: NDArray[np.uint16] = field(default_factory=lambda: np.empty((0, FIELDS), np.uint16))
    rows: Ints = field(default_factory=_none)
    terms: Ints = field(default_factory=_none)
    places: NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, np.uint16))
    gone: Ints = field(default_factory=_none)
    gone_docs: Ints = field(default_factory=_none)
    gone_terms: Ints = field(default_factory=_none)
    marked: Ints = field(default_factory=lambda: np.empty((0, 3), np.int64))

    def extend(self, batches: Sequence[Batch]) -> Tail:
        """Return the tail with *batches* at its end; raises `ValueError` for damage."""
        if not batches:
            return self
        docs, lengths, rows, terms = [self.docs], [self.lengths], [self.rows], [self.terms]
        places, gone, gone_docs = [self.places], [self.gone], [self.gone_docs]
        gone_terms, marked = [self.gone_terms], [self.marked]
        count = len(self.docs)
        for batch in batches:
            each = unpack(batch.data)
            if batch.kind == Kind.ADD:
                docs.append(each.docs)
                lengths.append(each.lengths)
                rows.append(each.rows + count)
                terms.append(each.terms)
                places.append(each.places)
                count += len(each.docs)
            elif batch.kind == Kind.REMOVE:
                gone.append(each.docs)
                # A term counts once for each document that held it, however often it did.
                # `np.unique` of pairs is slow, and makes an interrupt an error of types.
                held = each.docs[each.rows]
                order = np.lexsort((each.terms, held))
                held, of = held[order], each.terms[order]
                first = np.ones(len(held), np.bool_)
                first[1:] = (held[1:] != held[:-1]) | (of[1:] != of[:-1])
                gone_docs.append(held[first])
                gone_terms.append(of[first])
            else:
                sign = np.full(len(each.rows), 1 if batch.kind == Kind.MARK else -1, np.int64)
                marked.append(np.stack([each.docs[each.rows], each.terms, sign], axis=1))
        return Tail(
            batches[-1].seq,
            np.concatenate(docs),
            np.concatenate(lengths),
            np.concatenate(rows),
            np.concatenate(terms),
            np.concatenate(places),
            np.concatenate(gone),
            np.concatenate(gone_docs),
            np.concatenate(gone_terms),
            np.concatenate(marked),
        )

    def alive(self) -> NDArray[np.bool_]:
        """Return for each of `docs` whether it is still there."""
        if not len(self.gone):
            return np.ones(len(self.docs), np.bool_)
        return ~np.isin(self.docs, self.gone)
