"""`MemoryMap`: all that is remembered as points of a plane, those alike near each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MapStage: TypeAlias = Literal["projected", "settled"]
"""`projected`: a first view, along two directions; `settled`: neighbours lie near each other."""


@dataclass(frozen=True, slots=True)
class MapRegion:
    """
    A part of the map where records lie close together, and the *words* that tell it from others.

    Regions of a higher *level* are smaller and lie within those of lower ones.
    """

    level: int
    x: float
    y: float
    count: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class MapColumn:
    """What records are told apart by: its *names*, and for each record a place among them."""

    names: tuple[str, ...]
    places: NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class MemoryMap:
    """
    A place for every record, in the order of *ids*.

    `positions` are float32 (n, 2), within -1 and 1, the same while nothing moves the whole map:
    a new record is placed by its neighbours, and the others stay. `has_place` is false for records
    without a vector, which lie in rows below the map (y < -1). `created_at` is in seconds. The
    first name of a column stands for those that have none, the last for those that are too many.
    `done` tells how far the layout that runs has come, 0 to 1; 1 where none does.
    """

    version: str
    stage: MapStage
    done: float
    ids: tuple[str, ...]
    positions: NDArray[np.float32]
    has_place: NDArray[np.bool_]
    created_at: NDArray[np.float64]
    sources: MapColumn
    categories: MapColumn
    tags: MapColumn
    namespaces: MapColumn
    regions: tuple[MapRegion, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)
