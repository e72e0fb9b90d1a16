"""`LanceTable`: all that is done with LanceDB, in the process of its own that `worker` is."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa

from clawstate.memory.backends.lancedb.messages import Message
from clawstate.memory.backends.lancedb.stamp import (
    TABLE,
    newest_stamp,
    roll_back,
    stamp_of,
    table_dir,
    version_of,
)

VERSION = str(lancedb.__version__)

_OURS = {b"clawstate": b"1"}
_ADDED = (pa.field("updatedAt", pa.float64()), pa.field("record", pa.utf8()))
_FEW = 1_000  # ids in one condition
_KEPT = timedelta(hours=1)  # how long others may read a version that is no longer the newest
_KEPT_OF_OTHERS = timedelta(days=7)  # who made a table may have it open from the start
_FOR_EVER = timedelta(days=36_500)
_TEXTS = ("id", "text", "category")
_INDEX = "vector"
_BREADTH = 2  # how many times as many as are wanted the graph is searched for
_REFINE = 2

Answer = tuple[Message, bytes]


class LanceTable:
    """
    The table in *folder*, as of the moment when it was opened, and what this process changed.

    *known* is the stamp of the version that the catalogue knows all of, which is on disk.
    """

    def __init__(self, folder: Path, known: str | None = None) -> None:
        self._folder = folder
        self._known = known
        self._database = lancedb.connect(str(folder))
        self._table: Any = None
        self._version = 0
        self._synced: dict[str, tuple[int, int]] = {}
        self._stamp: str | None = None
        self._foreign_vectors = 0
        try:
            self._open()
        except TypeError:
            raise
        except Exception:
            # LanceDB syncs nothing: after a power cut what was written last may be torn.
            if not roll_back(folder, known):
                raise
            self._open()

    def _open(self) -> None:
        self._table = None
        if table_dir(self._folder).is_dir():
            newest = version_of(newest_stamp(self._folder))
            self._table = self._database.open_table(TABLE)
            self._version = int(self._table.version)
            if self._version < newest:  # as it is of a file of zeros
                raise ValueError(f"version {newest} is torn")
            _require_memories(self._table.schema)
        self._stamp = self._present_stamp()
        self._foreign_vectors = self._count_foreign_vectors()

    def do(self, message: Message, blob: bytes) -> Iterator[Answer]:
        """Do what *message* says, and yield the answers, the last of which has no `more`."""
        match message["do"]:
            case "scan":
                yield from self._scan()
                yield self._about(), b""
            case "search":
                yield {"more": True, "ids": self._search(blob, message["count"])}, b""
                yield {}, b""
            case "write":
                removed = self._write(message, blob)
                self._sync()
                yield {**self._about(), "removed": removed}, b""
            case "create":
                self._create(message["dimensions"])
                self._sync()
                yield self._about(), b""
            case "optimize":
                self._optimize(index_from=message["index_from"])
                self._sync()
                yield self._about(), b""
            case "clear":
                self._clear(index_from=message["index_from"])
                self._sync()
                yield self._about(), b""
            case _:
                yield self._about(), b""

    def _about(self) -> Message:
        if self._table is None:
            return {"stamp": None, "dimensions": 0, "ours": True, "rows": 0, "fragments": 0}
        schema = self._table.schema
        fragments = self._table.stats()["fragment_stats"]["num_fragments"]
        return {
            "stamp": self._stamp,
            "dimensions": schema.field("vector").type.list_size,
            "ours": _is_ours(schema) and not self._foreign_vectors,
            "marked": "record" in schema.names,
            "rows": self._table.count_rows(),
            "fragments": fragments,
        }

    def _count_foreign_vectors(self) -> int:
        if self._table is None or "record" not in self._table.schema.names:
            return 0
        return int(self._table.count_rows("record IS NULL AND vector IS NOT NULL"))

    def _scan(self) -> Iterator[Answer]:
        if self._table is None:
            return
        try:
            yield from self._rows()
        except Exception:
            if roll_back(self._folder, self._known):
                self._open()  # for whoever asks again
            raise

    def _rows(self) -> Iterator[Answer]:
        names = ["id", "text", "vector", "importance", "category", "createdAt"]
        names += [field.name for field in _ADDED if field.name in self._table.schema.names]
        for batch in self._table.search().select(names).to_batches(batch_size=2_048):
            columns = {name: batch.column(name).to_pylist() for name in names if name != "vector"}
            vectors = batch.column("vector")
            columns["has_vector"] = vectors.is_valid().to_pylist()
            yield {"more": True, "rows": columns}, _floats(vectors).tobytes()

    def _search(self, blob: bytes, count: int) -> list[str] | None:
        """Return the ids of rows near to a vector by the index; None where there is none for it."""
        table = self._table
        if table is None or not _is_ours(table.schema) or self._foreign_vectors:
            return None
        vector = np.frombuffer(blob, "<f4")
        if table.schema.field(_INDEX).type.list_size != len(vector) or not table.list_indices():
            return None
        # Its codes have 8 bits a number: without a look at the vectors themselves the nearest of
        # those that are close to each other come in any order.
        asked = table.search(vector, vector_column_name=_INDEX).distance_type("l2")
        found = asked.limit(count).ef(_BREADTH * count).refine_factor(_REFINE).select(["id"])
        return [str(each) for each in found.to_arrow().column("id").to_pylist()]

    def _write(self, message: Message, blob: bytes) -> int:
        table = self._require_columns()
        rows = message["rows"]
        matrix = _matrix(rows.pop("has_vector"), blob, table.schema.field("vector").type)
        ids = [*message["remove"], *rows["id"]]
        kept = [each for part in _parts(ids) for each in self._ids_among(part)]
        if kept:
            matrix = self._with_kept_vectors(rows, matrix, set(kept))
            for part in _parts(kept):
                self._changed(table.delete(_among(part)).version)
        if rows["id"]:
            given = {name: rows.get(name) for name in table.schema.names if name in rows}
            columns = {**given, "vector": matrix}
            fields = [field for field in table.schema if field.name in columns]
            data = pa.table(
                [pa.array(columns[field.name], field.type) for field in fields],
                schema=pa.schema(fields),
            )
            self._changed(table.add(data).version)
        return len(kept)

    def _with_kept_vectors(self, rows: Message, matrix: Any, kept: set[str]) -> Any:
        """Return *matrix* with the vectors that the table has of the same texts, where none is."""
        # Those of another program's embedder: nobody else can make them again.
        texts = {
            key: text
            for key, text, found in zip(rows["id"], rows["text"], matrix.is_valid(), strict=True)
            if key in kept and not found.as_py()
        }
        if not texts:
            return matrix
        vectors: dict[str, Any] = {}
        for part in _parts(list(texts)):
            found = self._table.search().where(_among(part)).select(["id", "text", "vector"])
            for row in found.to_arrow().to_pylist():
                # LanceDB takes no NaN, and one that has come in otherwise is of no use to anybody.
                if texts[row["id"]] == row["text"] and _are_numbers(row["vector"]):
                    vectors[row["id"]] = row["vector"]
        whole = [
            each if each is not None else vectors.get(key)
            for key, each in zip(rows["id"], matrix.to_pylist(), strict=True)
        ]
        return pa.array(whole, matrix.type)

    def _ids_among(self, ids: Sequence[str]) -> list[str]:
        found = self._table.search().where(_among(ids)).select(["id"]).to_arrow()
        return [str(each) for each in found.column("id").to_pylist()]

    def _require_columns(self) -> Any:
        missing = [field for field in _ADDED if field.name not in self._table.schema.names]
        if missing:
            self._changed(self._table.add_columns(missing).version)
        return self._table

    def _create(self, dimensions: int) -> None:
        schema = pa.schema(
            [
                *(pa.field("id", pa.utf8()), pa.field("text", pa.utf8())),
                pa.field("vector", pa.list_(pa.float32(), dimensions)),
                pa.field("importance", pa.float64()),
                pa.field("category", pa.utf8()),
                pa.field("createdAt", pa.float64()),
                *_ADDED,
            ],
            metadata=_OURS,
        )
        self._table = self._database.create_table(TABLE, schema=schema, mode="overwrite")
        self._changed(int(self._table.version))

    def _optimize(self, *, index_from: int, clear: bool = False) -> None:
        if self._table is None:
            return
        rows = self._table.count_rows()
        age = _KEPT if _is_ours(self._table.schema) else _KEPT_OF_OTHERS
        if clear:
            age = timedelta(0)
        self._table.optimize(cleanup_older_than=_FOR_EVER)
        if rows >= index_from and not self._table.list_indices():
            with_vectors = self._table.count_rows("vector IS NOT NULL")
            if with_vectors >= index_from:
                # By L2, as OpenClaw's plugin searches: of unit vectors it orders as the cosine.
                self._table.create_index(
                    metric="l2", index_type="IVF_HNSW_SQ", vector_column_name=_INDEX
                )
        # What the versions before had must not go before this one is on disk.
        self._sync()
        self._table.optimize(cleanup_older_than=age, delete_unverified=clear)
        # How many versions that made is not told; somebody else's row shows in the count.
        is_same = self._table.count_rows() == rows
        self._version = int(self._table.version)
        self._stamp = self._present_stamp() if is_same else ""

    def _clear(self, *, index_from: int) -> None:
        if self._table is None:
            return
        # An index holds codes of the vectors that went.
        for index in self._table.list_indices():
            self._table.drop_index(index.name)
        # `optimize` leaves the rows of a file of which less than a tenth is deleted; an update of
        # all rows writes them anew, and is refused where somebody else changes them meanwhile.
        if self._table.count_rows():
            self._table.update(values_sql={"category": "category"})
        self._optimize(index_from=index_from, clear=True)

    def _changed(self, version: int) -> None:
        # A number that was left out is a change of somebody else, which is still to be taken in.
        is_next = version == self._version + 1
        self._version = version
        self._stamp = self._present_stamp() if is_next and self._stamp != "" else ""

    def _present_stamp(self) -> str | None:
        return None if self._table is None else stamp_of(self._folder, self._version)

    def _sync(self) -> None:
        """Bring to disk what was written: the library leaves that to the system."""
        for folder, _, names in os.walk(table_dir(self._folder)):
            is_changed = False
            for name in names:
                path = os.path.join(folder, name)  # noqa: PTH118 - thousands of them
                is_changed |= self._sync_one(path)
            if is_changed:
                _fsync(folder)
        _fsync(str(self._folder))

    def _sync_one(self, path: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(path)  # noqa: PTH116 - as above
            known = (found.st_size, found.st_mtime_ns)
            if stat.S_ISREG(found.st_mode) and self._synced.get(path) != known:
                _fsync(path)
                self._synced[path] = known
                return True
        return False


def _is_ours(schema: Any) -> bool:
    return bool((schema.metadata or {}).get(b"clawstate"))


def _require_memories(schema: Any) -> None:
    """Raise `TypeError` for a table that holds no memories."""
    for name in (*_TEXTS, "importance", "createdAt", "vector"):
        if name not in schema.names:
            raise TypeError(f"the table has no column {name!r}")
    for name in _TEXTS:
        kind = schema.field(name).type
        if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
            raise TypeError(f"the column {name!r} holds {kind}, not texts")
    kind = schema.field("vector").type
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_float32(kind.value_type):
        raise TypeError(f"the column 'vector' holds {kind}, not vectors")


def _matrix(has_vector: Sequence[bool], blob: bytes, kind: Any) -> Any:
    """Return a column of *kind*: the rows of *blob* where there is a vector, else nothing."""
    whole = np.zeros((len(has_vector), kind.list_size), np.float32)
    given = np.array(has_vector, bool)
    whole[given] = np.frombuffer(blob, "<f4").reshape(int(given.sum()), kind.list_size)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(whole.ravel()), type=kind, mask=pa.array(~given)
    )


def _are_numbers(vector: Sequence[float] | None) -> bool:
    return vector is not None and bool(np.isfinite(vector).all())


def _floats(vectors: Any) -> Any:
    """Return the vectors that are there, as one run of float32."""
    return np.asarray(vectors.drop_null().flatten(), "<f4")


def _among(ids: Sequence[str]) -> str:
    quoted = ", ".join("'" + each.replace("'", "''") + "'" for each in ids)
    return f"id IN ({quoted})"


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), _FEW):
        yield ids[first : first + _FEW]


def _fsync(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
