"""
A published `VectorSnapshot`: the approximate nearest-neighbour graph of one scope, read-only.

It is derived data (decisions 4 and 5): the records live elsewhere, and deleting the whole
directory loses nothing but time. A directory holds one manifest and the one graph file that the
manifest names. The manifest is replaced as a whole, after the graph is on disk; whatever it does
not name is nothing.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import numpy as np

from clawstate.errors import ClosedError, CorruptError, DimensionError, FallbackWarning, warn
from clawstate.interrupts import load_modules
from clawstate.memory.vector_index.manifest import (
    IndexIdentity,
    Manifest,
    Stamp,
    check_whole,
    links_crc32,
    read_manifest,
    snapshot_stamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    _Mapping = tuple[mmap.mmap, "Graph"]

# Chosen on 100,000 sentence vectors of 256 dimensions: recall@10 above .99 at the lowest p50.
CONNECTIVITY = 24
EXPANSION_ADD = 128
EXPANSION_SEARCH = 224


class VectorSnapshot:
    """
    One snapshot, mapped into memory; safe to search from several threads at once.

    It answers from the file it was opened on for as long as it is open, also after a newer one
    was published and its own file unlinked: ask `is_current` now and then, and open again.
    The file must not be truncated in place meanwhile (nothing here ever does).
    """

    def __init__(
        self, directory: Path, manifest: Manifest, stamp: Stamp, mapping: _Mapping
    ) -> None:
        self._directory = directory
        self._manifest = manifest
        self._stamp = stamp
        self._mapping: _Mapping | None = mapping

    @property
    def upto(self) -> int:
        """Return the highest key covered; records with higher keys are not in here."""
        return self._manifest.upto

    @property
    def count(self) -> int:
        """Return the number of vectors, those of records deleted since included."""
        return self._manifest.count

    def is_current(self) -> bool:
        """Tell, by one `stat`, whether this is still the published snapshot."""
        return snapshot_stamp(self._directory) == self._stamp

    def nearest(
        self, query: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """
        Return the keys nearest to *query* (shape [d]) and their cosine similarities, best first.

        At most *limit* of them. Similarities come from float16 vectors (wrong by about 0.0005):
        score the candidates again where order matters. A query of zeros has no neighbours.
        Raises `DimensionError` and `ClosedError`.
        """
        # usearch does not keep the mapping alive, and another thread may call `close` now.
        _memory, graph = self._opened()  # both live until the search is over
        unit = self._unit(query)
        wanted = min(limit, self.count)
        if unit is None or wanted < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        found = graph.search(unit, wanted, threads=1)
        return found.keys.astype(np.int64), np.float32(1) - found.distances

    def vectors(self, keys: Iterable[int]) -> NDArray[np.float32]:
        """
        Return the unit vectors of *keys*, shape [n, d]: a row of NaN for a key not in here.

        Raises `ClosedError`.
        """
        _memory, graph = self._opened()
        wanted = np.fromiter(keys, dtype=np.uint64)
        rows = np.full((len(wanted), self._manifest.identity.dimensions), np.nan, np.float32)
        for row, vector in zip(rows, graph.get(wanted), strict=True):
            if vector is not None:
                row[:] = vector
        return rows

    def close(self) -> None:
        """Let go of the mapping, once the searches under way are done."""
        self._mapping = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _opened(self) -> _Mapping:
        if (mapping := self._mapping) is None:
            raise ClosedError("the vector snapshot")
        return mapping

    def _unit(self, query: NDArray[np.float32]) -> NDArray[np.float32] | None:
        if query.shape != (self._manifest.identity.dimensions,):
            raise DimensionError(self._manifest.identity.dimensions, query.size)
        length = float(np.sqrt(np.dot(query, query)))
        return query / np.float32(length) if 0 < length < np.inf else None


def open_snapshot(directory: Path, identity: IndexIdentity) -> VectorSnapshot | None:
    """
    Return the snapshot published in *directory*, or `None` when there is none of *identity*.

    Never raises and never rebuilds. A damaged snapshot gives `None` with a `FallbackWarning`.
    Everything but the vectors is checked against the manifest here, because a wrong link in
    the graph could crash a search; a wrong vector can only misplace its own record, and is
    found by `verify_snapshot`.
    """
    try:
        return _open(directory, identity)
    except CorruptError as damage:
        problem = f"{damage.path}: {damage.problem}"
        message = f"{problem}; searching without it, rebuild the vector index"
        warn(FallbackWarning(message), stacklevel=2)
        return None


def verify_snapshot(directory: Path, identity: IndexIdentity) -> list[str]:
    """
    Return what is wrong with the snapshot in *directory*, having read every byte of it.

    Nothing is wrong with a missing one: searches are exact until it is built.
    """
    try:
        found = read_manifest(directory)
        if found is None:
            return []
        manifest, _ = found
        if manifest.identity != identity:
            return [f"{directory}: belongs to another database, scope or embedder; rebuild it"]
        check_whole(directory, manifest)
    except CorruptError as damage:
        return [f"{damage.path}: {damage.problem}; {damage.hint}"]
    return []


class Matches(Protocol):
    """What usearch answers to one query; distances are 1 - cosine, ascending."""

    keys: NDArray[np.uint64]
    distances: NDArray[np.float32]


class Graph(Protocol):
    """
    The part of `usearch.index.Index` used here; its own annotations are incomplete.

    It lets go of the GIL in `search` and `add`, and admits one thread at a time.
    """

    keys: Any
    serialized_length: int

    def __len__(self) -> int: ...

    def search(self, vectors: NDArray[np.float32], count: int, *, threads: int) -> Matches:
        """Find the nearest to one vector, `max(count, EXPANSION_SEARCH)` candidates wide."""

    def get(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.float16] | None, ...]:
        """Return the vectors kept under *keys*."""

    def add(
        self, keys: NDArray[np.uint64], vectors: NDArray[np.float32], *, threads: int
    ) -> object:
        """Insert the vectors under keys not yet taken."""

    def view(self, path_or_buffer: mmap.mmap) -> None:
        """Search what lies in *path_or_buffer*, which is not kept alive."""

    def load(self, path_or_buffer: Path) -> None:
        """Read a file into memory, to be added to."""

    def save(self, path_or_buffer: Path) -> None:
        """Write a file, over what is there."""


def new_graph(dimensions: int) -> Graph:
    """Return an empty graph of unit vectors, kept as float16 and compared by inner product."""
    load_modules("usearch.index")
    from usearch.index import Index  # noqa: PLC0415 - 60 ms, and most processes never search

    return cast(
        "Graph",
        Index(
            ndim=dimensions,
            metric="ip",
            dtype="f16",
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        ),
    )


def _open(directory: Path, identity: IndexIdentity) -> VectorSnapshot | None:
    while (found := read_manifest(directory)) is not None:
        manifest, stamp = found
        # Of another database or embedder, as after a restored backup: nothing to warn about.
        if manifest.identity != identity:
            return None
        try:
            return VectorSnapshot(directory, manifest, stamp, _mapped(directory, manifest))
        except CorruptError:
            # A builder may have published, and unlinked this file, since the manifest was read.
            if snapshot_stamp(directory) == stamp:
                raise
    return None


def _mapped(directory: Path, manifest: Manifest) -> _Mapping:
    path = directory / manifest.file
    graph = new_graph(manifest.identity.dimensions)
    try:
        memory = _checked_memory(path, manifest)
        # By path, usearch would leak its descriptor to child processes, and close descriptor 0
        # when it cannot open the file.
        graph.view(memory)
    except (OSError, ValueError, RuntimeError) as error:
        raise CorruptError(str(path), f"cannot be used ({error})", "rebuild it") from error
    if len(graph) != manifest.count:
        raise CorruptError(str(path), f"holds {len(graph)} vectors", "rebuild it")
    return memory, graph


def _checked_memory(path: Path, manifest: Manifest) -> mmap.mmap:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != manifest.size:
            raise ValueError(f"has {size} bytes instead of {manifest.size}")
        memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    found = links_crc32(memory, count=manifest.count, dimensions=manifest.identity.dimensions)
    if found != manifest.links_crc32:
        raise ValueError("its links do not match their checksum")
    return memory
