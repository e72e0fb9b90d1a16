"""
`CachedPlaces`: the file that has the places of a map between two programs, and nothing else.

A record stands in it as a digest with a key of the file: no text, no id, no word of a label. What
is forgotten is overwritten with zeros. It derives from the memory: damaged, it is made anew; where
it cannot be written, each program lays out its own.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clawstate.errors import StateError
from clawstate.files.atomic import write_atomic
from clawstate.files.os_errors import os_errors
from clawstate.files.regular import read_regular

_MAGIC = b"clawmap1"
_KEY = 16
_HEAD = len(_MAGIC) + _KEY + 8
_ROW = np.dtype([("id", "<u8"), ("text", "<u8"), ("x", "<f4"), ("y", "<f4")])
_MOST_BYTES = 1 << 30


class Place(NamedTuple):
    """Where a record lies, and which text and vectors that is by."""

    x: float
    y: float
    is_settled: bool
    """False where its text or its embedder is another one by now."""


class CachedPlaces:
    """The places in the file *path*; None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self, texts: Mapping[str, bytes], embedder: str) -> dict[str, Place]:
        """Return the places of those records, by id with their content hashes, that have one."""
        data = self._read()
        if data is None:
            return {}
        key, made_by = data[len(_MAGIC) : len(_MAGIC) + _KEY], data[_HEAD - 8 : _HEAD]
        rows = _rows(data)
        sound = rows[(rows["id"] != 0) & _are_inside(rows["x"]) & _are_inside(rows["y"])]
        # As lists: to take one number out of an array costs as much as all of this.
        places = {row[0]: row[1:] for row in sound.tolist()}
        is_same = made_by == _digest(embedder.encode(), key)
        found: dict[str, Place] = {}
        for name, text in texts.items():
            if (row := places.get(_number(name.encode(), key))) is not None:
                made_of, x, y = row
                found[name] = Place(x, y, is_same and made_of == _number(text, key))
        return found

    def write(
        self, ids: Sequence[str], texts: Sequence[bytes], places: np.ndarray, embedder: str
    ) -> None:
        """Keep *places*, float32 (n, 2), of the records *ids* with the content hashes *texts*."""
        if self._path is None:
            return
        key = secrets.token_bytes(_KEY)
        rows = np.zeros(len(ids), _ROW)
        rows["id"] = [_number(each.encode(), key) for each in ids]
        rows["text"] = [_number(each, key) for each in texts]
        rows["x"], rows["y"] = places[:, 0], places[:, 1]
        rows.sort(order="id")  # not in the order in which they were made, which would tell when
        data = _MAGIC + key + _digest(embedder.encode(), key) + rows.tobytes()
        with suppress(StateError):
            write_atomic(self._path, data)

    def forget(self, ids: Sequence[str]) -> None:
        """Overwrite what is kept of the records *ids*."""
        data = self._read()
        if data is None or not ids:
            return
        key = data[len(_MAGIC) : len(_MAGIC) + _KEY]
        gone = np.array([_number(each.encode(), key) for each in ids], np.uint64)
        self._clear(data, np.isin(_rows(data)["id"], gone))

    def keep_only(self, ids: Sequence[str]) -> None:
        """Overwrite what is kept of all but the records *ids*."""
        data = self._read()
        if data is None:
            return
        key = data[len(_MAGIC) : len(_MAGIC) + _KEY]
        kept = np.array([_number(each.encode(), key) for each in ids], np.uint64)
        self._clear(data, ~np.isin(_rows(data)["id"], kept))

    def exists(self) -> bool:
        """Tell whether anything is kept."""
        return self._path is not None and self._path.is_file()

    def _clear(self, data: bytes, rows: np.ndarray) -> None:
        """Write zeros in the place of *rows* of the file that has *data*."""
        gone = np.flatnonzero(rows & (_rows(data)["id"] != 0))
        if not len(gone) or self._path is None:
            return
        # In place: a new file would leave the bytes of the old one on the disk.
        with os_errors(self._path, "still has where forgotten records lay", "remove it"):
            number = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
            try:
                for row in gone.tolist():
                    os.pwrite(number, bytes(_ROW.itemsize), _HEAD + row * _ROW.itemsize)
                os.fsync(number)
            finally:
                os.close(number)

    def _read(self) -> bytes | None:
        if self._path is None:
            return None
        try:
            data = read_regular(self._path, limit=_MOST_BYTES)
        except (OSError, StateError):
            return None
        return data if data.startswith(_MAGIC) and len(data) >= _HEAD else None


def _rows(data: bytes) -> np.ndarray:
    return np.frombuffer(data, _ROW, (len(data) - _HEAD) // _ROW.itemsize, _HEAD)


def _are_inside(values: np.ndarray) -> np.ndarray:
    # Compared with no number nothing is true.
    found: np.ndarray = np.abs(values) <= 1
    return found


def _digest(value: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(value, key=key, digest_size=8).digest()


def _number(value: bytes, key: bytes) -> int:
    """Return the number, never 0, that stands for *value*."""
    return int.from_bytes(_digest(value, key), "little") or 1
