"""
`VectorTable`: the codes of all vectors of a database in memory, shared by the searches of threads.

Arrays only grow, and what a search sees of them is a `View` that never changes: its length, and
which of its rows are dead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.vector_index import scan
from clawstate.memory.vector_index.arrays import Arrays
from clawstate.memory.vector_index.codes import Bits, Codes, Matrix
from clawstate.memory.vector_index.scan import Rows
from clawstate.memory.vector_index.source import Batch, Coded, Keys

Fetch = Callable[[Keys], tuple[Keys, Matrix]]
"""Returns the vectors of those of some keys that have one."""

EXACT = 10_000
"""Up to so many rows all are compared: to choose some by their bits takes as long."""

CENTRED = 8_192
"""The first so many vectors give the centre."""

_CANDIDATES = 2_000, 4_000
"""How many are compared at least, for few hits and for many."""

_HEAD, _WIDE = 8, 12
"""By so many words of bits all rows are measured where there are so many or more (768 d)."""

_FEWEST = 500
"""Of many bits so many rows are compared at least: the more bits, the surer they are."""

_NEAR_HEAD = 8  # times as many rows as are compared are measured by all their bits
_USUAL = 256  # dimensions that `EXACT` is for
_FEW = 200  # hits
_READ = 1_000
"""Of candidates that are not in memory so many are read, or four times as many as are wanted."""
_SHARE = 50  # one of so many rows that a filter lets through is compared


def is_small(count: int) -> bool:
    """Tell whether so many rows are always compared whole."""
    return count <= EXACT


@dataclass(frozen=True, slots=True)
class View:
    """The first `count` rows of some arrays, without those that are `dead`."""

    codes: Codes
    arrays: Arrays
    count: int = 0
    dead: NDArray[np.bool_] | None = None
    # Worked out once for each view, and never handed on: rows that die later would stay in them.
    _of_scope: dict[int | None, Rows] = field(default_factory=dict, init=False)

    @property
    def keys(self) -> Keys:
        """The keys, ascending."""
        return self.arrays.keys[: self.count]

    @property
    def removed(self) -> int:
        """How many rows are dead."""
        return 0 if self.dead is None else int(np.count_nonzero(self.dead))

    def upto(self, key: int) -> View:
        """Return what there was when *key* was the newest."""
        if not self.count or self.keys[-1] <= key:
            return self
        count = int(np.searchsorted(self.keys, key, side="right"))
        dead = None if self.dead is None else self.dead[:count]
        return View(self.codes, self.arrays, count, dead)

    def places(self, keys: Keys) -> Rows:
        """Return the rows of those of *keys*, ascending, that are here and not dead."""
        return self._alive(self._find(keys))

    def of_scope(self, scope: int) -> Rows | None:
        """Return the rows of *scope* that are not dead; None if those are all."""
        rows = self._of_scope.get(scope)
        if rows is None:
            rows = self._alive(np.flatnonzero(self.arrays.scopes[: self.count] == scope))
            self._of_scope[scope] = rows
        return rows if len(rows) < self.count else None

    def best(
        self, query: Matrix, limit: int, among: Rows | None, *, breadth: int, fetch: Fetch
    ) -> tuple[Keys, Matrix]:
        """
        Return the best *limit* of the rows *among* (ascending), and their cosines, best first.

        *among* None stands for all. *breadth* times as many candidates as usual are compared; 0
        stands for all. Vectors that are not in memory come from *fetch*.
        """
        if breadth == 1 and self.codes.words >= _WIDE:
            found = self._best_by_head(query, limit, among, fetch)
            if found is not None:
                return found
        elif breadth == 1 and self.codes.words > scan.IN_A_BYTE:
            found = self._best_of_fewer(query, limit, among, fetch)
            if found is not None:
                return found
        rows = self._alive(self._candidates(query, limit, among, breadth))
        if breadth and not self.arrays.holds(rows):
            rows = self._nearer(query, rows, max(_READ, 4 * limit))
        rows, cosines = self._cosines(query, rows, fetch)
        best = scan.top(cosines, limit)
        return self.keys[rows[best]], cosines[best]

    def _best_by_head(
        self, query: Matrix, limit: int, among: Rows | None, fetch: Fetch
    ) -> tuple[Keys, Matrix] | None:
        """Return what `best` does by measuring most rows by some of their bits; None: unsure."""
        count = self.count if among is None else len(among)
        fewer = _CANDIDATES[limit > _FEW] * _HEAD // self.codes.words
        least = max(fewer, _FEWEST, 10 * limit)
        near = min(_NEAR_HEAD * least, count // 2)
        if near < 2 * least or least > 2 * fewer or self._are_compared_whole(among, count):
            return None
        columns, out = self._columns(among), self._not_alive() if among is None else None
        bits = self.codes.bits(query[np.newaxis])[0]
        found = scan.narrow(columns, bits, out, head=_HEAD, near=near, least=least)
        if found is None:
            return None
        places = found.near[found.chosen]
        rows = self._alive(places if among is None else among[places])
        rows, cosines = self._cosines(query, rows, fetch)
        best = scan.top(cosines, limit)
        hits = rows[best]
        if not len(hits):
            return None
        inside = np.sort(hits) if among is None else among.searchsorted(np.sort(hits))
        return (self.keys[hits], cosines[best]) if found.are_inside(inside) else None

    def _best_of_fewer(
        self, query: Matrix, limit: int, among: Rows | None, fetch: Fetch
    ) -> tuple[Keys, Matrix] | None:
        """Return what `best` does; the more bits, the fewer rows are compared. None: cannot."""
        count = self.count if among is None else len(among)
        usual = _CANDIDATES[limit > _FEW]
        least = max(usual * scan.IN_A_BYTE // self.codes.words, 10 * limit)
        if among is not None and count > _SHARE * least:
            return None
        if least >= usual or count <= 2 * usual or self._are_compared_whole(among, count):
            return None
        far = scan.distances(self._columns(among), self.codes.bits(query[np.newaxis])[0])
        if among is None:
            far[self._not_alive()] = np.iinfo(far.dtype).max
        for enough in (least, usual):
            chosen = scan.closest(far, enough)
            if chosen is None:
                return None
            rows = self._alive(chosen if among is None else among[chosen])
            if not self.arrays.holds(rows):
                return None
            rows, cosines = self._cosines(query, rows, fetch)
            best = scan.top(cosines, limit)
            hits = np.sort(rows[best])
            reached = far[hits if among is None else among.searchsorted(hits)]
            if len(hits) and (enough == usual or scan.are_nearest(far[chosen], reached, part=3)):
                return self.keys[rows[best]], cosines[best]
        return None

    def likely(self, query: Matrix, count: int, among: Rows | None) -> Keys:
        """Return, ascending, *count* keys or some more, the nearest by bits; else all *among*."""
        total = self.count if among is None else len(among)
        rows = None
        if total > 2 * count and self.arrays.coded >= self.count:
            rows = self._closest(query, count, among)
        if rows is None:
            rows = np.arange(total) if among is None else among
        return self.keys[self._alive(rows)]

    def cosines(self, query: Matrix, keys: Keys, *, fetch: Fetch) -> tuple[Keys, Matrix]:
        """Return those of *keys*, ascending, that are here, and their cosines."""
        rows, cosines = self._cosines(query, self._find(keys), fetch)
        return self.keys[rows], cosines

    def _find(self, keys: Keys) -> Rows:
        """Return the rows of those of *keys*, ascending, that are here."""
        keys = (
            keys[: np.searchsorted(keys, self.keys[-1], side="right")] if self.count else keys[:0]
        )
        places = np.searchsorted(self.keys, keys)
        found: Rows = places[self.keys[places] == keys]
        return found

    def _nearer(self, query: Matrix, rows: Rows, count: int) -> Rows:
        """Return the *count* of *rows* that are the nearest by an estimate, ascending."""
        # To read a vector from the database takes ten times as long as to estimate its cosine.
        if len(rows) <= count or self.arrays.coded < self.count:
            return rows
        estimated = self.codes.estimate(query, self.arrays.columns[:, rows].T)
        return np.sort(rows[scan.top(estimated, count)])

    def _not_alive(self) -> Rows:
        """Return the rows that are never found, which must not take the place of candidates."""
        rows = self._of_scope.get(None)
        if rows is None:
            empty = self.arrays.empty[: self.count]
            rows = np.flatnonzero(empty if self.dead is None else empty | self.dead)
            self._of_scope[None] = rows
        return rows

    def _alive(self, rows: Rows) -> Rows:
        # Before bits choose among them: where most are dead, the nearest bits may be all of those.
        left = ~self.arrays.empty[rows]
        if self.dead is not None:
            left &= ~self.dead[rows]
        return rows if left.all() else rows[left]

    def _candidates(self, query: Matrix, limit: int, among: Rows | None, breadth: int) -> Rows:
        count = self.count if among is None else len(among)
        few, many = _CANDIDATES
        least = max(few if limit <= _FEW else many, 10 * limit)
        # A filter may let through what is all alike; without one, more would find nothing more.
        least = breadth * (least if among is None else max(least, count // _SHARE))
        found = None
        if least and count > 2 * least and not self._are_compared_whole(among, count):
            found = self._closest(query, least, among)
        if found is None:
            return np.arange(count) if among is None else among
        return found

    def _closest(self, query: Matrix, least: int, among: Rows | None) -> Rows | None:
        """Return *least* rows or some more that are the nearest by bits; None: bits cannot tell."""
        far = scan.distances(self._columns(among), self.codes.bits(query[np.newaxis])[0])
        if among is None:
            far[self._not_alive()] = np.iinfo(far.dtype).max
        found = scan.closest(far, least)
        return found if among is None or found is None else among[found]

    def _columns(self, among: Rows | None) -> Bits:
        columns = self.arrays.columns[:, : self.count]
        # Gathered: to give all others a distance out of reach would take longer than the scan.
        return columns if among is None else scan.gather(columns, among)

    def _are_compared_whole(self, among: Rows | None, count: int) -> bool:
        if self.arrays.coded < self.count:
            return True
        # What a comparison costs goes with the dimensions, what bits cost does in part.
        is_quick = is_small(count * max(self.codes.dimensions, _USUAL) // _USUAL)
        return is_quick and self.arrays.holds(np.arange(count) if among is None else among)

    def _cosines(self, query: Matrix, rows: Rows, fetch: Fetch) -> tuple[Rows, Matrix]:
        arrays = self.arrays
        if arrays.holds(rows):
            chosen = None if len(rows) == self.count else rows
            found = scan.products(arrays.rows[: self.count], query, chosen)
            return rows, found * arrays.scales[rows]
        room = rows[: np.searchsorted(rows, len(arrays.scales))]
        here = room[arrays.scales[room] > 0]
        keys, vectors = fetch(self.keys[np.setdiff1d(rows, here, assume_unique=True)])
        if not len(keys):  # an older transaction, or one in which they are gone
            return here, scan.products(arrays.rows, query, here) * arrays.scales[here]
        order = np.argsort(keys)
        keys, vectors = keys[order], vectors[order]
        # Not kept: scattered over an array of which little is in use, a few rows would make the
        # system find memory for all of it.
        read = self._find(keys)
        found = np.concatenate(
            [scan.products(arrays.rows, query, here) * arrays.scales[here], vectors @ query]
        )
        rows = np.concatenate([here, read])
        order = np.argsort(rows)
        return rows[order], found[order]


class VectorTable:
    """The codes of one database; whoever changes them holds a lock of its own."""

    def __init__(self, codes: Codes, *, expected: int = 0, centred: bool = False) -> None:
        self.view = View(codes, Arrays(codes.dimensions, codes.words, expected * 5 // 4 + 1024))
        self._centred = centred
        self._loaded = 0  # rows from the first on that were loaded, or tried

    def add_coded(self, batch: Coded) -> None:
        """Append rows that have bits, and whose vectors are not in memory."""
        arrays, start = self._with_room(batch.keys, batch.scopes, batch.empty)
        end = start + len(batch.keys)
        arrays.columns[:, start:end] = batch.bits.T
        arrays.coded = end
        self._show(arrays, end)

    def add(self, batch: Batch) -> None:
        """Append rows whose vectors are at hand."""
        empty = np.logical_not(batch.vectors.any(axis=1))
        arrays, start = self._with_room(batch.keys, batch.scopes, empty)
        end = start + len(batch.keys)
        arrays.load(np.arange(start, end), batch.vectors)
        # A small memory is compared whole, and opens faster without bits.
        if not is_small(end):
            self._code(arrays, start, end)
            arrays.columns[:, start:end] = self.view.codes.bits(batch.vectors).T
            arrays.coded = end
        self._show(arrays, end)

    def remove(self, after: int, upto: int, living: Keys) -> None:
        """Let go of the keys above *after* up to *upto* that are not *living*."""
        view = self.view
        first, last = np.searchsorted(view.keys, [after, upto], side="right")
        # A copy: what other threads search stays as it is.
        dead = np.zeros(view.count, np.bool_) if view.dead is None else view.dead.copy()
        dead[first:last] |= ~np.isin(view.keys[first:last], living, kind="sort")
        self.view = replace(view, dead=dead)

    def last(self) -> int:
        """Return the highest key; 0 if there is none."""
        return int(self.view.keys[-1]) if self.view.count else 0

    def count_left(self, after: int, upto: int) -> int:
        """Return how many keys there are above *after* up to *upto*."""
        view = self.view
        first, last = np.searchsorted(view.keys, [after, upto], side="right")
        dead = 0 if view.dead is None else np.count_nonzero(view.dead[first:last])
        return int(last - first - dead)

    def next_unloaded(self) -> int | None:
        """Return the first key whose row was not loaded so far; None if there is no such."""
        arrays, view = self.view.arrays, self.view
        end = min(view.count, len(arrays.scales))
        while self._loaded < end:
            part = arrays.scales[self._loaded : min(end, self._loaded + 4096)]
            if len(missing := np.flatnonzero(part == 0)):
                self._loaded += int(missing[0])
                return int(arrays.keys[self._loaded])
            self._loaded += len(part)
        return None

    def load(self, batch: Batch | None) -> None:
        """Load the rows of *batch*, the first there are from `next_unloaded` on; None: no more."""
        view = self.view
        if batch is None:
            self._loaded = view.count
            return
        # Those of zeros and those that died as well: a row must never get the vector of another.
        places = view._find(batch.keys)  # noqa: SLF001 - a view of ours
        here = np.searchsorted(batch.keys, view.keys[places])
        view.arrays.load(places, batch.vectors[here])
        self._loaded = int(np.searchsorted(view.keys, batch.keys[-1], side="right"))

    def _with_room(self, keys: Keys, scopes: Keys, empty: NDArray[np.bool_]) -> tuple[Arrays, int]:
        arrays, start = self.view.arrays, self.view.count
        end = start + len(keys)
        if end > arrays.capacity:
            codes = self.view.codes
            # Room for as many again, or single additions would copy everything each time.
            arrays = Arrays(codes.dimensions, codes.words, 2 * end)
            arrays.copy_from(self.view.arrays, start)
        arrays.keys[start:end], arrays.scopes[start:end] = keys, scopes
        arrays.empty[start:end] = empty
        return arrays, start

    def _code(self, arrays: Arrays, count: int, end: int) -> None:
        """Make the bits of the first *count* of *end* rows, as far as they have none."""
        if not self._centred:
            self._centred = True
            most = min(end, CENTRED)
            vectors = arrays.rows[:most] * arrays.scales[:most, np.newaxis]
            self.view = replace(self.view, codes=self.view.codes.around(vectors))
        while (start := arrays.coded) < count:
            part = slice(start, min(start + 4096, count))
            vectors = arrays.rows[part] * arrays.scales[part, np.newaxis]
            arrays.columns[:, part] = self.view.codes.bits(vectors).T
            arrays.coded = part.stop

    def _show(self, arrays: Arrays, count: int) -> None:
        dead = self.view.dead
        if dead is not None:
            dead = np.concatenate([dead, np.zeros(count - len(dead), np.bool_)])
        self.view = View(self.view.codes, arrays, count, dead)
