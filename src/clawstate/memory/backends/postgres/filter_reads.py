"""`FilterReads`: what filters let through in one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clawstate.memory.backends.postgres import statements
from clawstate.memory.backends.postgres.conditions import Bound, sql_of
from clawstate.memory.backends.postgres.selections import Selected, Selections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clawstate.memory.backends.postgres.script import Script
    from clawstate.memory.backends.postgres.word_reads import WordReads
    from clawstate.memory.filters import Filter


class FilterReads:
    """Filters in the snapshot of *reads*; what they let through before is in *kept*."""

    def __init__(self, reads: WordReads, kept: Selections, *, now_ms: int) -> None:
        self._reads = reads
        self._kept = kept
        self._now_ms = now_ms
        self._selected: dict[Filter, NDArray[np.int64]] = {}

    def docnos(self, chosen: Filter) -> NDArray[np.int64] | None:
        """Return the docnos that *chosen* lets through, ascending, if they were asked for."""
        return self._selected.get(chosen)

    def is_needed(self, chosen: Filter) -> bool:
        """Tell whether more than the namespace is asked for."""
        # As soon as one record has expired all are asked for their end.
        return self._reads.head.has_expired or not chosen.is_plain

    def condition(self, chosen: Filter, scope: int | None) -> Bound | None:
        """Return what *chosen* asks of a record; None where it asks nothing."""
        if not self.is_needed(chosen):
            return None
        return sql_of(chosen, scope=scope, now_ms=self._now_ms)

    def ask(self, script: Script, chosen: Filter) -> int | None:
        """Ask what *chosen* lets through, where that is needed and not known."""
        if chosen in self._selected or not self.is_needed(chosen):
            return None
        text, values = sql_of(chosen, scope=None, now_ms=self._now_ms)
        known = self._known(chosen)
        if known is None:
            return script.ask(
                statements.SELECTED.format(text), namespace=chosen.namespace, **values
            )
        return script.ask(
            statements.SELECTED_SINCE.format(text),
            namespace=chosen.namespace,
            horizon=known.horizon,
            **values,
        )

    def take(self, chosen: Filter, rows: Sequence[tuple[Any, ...]]) -> None:
        """Take the answer to `ask`."""
        ((packed, refused),) = rows
        found = np.frombuffer(packed or b"", ">i8").astype(np.int64)
        known = self._known(chosen)
        if known is not None:
            gone = np.frombuffer(refused or b"", ">i8").astype(np.int64)
            left = np.setdiff1d(known.docnos, np.concatenate([gone, found]))
            found = np.concatenate([left, found])
        found = np.sort(found)
        self._selected[chosen] = found
        end = self._reads.head.next_end
        times = range(self._now_ms, 1 << 62 if end is None else end)
        kept = Selected(self._reads.head.database_id, self._reads.state.horizon, times, found)
        self._kept.put(chosen, kept)

    def _known(self, chosen: Filter) -> Selected | None:
        return self._kept.find(chosen, self._reads.head.database_id, self._now_ms)
