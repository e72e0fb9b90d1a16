"""`MapIndex`: the map of one memory, kept in step with it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from clawstate.clock import Clock
from clawstate.interrupts import Mutex
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.filters import Condition, Filter
from clawstate.memory.map.cached_places import CachedPlaces
from clawstate.memory.map.computing import Projection, places_among
from clawstate.memory.map.laying import StoppedError, lay_out
from clawstate.memory.map.points import Points, Row, Spot, column, main_tags, positions_of, row_of
from clawstate.memory.map.proximity import Matrix, shuffle
from clawstate.memory.map.regions import find_regions
from clawstate.memory.map.values import MapRegion, MemoryMap
from clawstate.memory.map.words import Words, labels, words_of
from clawstate.memory.reading import Reading

EVERYTHING: Final = Filter(namespace=None)

_PAGE = 2_048
_KNOWN_MAPS = 6  # of several filters, and of versions that somebody may still ask ids of
_SINGLE = 200  # new records are placed one by one, of more a sample of the others is read
_SAMPLE, _LEAST = 4_096, 512
_PAIRS = 40_000_000
_FEW = 8  # records that make no map among which others could be placed
_WORN = 4  # of so many records with a place one was never laid out: the map is laid out anew
_READ = 8_000  # texts whose words are counted
_OVERLAP = 2.0  # seconds that clocks and transactions of several writers may lie apart


class MapIndex:
    """
    Where the records of *engine* lie, kept in the file *path* between programs. Thread-safe.

    It reads what changed since the last call, and places what is new among what is there. Only
    `lay_out` moves what has a place.
    """

    def __init__(self, engine: MemoryEngine, path: Path | None, clock: Clock) -> None:
        self._engine = engine
        self._file = CachedPlaces(path)
        self._clock = clock
        self._mutex = Mutex()
        self._points: Points | None = None
        self._layouts = 0
        self._words: dict[int, Words] = {}
        self._maps: OrderedDict[tuple[Hashable, Filter], MemoryMap] = OrderedDict()
        self.done = 1.0
        """How far the layout that runs has come."""

    def map(self, chosen: Filter, *, regions: bool = True) -> MemoryMap:
        """Return the map of the records that *chosen* lets through, as it is now."""
        with self._mutex, self._engine.reading() as reading:
            points = self._refresh(reading)
            now = self._clock()
            alive = [key for key in reading.keys(chosen) if key in points.rows]
            keys = [key for key in alive if points.rows[key].expires_at > now]
            name = hashlib.sha256(
                repr((points.version, self._layouts, chosen, len(keys))).encode()
            ).hexdigest()[:24]
            known = self._maps.get((name, chosen))
            if known is None or (regions and not known.regions and len(known)):
                known = self._draw(reading, points, keys, name, regions=regions)
                self._keep((name, chosen), known)
            return known

    def known(self, version: str) -> MemoryMap | None:
        """Return the map of *version*, if it was given out lately."""
        with self._mutex:
            for (name, _), found in self._maps.items():
                if name == version:
                    return found
        return None

    def needs_layout(self) -> bool:
        """Tell whether a layout would make the map better by much."""
        with self._mutex, self._engine.reading() as reading:
            points = self._refresh(reading)
        unsettled = points.count_unsettled()
        return unsettled > 0 and _WORN * unsettled > len(points.spots)

    def lay_out(self, *, is_over: Callable[[], bool], progress: Callable[[float], None]) -> bool:
        """
        Lay out the whole map; tell whether that was done before *is_over*.

        Raises `UnavailableError` where it could not be.
        """
        with self._mutex, self._engine.reading() as reading:
            points = self._refresh(reading)
            keys = points.with_spot()
            vectors = _short_vectors(reading, keys)
        before = positions_of(points, keys)[0]
        if points.is_projected:
            before[:] = np.nan

        def tell(share: float) -> None:
            self.done = min(share, 0.999)
            progress(share)

        self.done = 0.0
        try:
            places = lay_out(vectors, before, is_over=is_over, progress=tell)
        except StoppedError:
            return False
        finally:
            self.done = 1.0
        with self._mutex:
            self._settle(keys, points.embedder, places)
        self._save()
        return True

    def forget(self, ids: Sequence[str]) -> None:
        """Leave nothing of the records *ids*, which are gone, in the file."""
        with self._mutex:
            self._maps.clear()
            self._file.forget(ids)

    def forget_missing(self) -> None:
        """Leave nothing in the file of any record that is gone."""
        with self._mutex:
            self._maps.clear()
            if not self._file.exists():
                return
            with self._engine.reading() as reading:
                keys = reading.keys(EVERYTHING)
                ids = [each.id for page in _pages(keys) for each in reading.fetch(page)]
            self._file.keep_only(ids)

    def _settle(self, keys: Sequence[int], embedder: str, places: Matrix) -> None:
        """Take over *places*, as far as their records are still what they were."""
        with self._engine.reading() as reading:
            points = self._refresh(reading)
        if points.embedder != embedder:
            return
        spots = dict(points.spots)
        for key, (x, y) in zip(keys, places.tolist(), strict=True):
            if key in points.rows:
                spots[key] = Spot(x, y, is_settled=True)
        laid = set(keys)
        # What came meanwhile was placed on the map of before.
        for key in [key for key in spots if key not in laid]:
            del spots[key]
        self._layouts += 1
        self._points = replace(points, spots=spots, is_projected=False)

    def _save(self) -> None:
        with self._mutex:
            with self._engine.reading() as reading:
                points = self._refresh(reading)
            keys = [key for key in points.with_spot() if points.spots[key].is_settled]
            rows = [points.rows[key] for key in keys]
            self._file.write(
                [row.id for row in rows],
                [row.text for row in rows],
                positions_of(points, keys)[0],
                points.embedder,
            )
            # Whoever forgot a record meanwhile may have looked at the file before it was there.
            with self._engine.reading() as reading:
                left = self._refresh(reading)
            if left.version != points.version:
                self._file.keep_only([row.id for row in left.rows.values()])

    def _refresh(self, reading: Reading) -> Points:
        """Return what is known of the records of *reading*, read and placed as far as need be."""
        known, embedder = self._points, repr(reading.embedder)
        if known is not None and known.version == reading.version:
            return known
        is_same = known is not None and known.embedder == embedder
        old = known if known is not None and is_same else Points(None, embedder)
        keys = reading.keys(EVERYTHING)
        fresh = [key for key in keys if key not in old.rows]
        if old.rows:
            since = Condition("updated_at", (), "gte", old.newest - _OVERLAP)
            changed = reading.keys(Filter(namespace=None, tree=since))
            # Vectors that were waited for change no record.
            waiting = [key for key, row in old.rows.items() if not row.has_vector]
            if reading.embedder is not None and len(waiting) <= _PAGE:
                changed = [*changed, *({*waiting} & {*keys})]
            fresh = sorted({*fresh, *changed})
        read: dict[int, Row] = {}
        for page in _pages(fresh):
            found = reading.reasons(None, set(page))
            having = set(found.vectors.keys[found.vectors.matrix.any(axis=1)].tolist())
            for key, record in found.records.items():
                read[key] = row_of(record, has_vector=key in having)
        rows = {key: read.get(key) or old.rows[key] for key in keys}
        self._words = {key: words for key, words in self._words.items() if key in rows}
        # Another text under the same key, where an engine has it so, lies elsewhere.
        moved = {key for key, row in read.items() if key in old.rows and _is_moved(old, key, row)}
        self._words = {key: words for key, words in self._words.items() if key not in moved}
        spots = {key: old.spots[key] for key in keys if key in old.spots and key not in moved}
        if known is None:
            spots = self._spots_of_file(rows, embedder)
        elif not is_same:
            spots = _spots_of_before(known, rows)
        newest = max((row.updated_at for row in rows.values()), default=0.0)
        is_projected = not spots if known is None else known.is_projected
        points = Points(reading.version, embedder, rows, spots, newest, is_projected)
        if missing := points.missing():
            placed, is_projected = _find_spots(reading, points, missing)
            points = replace(points, spots={**spots, **placed}, is_projected=is_projected)
        self._points = points
        return points

    def _spots_of_file(self, rows: dict[int, Row], embedder: str) -> dict[int, Spot]:
        having = {row.id: row.text for row in rows.values() if row.has_vector}
        places = self._file.read(having, embedder)
        found = {}
        for key, row in rows.items():
            if (place := places.get(row.id)) is not None:
                found[key] = Spot(place.x, place.y, is_settled=place.is_settled)
        return found

    def _draw(
        self, reading: Reading, points: Points, keys: list[int], name: str, *, regions: bool
    ) -> MemoryMap:
        positions, has_place = positions_of(points, keys)
        rows = [points.rows[key] for key in keys]
        return MemoryMap(
            version=name,
            stage="projected" if points.is_projected and points.spots else "settled",
            done=1.0,
            ids=tuple(row.id for row in rows),
            positions=positions,
            has_place=has_place,
            created_at=np.fromiter((row.created_at for row in rows), np.float64, len(rows)),
            sources=column([row.source for row in rows]),
            categories=column([row.category for row in rows]),
            tags=column(main_tags(row.tags for row in rows)),
            namespaces=column([row.namespace for row in rows]),
            regions=self._regions(reading, keys, positions, has_place) if regions else (),
        )

    def _regions(
        self, reading: Reading, keys: list[int], positions: Matrix, has_place: np.ndarray
    ) -> tuple[MapRegion, ...]:
        """Return the regions, with words from texts that are read now, or are known unchanged."""
        here = np.flatnonzero(has_place)
        found = find_regions(positions[here])
        if len(here) > _READ:
            here_read = np.sort(here[shuffle(len(here), "clawstate map words")[:_READ]])
        else:
            here_read = here
        wanted = [keys[place] for place in here_read.tolist()]
        for page in _pages([key for key in wanted if key not in self._words]):
            for key, record in zip(page, reading.fetch(page), strict=True):
                self._words[key] = words_of(record.text)
        is_read = set(wanted)
        made: list[MapRegion] = []
        for level in sorted({each.level for each in found}):
            here_level = [each for each in found if each.level == level]
            groups = [
                [
                    self._words[keys[place]]
                    for place in here[each.members].tolist()
                    if keys[place] in is_read
                ]
                for each in here_level
            ]
            for each, words in zip(here_level, labels(groups), strict=True):
                made.append(MapRegion(level, each.x, each.y, len(each.members), words))
        return tuple(made)

    def _keep(self, name: tuple[Hashable, Filter], made: MemoryMap) -> None:
        self._maps[name] = made
        while len(self._maps) > _KNOWN_MAPS:
            self._maps.popitem(last=False)


def _spots_of_before(known: Points, rows: dict[int, Row]) -> dict[int, Spot]:
    """Return where the records lay by the vectors of another embedder: there a layout begins."""
    by_id = {row.id: known.spots[key] for key, row in known.rows.items() if key in known.spots}
    return {
        key: by_id[row.id]._replace(is_settled=False)
        for key, row in rows.items()
        if row.has_vector and row.id in by_id
    }


def _is_moved(old: Points, key: int, row: Row) -> bool:
    before = old.rows[key]
    return (before.id, before.text, before.has_vector) != (row.id, row.text, row.has_vector)


def _find_spots(
    reading: Reading, points: Points, missing: list[int]
) -> tuple[dict[int, Spot], bool]:
    """Return spots for the records *missing*, and whether all spots are those of a first view."""
    placed = points.with_spot()
    if points.is_projected or len(placed) < _FEW:
        return _project(reading, sorted([*missing, *placed])), True
    if len(missing) <= _SINGLE:
        return _spots_one_by_one(reading, points, missing), False
    return _spots_among(reading, points, missing, placed), False


def _spots_among(
    reading: Reading, points: Points, missing: list[int], placed: list[int]
) -> dict[int, Spot]:
    # To compare all with all would take minutes: the more are new, the fewer of the others.
    most = max(_LEAST, min(_SAMPLE, _PAIRS // len(missing)))
    chosen = np.sort(shuffle(len(placed), "clawstate map sample")[:most])
    found: dict[int, Spot] = {}
    others, vectors = _vectors(reading, [placed[each] for each in chosen.tolist()])
    places = positions_of(points, others)[0]
    for page in _pages(missing):
        keys, rows = _vectors(reading, page)
        for key, (x, y) in zip(keys, places_among(rows, vectors, places).tolist(), strict=True):
            found[key] = Spot(x, y, is_settled=False)
    return found


def _spots_one_by_one(reading: Reading, points: Points, missing: list[int]) -> dict[int, Spot]:
    found: dict[int, Spot] = {}
    keys, rows = _vectors(reading, missing)
    for key, vector in zip(keys, rows, strict=True):
        near = reading.nearest(vector, EVERYTHING, 8)
        order = np.argsort(-near.cosines, kind="stable")
        others = [each for each in near.keys[order].tolist() if each in points.spots][:3]
        if not others:
            others = points.with_spot()[:1]
        places = positions_of(points, others)[0]
        vectors = np.eye(len(others), dtype=np.float32)
        query = np.linspace(1, 0.5, len(others), dtype=np.float32)[np.newaxis]
        ((x, y),) = places_among(query, vectors, places).tolist()
        found[key] = Spot(x, y, is_settled=False)
    return found


def _project(reading: Reading, keys: list[int]) -> dict[int, Spot]:
    projection = _projection(reading, keys)
    found: dict[int, Spot] = {}
    for page in _pages(keys):
        having, vectors = _vectors(reading, page)
        for key, (x, y) in zip(having, projection.flatten(vectors).tolist(), strict=True):
            found[key] = Spot(x, y, is_settled=False)
    return found


def _projection(reading: Reading, keys: Sequence[int]) -> Projection:
    sample = [keys[each] for each in np.sort(shuffle(len(keys), "clawstate map")[:_SAMPLE])]
    return Projection(_vectors(reading, sample)[1])


def _short_vectors(reading: Reading, keys: list[int]) -> Matrix:
    """Return the vectors of *keys*, in the directions that count if they are long."""
    if not keys:
        return np.zeros((0, 1), np.float32)
    projection = _projection(reading, keys)
    return np.concatenate([projection.shorten(_vectors(reading, page)[1]) for page in _pages(keys)])


def _vectors(reading: Reading, keys: Sequence[int]) -> tuple[list[int], Matrix]:
    """Return the vectors of those of *keys* that have one, and which those are."""
    parts = [reading.reasons(None, set(page)).vectors for page in _pages(keys)]
    found = [key for part in parts for key in part.keys.tolist()]
    matrix = np.concatenate([part.matrix for part in parts if len(part.keys)])
    order = np.argsort(found, kind="stable")
    return [found[each] for each in order], matrix[order]


def _pages(keys: Sequence[int]) -> list[Sequence[int]]:
    return [keys[start : start + _PAGE] for start in range(0, len(keys), _PAGE)]
