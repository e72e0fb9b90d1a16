"""`Points`: what a map knows of each record, of one version of the memory; it never changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.map.proximity import Matrix
from clawstate.memory.map.values import MapColumn
from clawstate.memory.records import MemoryRecord, content_hash

_MOST_NAMES = 255  # in one column, the others are one
_BELOW, _LOWEST = -1.06, -1.3
_APART = 0.01


class Row(NamedTuple):
    """A record as a map needs it; times in seconds."""

    id: str
    text: bytes
    created_at: float
    updated_at: float
    expires_at: float
    source: str
    category: str
    tags: tuple[str, ...]
    namespace: str
    has_vector: bool


class Spot(NamedTuple):
    """Where a record lies, and whether a layout found that, and not its neighbours alone."""

    x: float
    y: float
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Points:
    """The `rows` by key, ascending, of the *version* of an engine, and the `spots` of some."""

    version: Hashable
    embedder: str
    rows: Mapping[int, Row] = field(default_factory=dict)
    spots: Mapping[int, Spot] = field(default_factory=dict)
    newest: float = 0.0
    """When the last of them was changed."""
    is_projected: bool = True
    """The spots are those of a first view: no layout of the whole map is behind them."""

    def missing(self) -> list[int]:
        """Return the keys of records that have a vector and no spot."""
        return [key for key, row in self.rows.items() if row.has_vector and key not in self.spots]

    def with_spot(self) -> list[int]:
        """Return the keys of records that have a spot."""
        return [key for key in self.rows if key in self.spots]

    def count_unsettled(self) -> int:
        """Return how many records with a vector no layout has placed."""
        return sum(
            row.has_vector and not (key in self.spots and self.spots[key].is_settled)
            for key, row in self.rows.items()
        )


def row_of(record: MemoryRecord, *, has_vector: bool) -> Row:
    """Return *record* as a map needs it."""
    return Row(
        record.id,
        content_hash(record.text),
        record.created_at,
        record.updated_at,
        float("inf") if record.expires_at is None else record.expires_at,
        record.source or "",
        record.category,
        record.tags,
        record.namespace,
        has_vector,
    )


def positions_of(points: Points, keys: Sequence[int]) -> tuple[Matrix, NDArray[np.bool_]]:
    """Return where the records *keys* lie, and which of them have a place by their meaning."""
    nowhere = (np.nan, np.nan)
    spots = [spot[:2] if (spot := points.spots.get(key)) else nowhere for key in keys]
    found = np.array(spots, np.float32).reshape(-1, 2)
    has_place = np.isfinite(found[:, 0])
    below = np.flatnonzero(~has_place)
    # In rows, the older first, as close as it takes.
    apart = min(_APART, (2 * (_BELOW - _LOWEST) / max(len(below), 1)) ** 0.5)
    each = max(1, int(2 / apart))
    numbers = np.arange(len(below))
    found[below, 0] = -1 + apart * (numbers % each + 0.5)
    found[below, 1] = _BELOW - apart * (numbers // each)
    return found, has_place


def column(values: Sequence[str]) -> MapColumn:
    """Return *values* by number: 0 for those that are empty, the most frequent first."""
    counts = Counter(value for value in values if value)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    names = ["", *ranked[:_MOST_NAMES]]
    numbers = {name: number for number, name in enumerate(names)}
    if len(ranked) > _MOST_NAMES:
        names.append("")
    places = np.fromiter((numbers.get(each, len(names) - 1) for each in values), np.uint16)
    return MapColumn(tuple(names), places)


def main_tags(tags: Iterable[tuple[str, ...]]) -> list[str]:
    """Return for each record the one of its *tags* that most records have."""
    given = list(tags)
    counts = Counter(tag for each in given for tag in each)
    return [max(each, key=lambda tag: (counts[tag], tag), default="") for each in given]
