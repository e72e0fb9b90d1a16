"""Keeping the snapshots of large scopes up to date: which need it, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.interrupts import load_modules
from clawstate.memory.vector_index.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.vector_index.nearest import NearestSearch
    from clawstate.memory.vector_index.source import Keys, VectorSource

_TAIL_SHARE = 0.25  # of the snapshot; an exact search of the tail costs as much as a few hops


def is_outgrown(source: VectorSource, nearest: NearestSearch, scope: int, *, least: int) -> bool:
    """Tell whether *scope* has no snapshot, or a long tail behind it, of *least* / 2 at least."""
    snapshot = nearest.snapshot(source, scope)
    # Half of *least* at least, or a scope that just became large would be built again and again.
    allowed = 0 if snapshot is None else max(least / 2, snapshot.count * _TAIL_SHARE)
    return _tail(source, nearest, scope) > allowed


def build_snapshots(
    source: VectorSource,
    nearest: NearestSearch,
    scopes: Mapping[int, int],
    *,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Build or extend the snapshot of each of *scopes* (with its size) that has new vectors."""
    load_modules("clawstate.memory.vector_index.build")
    from clawstate.memory.vector_index.build import build_snapshot  # noqa: PLC0415 - slow to load

    for scope, total in scopes.items():
        if _tail(source, nearest, scope):
            build_snapshot(
                nearest.directory(scope),
                nearest.identity(scope),
                partial(source.batches, scope),
                upto=source.state(scope)[0],
                is_live=partial(_live, source, scope),
                total=total,
                progress=progress,
                cancelled=cancelled,
            )


def drop_snapshots(directory: Path) -> None:
    """Remove all snapshots below *directory*; searches are exact until they are built again."""
    # The manifests first: what none of them names is no snapshot, but a leftover to be swept.
    for manifest in directory.glob(f"*/{MANIFEST_NAME}"):
        manifest.unlink(missing_ok=True)
    for file in directory.glob("*/*"):
        if file.name != "build.lock":
            file.unlink(missing_ok=True)


def findings(nearest: NearestSearch, scopes: Iterable[int]) -> list[str]:
    """Return what is wrong with the snapshots of *scopes*; they can be deleted without loss."""
    load_modules("clawstate.memory.vector_index.snapshot")
    from clawstate.memory.vector_index.snapshot import verify_snapshot  # noqa: PLC0415

    return [
        f"the vector snapshot {each}"
        for scope in scopes
        for each in verify_snapshot(nearest.directory(scope), nearest.identity(scope))
    ]


def _tail(source: VectorSource, nearest: NearestSearch, scope: int) -> int:
    snapshot = nearest.snapshot(source, scope)
    return source.count(scope, 0 if snapshot is None else snapshot.upto)


def _live(source: VectorSource, scope: int, keys: Keys) -> NDArray[np.bool_]:
    import numpy as np  # noqa: PLC0415 - its caller has it loaded

    return np.isin(keys, source.kept(scope, int(keys[-1]) if len(keys) else 0))
