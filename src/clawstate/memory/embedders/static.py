"""
`StaticEmbedder`: the project's own table of a vector for each piece of a word (decision 042).

A text's vector is the sum of its pieces' rows, made unit; no network, no key, no model to run. The
rows are bytes with a scale each, memory-mapped and read as far as a text needs them.
`tools/embedder` made them, of openly licensed packages; NOTICE beside the data names them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clawstate.errors import EmbeddingError
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.embedders.word_pieces import WordPieces

Vectors: TypeAlias = NDArray[np.float32]
Numbers: TypeAlias = NDArray[np.uint16]

DATA = Path(__file__).with_name("data")
ROWS, SCALES, PIECES = "rows.npy", "scales.npy", "pieces.txt"

_NAME = "clawstate-static"
_HINT = "reinstall clawstate"
_RARE = 0.005  # the a of a/(a + p): a piece of this frequency counts half (Arora et al. 2017)
_AT_ONCE = 8_192  # pieces summed in one step: 8 MB of float32


class StaticEmbedder:
    """
    256-dimensional unit vectors (float32) from the table in *folder*. Thread-safe.

    Constructing it reads nothing; the first text maps the rows and reads the pieces.
    """

    is_local = True
    """Texts stay on this machine."""

    is_quick = True
    """Making a vector costs no more than looking whether it is kept."""

    unrelated = 0.17
    """The cosine that texts of different subjects may have, in any language."""

    def __init__(self, folder: Path = DATA) -> None:
        self._folder = folder

    @cached_property
    def identity(self) -> EmbedderIdentity:
        """Return the identity; it names the very table, by a hash of its scales."""
        # Other rows have other scales, and these are a hundredth of the bytes.
        digest = hashlib.sha256(self._scales.tobytes()).hexdigest()[:8]
        dimensions = self._table.shape[1]
        return EmbedderIdentity(f"{_NAME}-{dimensions}@{digest}", dimensions)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit row for each text, shape (len(texts), 256); zeros for an empty text."""
        return self.pool(self.subwords(texts))

    def subwords(self, texts: Sequence[str]) -> list[Numbers]:
        """Return the numbers of each text's pieces."""
        rows = self._pieces.rows
        return [np.array(rows(text), np.uint16) for text in texts]

    def pool(self, subwords: Sequence[Numbers]) -> Vectors:
        """Return the unit sum of each text's rows."""
        sums = np.zeros((len(subwords), self._table.shape[1]), np.float32)
        step: list[int] = []
        size = 0
        for place, numbers in enumerate(subwords):
            if not len(numbers):
                continue
            if size + len(numbers) > _AT_ONCE and step:
                self._add(sums, step, subwords)
                step, size = [], 0
            step.append(place)
            size += len(numbers)
        if step:
            self._add(sums, step, subwords)
        return _unit(sums)

    def weigh(self, subwords: Numbers, counts: Mapping[int, int], total: int) -> Vectors:
        """
        Return the unit vector of a query whose pieces count less the commoner they are.

        *counts* says how often each occurs among *total* pieces of the records searched.
        """
        if not len(subwords):
            return np.zeros(self._table.shape[1], np.float32)
        # Counted among the records searched: a speaker's name that opens every turn fades as "the"
        # does.
        occurrences = np.array([counts.get(each, 0) for each in subwords.tolist()], np.float32)
        weights = _RARE / (_RARE + occurrences / np.float32(max(total, 1)))
        weights *= self._scales[subwords]
        rows = self._table.take(subwords, axis=0).astype(np.float32)
        vector: Vectors = _unit(np.dot(weights, rows)[np.newaxis])[0]
        return vector

    def _add(self, sums: Vectors, places: list[int], subwords: Sequence[Numbers]) -> None:
        """Put the sums of the texts at *places* into *sums*, in bounded memory."""
        chosen = [subwords[place] for place in places]
        if len(chosen) == 1 and len(chosen[0]) > _AT_ONCE:
            numbers, counts = np.unique(chosen[0], return_counts=True)
            for begin in range(0, len(numbers), _AT_ONCE):
                part = numbers[begin : begin + _AT_ONCE]
                weights = self._scales[part] * counts[begin : begin + _AT_ONCE]
                rows = self._table.take(part, axis=0).astype(np.float32)
                sums[places[0]] += np.dot(weights.astype(np.float32), rows)
            return
        numbers = np.concatenate(chosen)
        rows = self._table.take(numbers, axis=0).astype(np.float32)
        rows *= self._scales[numbers, np.newaxis]
        starts = np.cumsum([0, *map(len, chosen[:-1])])
        sums[places] = np.add.reduceat(rows, starts, axis=0)

    @cached_property
    def _table(self) -> NDArray[np.int8]:
        return self._load(ROWS).astype(np.int8, copy=False)

    @cached_property
    def _scales(self) -> Vectors:
        scales: Vectors = self._load(SCALES).astype(np.float32)
        return scales

    @cached_property
    def _pieces(self) -> WordPieces:
        path = self._folder / PIECES
        try:
            pieces = path.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError) as error:
            raise EmbeddingError(str(path), "cannot be read", _HINT) from error
        if len(pieces) + 1 != len(self._table):  # row 0 is of no piece
            raise EmbeddingError(str(path), "is damaged", _HINT)
        return WordPieces(pieces)

    def _load(self, name: str) -> NDArray[np.generic]:
        path = self._folder / name
        try:
            loaded: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise EmbeddingError(str(path), "cannot be read", _HINT) from error
        # A plain view of the map, as its own class makes each little step take twice as long.
        return np.asarray(loaded)


def _unit(rows: Vectors) -> Vectors:
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, np.newaxis]
    unit: Vectors = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit
