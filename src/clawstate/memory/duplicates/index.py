"""`DuplicateIndex`: the groups of near-duplicates of one engine, worked out when they are asked."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clawstate.clock import Clock
from clawstate.interrupts import Mutex
from clawstate.memory.capture.rules import normalise
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.duplicates.grouping import groups_of
from clawstate.memory.duplicates.values import MOST_NAMED, DuplicateGroup
from clawstate.memory.filters import Filter
from clawstate.memory.records import content_hash

if TYPE_CHECKING:
    from clawstate.memory.map.proximity import Matrix
    from clawstate.memory.reading import Reading

_PAGE = 2_048
_DIGITS = 4


class _Row(NamedTuple):
    id: str
    namespace: str
    text: bytes
    expires_at: float


class _Asked(NamedTuple):
    """What an answer depends on; it holds until `ends_at`, when the first record expires."""

    version: Hashable
    chosen: Filter
    bound: float
    ends_at: float = float("inf")


class DuplicateIndex:
    """
    The near-duplicates among the records of *engine*. Thread-safe.

    The last answer is kept, without any text, so that further pages cost nothing.
    """

    def __init__(self, engine: MemoryEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._mutex = Mutex()
        self._known: tuple[_Asked, list[DuplicateGroup]] | None = None

    def groups(self, chosen: Filter, bound: float) -> list[DuplicateGroup]:
        """Return the groups among the records that *chosen* lets through, in their order."""
        # One at a time: a second caller finds what the first one worked out.
        with self._mutex:
            now = self._clock()
            with self._engine.reading() as reading:
                asked = _Asked(reading.version, chosen, bound)
                if self._known is not None:
                    known, found = self._known
                    if known[:3] == asked[:3] and now < known.ends_at:
                        return found
                rows, vectors = _read(reading, chosen, now)
            ends_at = min((row.expires_at for row in rows), default=float("inf"))
            found = sorted(_groups(rows, vectors, bound), key=lambda each: each.position)
            self._known = asked._replace(ends_at=ends_at), found
            return found

    def forget(self) -> None:
        """Keep nothing of the last answer."""
        with self._mutex:
            self._known = None


def _read(reading: Reading, chosen: Filter, now: float) -> tuple[list[_Row], Matrix]:
    """Return the records, oldest first, and the vectors of all, zeros for those without one."""
    rows: list[_Row] = []
    parts: list[Matrix] = []
    keys = reading.keys(chosen)
    for start in range(0, len(keys), _PAGE):
        page = keys[start : start + _PAGE]
        found = reading.reasons(None, set(page))
        alive = [
            key
            for key in page
            if (record := found.records.get(key)) is not None
            and (record.expires_at is None or record.expires_at > now)
        ]
        for key in alive:
            record = found.records[key]
            ends = float("inf") if record.expires_at is None else record.expires_at
            text = content_hash(normalise(record.text))
            rows.append(_Row(record.id, record.namespace, text, ends))
        parts.append(_units(alive, found.vectors.keys.tolist(), found.vectors.matrix))
    width = max((part.shape[1] for part in parts), default=0)
    return rows, np.vstack([_widen(part, width) for part in parts]) if parts else _zeros(0, 0)


def _units(keys: list[int], having: list[int], matrix: Matrix) -> Matrix:
    """Return the vectors of *keys*, of length 1, as they are kept: half the memory of float32."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    units = matrix / lengths
    places = {key: place for place, key in enumerate(having)}
    found = _zeros(len(keys), matrix.shape[1])
    here = [(row, places[key]) for row, key in enumerate(keys) if key in places]
    if here:
        into, out = np.array(here).T
        found[into] = units[out]
    return found


def _zeros(count: int, width: int) -> Matrix:
    found: Matrix = np.zeros((count, width), np.float16)
    return found


def _widen(part: Matrix, width: int) -> Matrix:
    # A page of which no record has a vector does not know how long they are.
    return part if part.shape[1] == width else _zeros(len(part), width)


def _groups(rows: list[_Row], vectors: Matrix, bound: float) -> Iterator[DuplicateGroup]:
    numbers: dict[bytes, int] = {}
    texts = np.array([numbers.setdefault(row.text, len(numbers)) for row in rows], np.int64)
    spaces: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        spaces.setdefault(row.namespace, []).append(place)
    for places in spaces.values():  # records of two namespaces may well say the same
        among = np.array(places)
        for group in groups_of(vectors[among], texts[among], bound):
            members = among[group.rows].tolist()
            told = [round(float(each), _DIGITS) for each in group.similarities[:MOST_NAMED]]
            yield DuplicateGroup(
                tuple(rows[each].id for each in members[:MOST_NAMED]),
                tuple(told),
                len(members[MOST_NAMED:]),
            )
