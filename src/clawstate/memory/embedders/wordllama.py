"""
`WordLlamaEmbedder`: the static model of the package `wordllama`, for states that were made with it.

It comes with the extra `wordllama` (decision 042). A text's vector is the mean of its subwords'
rows in one table. The package's own loader takes half a second and looks for downloads, so only its
two data files are used: the table is memory-mapped and read as far as a text needs it. The vectors
are the package's own, to the last bit of float32.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from clawstate.errors import EmbeddingError
from clawstate.interrupts import Mutex, load_modules
from clawstate.memory.contract import EmbedderIdentity

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MODEL = "wordllama-l2-supercat-256"
_PACKAGE = "wordllama"
_INSTALL = (
    "pip install 'clawstate[wordllama]'; or 'clawstate memory reembed', which gives all records "
    "vectors of clawstate's own model"
)
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_TENSOR = "embedding.weight"

_RARE = 0.002  # the a of a/(a + p): a subword of this frequency counts half (Arora et al. 2017)
_MANY_TEXTS = 64  # from here the whole table is turned into float32, which costs 0.1 s once
_LONGEST_HEADER = 1 << 20  # bytes
_LONG_TEXT = 4096  # subwords; longer texts are pooled by distinct subword, in bounded memory


class WordLlamaEmbedder:
    """
    256-dimensional unit vectors (float32) from memory-mapped weights. Thread-safe.

    Constructing it reads nothing but the name of the files; the first text loads them.
    """

    is_local = True
    """Texts stay on this machine."""

    def __init__(self) -> None:
        self._folder = _package_folder()
        self._loading = Mutex()
        self._wide: NDArray[np.float32] | None = None

    @cached_property
    def identity(self) -> EmbedderIdentity:
        """Return the identity; it names the very weights, by a hash of their first 64 KiB."""
        # The header and the first rows tell other weights apart; hashing all 16 MB would cost
        # start-up.
        with _open(self._folder / _WEIGHTS) as file:
            digest = hashlib.sha256(file.read(65_536)).hexdigest()[:8]
        return EmbedderIdentity(f"{MODEL}@{digest}", self._table.shape[1])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a unit row for each text, shape (len(texts), 256); zeros for an empty text."""
        return self.pool(self.subwords(texts))

    def subwords(self, texts: Sequence[str]) -> list[NDArray[np.uint16]]:
        """Return the subword numbers of each text."""
        if len(texts) == 1:
            encodings = [self._tokenizer.encode(texts[0], add_special_tokens=False)]
        else:
            encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint16) for encoding in encodings]

    def pool(self, subwords: Sequence[NDArray[np.uint16]]) -> NDArray[np.float32]:
        """Return the unit mean row of each text's subwords."""
        if len(subwords) >= _MANY_TEXTS:
            self._widen()
        sums = np.zeros((len(subwords), self._table.shape[1]), np.float32)
        for row, numbers in zip(sums, subwords, strict=True):
            # At most 32,000 distinct rows, however long the text is; as one row for each subword it
            # would take a kilobyte of memory for each.
            if len(numbers) > _LONG_TEXT:
                distinct, counts = np.unique(numbers, return_counts=True)
                np.dot(counts.astype(np.float32), self._rows(distinct), out=row)
            elif len(numbers):
                np.add.reduce(self._rows(numbers), axis=0, out=row)
        return _unit(sums)

    def weigh(
        self, subwords: NDArray[np.uint16], counts: Mapping[int, int], total: int
    ) -> NDArray[np.float32]:
        """
        Return the unit vector of a query whose subwords count less the commoner they are.

        *counts* says how often each occurs among *total* subwords of the records searched.
        """
        if not len(subwords):
            return np.zeros(self._table.shape[1], np.float32)
        # Counted among the records searched: a speaker's name that opens every turn fades as "the"
        # does.
        occurrences = np.array([counts.get(each, 0) for each in subwords.tolist()], np.float32)
        weights = _RARE / (_RARE + occurrences / np.float32(max(total, 1)))
        vector: NDArray[np.float32] = _unit(np.dot(weights, self._rows(subwords))[np.newaxis])[0]
        return vector

    def _rows(self, numbers: NDArray[np.uint16]) -> NDArray[np.float32]:
        if self._wide is not None:
            wide: NDArray[np.float32] = self._wide.take(numbers, axis=0)
            return wide
        rows: NDArray[np.float32] = self._table.take(numbers, axis=0).astype(np.float32)
        return rows

    def _widen(self) -> None:
        with self._loading:
            if self._wide is None:
                self._wide = self._table.astype(np.float32)

    @cached_property
    def _table(self) -> NDArray[np.float16]:
        path = self._folder / _WEIGHTS
        try:
            with _open(path) as file:
                size = int.from_bytes(file.read(8), "little")
                # A damaged length could ask for more memory than there is.
                entry = json.loads(file.read(min(size, _LONGEST_HEADER)))[_TENSOR]
            begin, _ = entry["data_offsets"]
            return np.memmap(
                path, np.float16, mode="r", offset=8 + size + begin, shape=tuple(entry["shape"])
            )
        except (ValueError, KeyError) as error:
            raise EmbeddingError(str(path), "is damaged", "reinstall wordllama") from error

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        load_modules("tokenizers")
        from tokenizers import Tokenizer  # noqa: PLC0415 - loaded when the first text comes

        path = self._folder / _TOKENIZER
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            # The library raises a bare Exception, whatever is wrong with the file.
            raise EmbeddingError(str(path), "is damaged", "reinstall wordllama") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer


def _package_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddingError(_PACKAGE, "is not installed", _INSTALL)
    return Path(spec.submodule_search_locations[0])


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise EmbeddingError(str(path), "cannot be read", "reinstall wordllama") from error


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, np.newaxis]
    unit: NDArray[np.float32] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit
