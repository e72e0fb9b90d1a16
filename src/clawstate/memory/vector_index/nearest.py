"""
The vector leg: exact among few rows, a scan of sign bits that proposes candidates among many.

There is no graph, so nothing is out of reach: every row is looked at in every search (decision 5).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clawstate.interrupts import Mutex
from clawstate.memory.vector_index.codes import Codes, Matrix
from clawstate.memory.vector_index.source import Keys, VectorSource
from clawstate.memory.vector_index.table import VectorTable, View, is_small

_DEAD = 4  # of four rows in memory one is dead: read anew, without them
_LOADED = 2_048  # rows that each search reads into memory, while there are others
_HITS = 10
_ASKED = 32
_RECALL = 0.95  # of the nearest are found, or more candidates have to be compared
_NOISE = 1e-5


class _Known(NamedTuple):
    table: VectorTable
    newest: int  # the newest key of the whole database when this was read
    removed: int  # how many records had been removed by then
    breadth: int


class NearestSearch:
    """The nearest records of one database, whose vectors have so many *dimensions*. Thread-safe."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._mutex = Mutex()
        self._known: _Known | None = None
        self._searches = 0

    def best(
        self,
        source: VectorSource,
        query: Matrix,
        *,
        scope: int | None,
        allowed: Keys | None,
        limit: int,
        others: Keys | None = None,
    ) -> tuple[Keys, Matrix]:
        """
        Return the best *limit* records and their cosines, best first, and behind them *others*.

        Of *scope*, or of all; *allowed* are the keys, ascending, that a filter lets through, which
        are of that scope. Of *others*, ascending, those come that have a vector, wherever they are.
        """
        view, breadth = self._current(source)
        among = None if scope is None else view.of_scope(scope)
        if allowed is not None:
            among = view.places(allowed)
        keys, cosines = view.best(query, limit, among, breadth=breadth, fetch=source.vectors)
        if others is None or not len(others):
            return keys, cosines
        found, more = view.cosines(query, others, fetch=source.vectors)
        known = np.sort(keys)
        at = np.minimum(known.searchsorted(found), max(len(known) - 1, 0))
        new = known[at] != found if len(known) else np.ones(len(found), np.bool_)
        return np.concatenate([keys, found[new]]), np.concatenate([cosines, more[new]])

    def likely(self, source: VectorSource, query: Matrix, *, scope: int | None, count: int) -> Keys:
        """
        Return, ascending, *count* keys or some more that are the nearest by their bits alone.

        All there are, where bits cannot choose.
        """
        view, _ = self._current(source)
        return view.likely(query, count, None if scope is None else view.of_scope(scope))

    def needed_breadth(self, source: VectorSource) -> int | None:
        """
        Return the breadth at which enough is found of what is near to some of the vectors.

        None if that is what searches have now; 0 stands for comparing all.
        """
        if is_small(source.count()):
            return None
        view, present = self._current(source)
        chosen = view.keys[np.linspace(0, view.count - 1, _ASKED).astype(np.intp)]
        queries = source.vectors(chosen)[1]
        exact = [
            view.best(each, _HITS, None, breadth=0, fetch=source.vectors)[1] for each in queries
        ]
        for breadth in (present, 2 * present, 4 * present, 8 * present):
            right = 0
            for query, wanted in zip(queries, exact, strict=True):
                found = view.best(query, _HITS, None, breadth=breadth, fetch=source.vectors)[1]
                # By cosines and not by keys: of equal vectors any will do.
                right += int(np.count_nonzero(found >= wanted[-1] - _NOISE))
            if right >= _RECALL * sum(map(len, exact)):
                return None if breadth == present else breadth
        return 0

    def _current(self, source: VectorSource) -> tuple[View, int]:
        newest, removed = source.state()
        with self._mutex:
            self._searches += 1
            known = self._known
            if known is None or _is_worn(known):
                known = self._read(source, newest, removed)
            is_old = newest < known.newest or removed < known.removed
            if not is_old and (newest, removed) != known[1:3]:
                known = _refresh(source, known, newest, removed)
            self._known = known
            # Who asks once, as a command does, pays for the candidates alone.
            if self._searches > 1 and not is_old:
                _load_some(source, known.table)
            # In a transaction that is older than what another one has read since, what was added
            # in between must not be seen; what was removed is missed.
            return known.table.view.upto(newest), known.breadth

    def _read(self, source: VectorSource, newest: int, removed: int) -> _Known:
        count = source.count()
        kept = None if is_small(count) else source.stored_blocks()
        if kept is not None:
            table = VectorTable(kept.codes, expected=count, centred=True)
            for coded in kept.coded:
                table.add_coded(coded)
            for batch in source.batches(kept.upto):
                table.add(batch)
            if table.view.count == count:
                return _Known(table, newest, removed, kept.breadth)
        table = VectorTable(Codes(self.dimensions), expected=count)
        for batch in source.batches(0):
            table.add(batch)
        return _Known(table, newest, removed, 1)


def _refresh(source: VectorSource, known: _Known, newest: int, removed: int) -> _Known:
    table = known.table
    # A key stands for one vector for ever, so only what is new is read: behind the last row that is
    # here, which an interrupt may have left behind that of `known`.
    if newest > known.newest:
        for batch in source.batches(table.last()):
            table.add(batch)
    if removed != known.removed:
        after = 0
        for upto, count in [*source.counts(), (newest, -1)]:
            if table.count_left(after, upto) != count:
                table.remove(after, upto, source.live_keys(after, upto))
            after = upto
    return known._replace(newest=newest, removed=removed)


def _is_worn(known: _Known) -> bool:
    view = known.table.view
    return view.removed > view.count // _DEAD


def _load_some(source: VectorSource, table: VectorTable) -> None:
    """Load some thousand rows that are not in memory, if there are any."""
    first = table.next_unloaded()
    if first is not None:
        table.load(next(source.batches(first - 1, size=_LOADED), None))
