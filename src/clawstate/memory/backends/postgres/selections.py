"""What filters let through, remembered between searches of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from clawstate.caches.ttl import TTLCache
from clawstate.memory.filters import Filter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST = 8  # filters: of a million records each may take 8 MB


class Selected(NamedTuple):
    """
    The docnos that a filter let through in one snapshot, and some that are deleted by now.

    They hold while the time is in `times`; what transactions from `horizon` on wrote is asked anew.
    """

    database_id: str
    horizon: int
    times: range
    docnos: NDArray[np.int64]


class Selections:
    """The filters last asked for. Thread-safe."""

    def __init__(self) -> None:
        self._kept: TTLCache[Filter, Selected] = TTLCache(_MOST)

    def find(self, chosen: Filter, database_id: str, now_ms: int) -> Selected | None:
        """Return what *chosen* let through, if that holds at *now_ms*."""
        known = self._kept.get(chosen)
        if known is None or known.database_id != database_id or now_ms not in known.times:
            return None
        return known

    def put(self, chosen: Filter, found: Selected) -> None:
        """Remember *found*."""
        self._kept.put(chosen, found)
