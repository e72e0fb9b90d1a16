"""
`TransformerEmbedder`: bge-small-en-v1.5 in bytes, a transformer that reads a text as a whole.

It comes with the extra `transformer`, and with files that are fetched once (`model_files`). It is
slower than the static table by a factor of some hundred, and better on long English texts: see
decision 45.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clawstate.errors import EmbeddingError
from clawstate.interrupts import Mutex, load_modules
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.embedders.model_files import (
    FETCH,
    MODEL,
    PIECES,
    WEIGHTS,
    model_folder,
    read_file,
    require_files,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors: TypeAlias = NDArray[np.float32]

DIMENSIONS = 384

_PACKAGES = ("onnxruntime", "tokenizers")
_INSTALL = (
    "pip install 'clawstate[transformer]', or run 'clawstate memory reembed --embedder static' to"
    " do without it"
)
_QUERY = "Represent this sentence for searching relevant passages:"  # what its makers trained with
_BEGIN, _END, _UNKNOWN = 101, 102, 100
_LONGEST = 510  # pieces that the model reads at once, beside the two marks
_ERRORS = 3  # what onnxruntime calls the level at which only errors are printed


class TransformerEmbedder:
    """
    384-dimensional unit vectors (float32) of English texts. Thread-safe.

    Constructing it only looks whether all is there, in *folder* (`model_folder()`); the first text
    loads it, which takes a quarter of a second. *threads* is how many cores a text may take, of
    those that there are.
    Raises `EmbeddingError` where the extra or the files of the model are missing.
    """

    identity = EmbedderIdentity(f"{MODEL}@{WEIGHTS.sha256[:8]}", DIMENSIONS)

    is_local = True
    """Texts stay on this machine."""

    at_once = 32
    """How many texts are embedded before anybody can ask how far it is, or stop it."""

    unrelated = 0.5
    """The cosine that texts of different subjects may have."""

    removes_median = True
    """Its cosines lie in a narrow band: beside words counts what is above their median."""

    def __init__(self, folder: Path | None = None, *, threads: int = 1) -> None:
        for each in _PACKAGES:
            if importlib.util.find_spec(each) is None:
                raise EmbeddingError(each, "is not installed", _INSTALL)
        self._folder = model_folder() if folder is None else folder
        require_files(self._folder)
        self._threads = threads
        self._loading = Mutex()
        self._loaded: Any = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """
        Return a unit row for each text, shape (len(texts), 384), float32.

        A text without content, or in signs that the model does not know, gives zeros.
        """
        rows = np.zeros((len(texts), DIMENSIONS), np.float32)
        # One at a time: side by side they share a scale of bytes, so a vector would depend on its
        # company. On one core that costs 20 % with short texts, and saves as much with long ones.
        for place, text in enumerate(texts):
            for pieces in self._windows(text):
                rows[place] += len(pieces) * self._read(pieces)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Vectors = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
        return unit

    def embed_query(self, text: str) -> Vectors:
        """Return the unit vector of a query, shape (384,); zeros as in `embed`."""
        if not any(self._windows(text)):
            return np.zeros(DIMENSIONS, np.float32)
        vector: Vectors = self.embed([f"{_QUERY} {text}"])[0]
        return vector

    def _windows(self, text: str) -> Iterator[list[int]]:
        """Yield the pieces of *text*, in parts of one length that the model can read."""
        pieces: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        if all(each == _UNKNOWN for each in pieces):
            return
        count = -(-len(pieces) // _LONGEST)
        size = -(-len(pieces) // count)
        for begin in range(0, len(pieces), size):
            yield pieces[begin : begin + size]

    def _read(self, pieces: list[int]) -> Vectors:
        """Return the unit mean of what the model makes of each of *pieces*."""
        ids = np.array([[_BEGIN, *pieces, _END]], np.int64)
        given = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (states,) = self._session.run(None, given)
        mean = states[0].mean(axis=0)
        unit: Vectors = mean / np.linalg.norm(mean)
        return unit

    @property
    def _session(self) -> Any:
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    model = read_file(self._folder, WEIGHTS)
                    self._loaded = open_session(model, threads=self._threads)
        return self._loaded

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        load_modules("tokenizers")
        from tokenizers import Tokenizer  # noqa: PLC0415 - loaded when the first text comes

        tokenizer = Tokenizer.from_buffer(read_file(self._folder, PIECES))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer


def open_session(model: bytes, *, threads: int = 1) -> Any:
    """
    Return onnxruntime's session of *model*, on *threads* cores, of those that there are.

    Raises `EmbeddingError`.
    """
    load_modules("onnxruntime")
    import onnxruntime  # noqa: PLC0415 - an extra, and 100 ms

    options = onnxruntime.SessionOptions()
    # It starts as many as it is told, which for a slip of the hand is the whole machine's memory.
    options.intra_op_num_threads = max(1, min(threads, os.cpu_count() or 1))
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    try:
        return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    except Exception as error:
        # Its errors have no base of their own.
        raise EmbeddingError(
            MODEL, "cannot be loaded", f"update onnxruntime, or {FETCH}"
        ) from error
