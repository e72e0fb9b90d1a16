"""
Building the `VectorSnapshot` of one scope: extended or made anew, published as a whole.

A kill or power cut at any point leaves the snapshot before or the one after. The graph file gets
a name that was never used, is on disk before the manifest that names it, and what the manifest
does not name is swept by the next builder.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clawstate.errors import CorruptError, DimensionError, InvalidError, UnavailableError
from clawstate.files.descriptors import Descriptor
from clawstate.files.ownership import give_to_owner, make_directory
from clawstate.interrupts import Use, hold, let_go
from clawstate.memory.vector_index.manifest import (
    MANIFEST_NAME,
    MANIFEST_TEMP_PREFIX,
    IndexIdentity,
    Manifest,
    check_whole,
    links_crc32,
    new_file,
    publish_manifest,
    read_manifest,
    sync_directory,
    whole_sha256,
)
from clawstate.memory.vector_index.snapshot import Graph, new_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Batch = tuple[NDArray[np.int64], NDArray[np.float16] | NDArray[np.float32]]

STEP = 1024  # vectors between two looks at *cancelled*: a third of a second at 100,000 vectors
WORTH_KEEPING = 2000  # vectors that a cancelled build must have gained to be published
PER_THREAD = 4000  # vectors in the graph for each thread that adds to it
STALE_SHARE = 1 / 8  # of deleted records in a snapshot, above which it is made anew

_LOCK_NAME = "build.lock"
_OPEN_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_GRAPH_PREFIX = "vectors-"


def build_snapshot(
    directory: Path,
    identity: IndexIdentity,
    source: Callable[[int], Iterable[Batch]],
    *,
    upto: int,
    is_live: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None,
    total: int = 0,
    extend: bool = True,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    threads: int = 0,
) -> int | None:
    """
    Publish a snapshot of all keys up to *upto* and return how far the published one reaches.

    `None` means that another builder is at work here, 0 that there is no snapshot.
    *source* is called once, with the last key already covered (0 when built anew), and yields
    (keys int64 [n], vectors float16 or float32 [n, d]) with keys above it, strictly increasing,
    none above *upto*. Vectors need no certain length; rows of zeros are left out.

    The snapshot before is extended, unless *extend* is false, it is damaged, of another identity,
    or more than an eighth of its keys (ascending) are not live by *is_live*. Deleted keys stay in
    an extended snapshot. *progress* gets (vectors in the graph, *total* or that number if higher).
    When *cancelled* turns true, what was added is published if it is some thousands of vectors
    more than before. At most *threads* add at once (0: as many as there are cores), one to begin
    with.

    Raises `InvalidError` and `DimensionError` for what *source* yields, `UnavailableError` when
    the disk refuses; what was published before stays.
    """
    with _disk_errors(directory), _OnlyBuilder(directory) as alone:
        # Not waited for: whoever has the lock is building just this.
        if not alone:
            return None
        _sweep(directory)
        draft = _begin(directory, identity, is_live, extend=extend)
        tick = progress or _silent
        for keys, vectors in _steps(source(draft.upto), identity.dimensions, draft.upto, upto):
            if cancelled is not None and cancelled():
                break
            draft.add(keys, vectors, threads)
            tick(len(draft.graph), max(total, len(draft.graph)))
        else:
            draft.finish(upto)
        return _publish(directory, identity, draft)


@dataclass
class _Draft:
    """A graph in the making, and the published snapshot that it started from."""

    graph: Graph
    base: Manifest | None
    upto: int = 0
    added: int = 0
    complete: bool = False

    def add(self, keys: NDArray[np.int64], vectors: NDArray[np.float32], threads: int) -> None:
        # Unit vectors, so that the inner product by which the graph compares is the cosine.
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        usable = np.isfinite(lengths) & (lengths > 0)
        if usable.any():
            units = vectors[usable] / lengths[usable, None]
            at_once = _threads(threads, len(self.graph))
            self.graph.add(keys[usable].astype(np.uint64), units, threads=at_once)
        self.added += int(usable.sum())
        self.upto = int(keys[-1])

    def finish(self, upto: int) -> None:
        # The last keys may belong to records that were deleted or have no vector; they count as
        # covered as well.
        self.upto = upto
        self.complete = True


def _threads(most: int, vectors: int) -> int:
    # Threads that insert at once do not see each other's vectors and leave some out of reach
    # (unum-cloud/USearch#735): on 64 cores a graph of 2,000 had recall .94, from one thread 1.0.
    return max(1, min(most or len(os.sched_getaffinity(0)), vectors // PER_THREAD))


def _begin(
    directory: Path,
    identity: IndexIdentity,
    is_live: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None,
    *,
    extend: bool,
) -> _Draft:
    base = _published(directory, identity)
    if base is not None and extend:
        graph = _loaded(directory, base)
        if graph is not None and not _is_stale(graph, is_live):
            return _Draft(graph, base, upto=base.upto)
    return _Draft(new_graph(identity.dimensions), None)


def _published(directory: Path, identity: IndexIdentity) -> Manifest | None:
    with contextlib.suppress(CorruptError):
        found = read_manifest(directory)
        if found is not None and found[0].identity == identity:
            return found[0]
    return None


def _loaded(directory: Path, base: Manifest) -> Graph | None:
    graph = new_graph(base.identity.dimensions)
    try:
        check_whole(directory, base)  # or damage would be published again, under a new checksum
        graph.load(directory / base.file)
    except (CorruptError, OSError, ValueError, RuntimeError):
        return None
    return graph if len(graph) == base.count else None


def _is_stale(
    graph: Graph, is_live: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None
) -> bool:
    if is_live is None:
        return False
    # Not usearch's own removal: it keeps the node and the vector, and only hides the key.
    keys = np.sort(np.asarray(graph.keys).astype(np.int64))
    return bool(np.count_nonzero(is_live(keys)) < (1 - STALE_SHARE) * len(keys))


def _steps(
    batches: Iterable[Batch], dimensions: int, after: int, upto: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    for keys, vectors in batches:
        if vectors.ndim != 2 or vectors.shape[1] != dimensions:
            raise DimensionError(dimensions, vectors.shape[-1])
        if len(keys) != len(vectors):
            raise InvalidError("vectors", f"{len(vectors)} of them for {len(keys)} keys")
        if len(keys) and not _ascends(keys, after, upto):
            raise InvalidError("keys", f"do not increase from {after} to at most {upto}")
        for start in range(0, len(keys), STEP):
            part = slice(start, start + STEP)
            yield keys[part], vectors[part].astype(np.float32)
        after = int(keys[-1]) if len(keys) else after


def _ascends(keys: NDArray[np.int64], after: int, upto: int) -> bool:
    return bool(keys[0] > after and keys[-1] <= upto and (np.diff(keys) > 0).all())


def _publish(directory: Path, identity: IndexIdentity, draft: _Draft) -> int:
    # Read again, since a build anew has no base but must not replace more than it covers.
    before = _published(directory, identity)
    reached = before.upto if before else 0
    if not draft.complete and not _is_worth_keeping(draft, before):
        return reached
    # Nothing new to search: a manifest that reaches further over the same graph file is enough.
    if draft.base is not None and not draft.added:
        if draft.upto > reached:
            publish_manifest(directory, replace(draft.base, upto=draft.upto))
        return max(draft.upto, reached)
    if len(draft.graph) == 0:
        _retire(directory)
        return 0
    publish_manifest(directory, _write_graph(directory, identity, draft))
    _sweep(directory)
    return draft.upto


def _is_worth_keeping(draft: _Draft, before: Manifest | None) -> bool:
    # A part of a build anew never replaces a snapshot of everything.
    return draft.added >= WORTH_KEEPING and (before is None or draft.base is not None)


def _write_graph(directory: Path, identity: IndexIdentity, draft: _Draft) -> Manifest:
    # A new name each time: readers go on with the file they mapped, which must never change.
    path = directory / f"{_GRAPH_PREFIX}{draft.upto}-{secrets.token_hex(4)}.usearch"
    with new_file(path) as file:
        try:
            draft.graph.save(path)  # truncates: the inode and its mode stay
        except (ValueError, RuntimeError) as error:
            raise OSError(str(error)) from error
        size = os.fstat(file.fileno()).st_size
        if size != draft.graph.serialized_length:  # usearch does not look at its last write
            raise OSError("the file was cut short")
        os.fsync(file.fileno())
        count = len(draft.graph)
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as memory:
            links = links_crc32(memory, count=count, dimensions=identity.dimensions)
        manifest = Manifest(
            identity=identity,
            upto=draft.upto,
            count=count,
            file=path.name,
            size=size,
            links_crc32=links,
            sha256=whole_sha256(file),
        )
        # The graph is durable under its name before a manifest may name it.
        sync_directory(directory)
        return manifest


def _retire(directory: Path) -> None:
    # The manifest first: without it the graph file is litter, which the next builder sweeps.
    (directory / MANIFEST_NAME).unlink(missing_ok=True)
    sync_directory(directory)
    _sweep(directory)


def _sweep(directory: Path) -> None:
    """Unlink what dead builders left; only for the holder of the lock."""
    named = None
    with contextlib.suppress(CorruptError):
        # A damaged manifest names nothing, so all graphs go; they are built again from the
        # database.
        found = read_manifest(directory)
        named = found[0].file if found else None
    for path in directory.iterdir():
        if path.name.startswith((_GRAPH_PREFIX, MANIFEST_TEMP_PREFIX)) and path.name != named:
            path.unlink(missing_ok=True)


class _OnlyBuilder:
    """Tells a `with` block whether it alone builds the snapshot in *directory*; a `Holding`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Descriptor()

    def is_over(self) -> bool:
        """Tell whether the block is over."""
        return self._use.is_over()

    def discard(self) -> None:
        """Let others build."""
        self._lock.unlock()  # by name: a forked child may still hold a copy
        self._lock.close()

    def __enter__(self) -> bool:
        _make_directories(self._directory)
        self._use = Use()
        self.thread = self._use.thread
        hold(self)
        try:
            number = self._lock.open(self._directory / _LOCK_NAME, _OPEN_LOCK, 0o600)
            give_to_owner(number, self._directory)
            # The kernel frees it when its owner dies, so no builder has to judge whether another
            # lives.
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except BaseException:
            let_go(self)
            raise
        return True

    def __exit__(self, *_: object) -> None:
        let_go(self)


@contextlib.contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "see to its disk and permissions, then build it again"
        raise UnavailableError(f"vector index {directory}", str(error), hint) from error


def _make_directories(directory: Path) -> None:
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            make_directory(path)


def _silent(_done: int, _total: int) -> None: ...
