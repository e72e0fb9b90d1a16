"""Operations of the noun `memory`: the map of all records, as numbers, and what is on it."""

from __future__ import annotations

import struct
from typing import Annotated, Any, Final

import numpy as np
from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response
from typing_extensions import TypedDict

from clawstate.errors import ConflictError, InvalidError
from clawstate.gateway.bodies import Body
from clawstate.gateway.resources.memory import Namespace
from clawstate.gateway.routing import Opened, Routes
from clawstate.memory.map.values import MapColumn, MemoryMap

routes = Routes("memory")

MAGIC: Final = b"CSM1"
_HEAD: Final = struct.Struct("<4sIHHI")
_FULL: Final = 32_767
_REACH: Final = 1.3  # rows of what has no place lie below -1
_MOST_IDS: Final = 200_000

Tags = Annotated[list[str] | None, Query(alias="tag", description="All of these tags.")]
Source = Annotated[str | None, Query(description="A file, folder, name or pattern.")]
Everywhere = Annotated[bool, Query(description="Of all namespaces.")]


class Name(TypedDict):
    """A name that records are told apart by, and how many have it."""

    name: str
    count: int


class Region(TypedDict):
    """Records that lie close together around a point, and words that tell them from others."""

    level: int
    x: float
    y: float
    count: int
    words: list[str]


class MapDocument(TypedDict):
    """What is on the map but its points; *done* tells how far a layout has come, 1 if none runs."""

    version: str
    stage: str
    done: float
    count: int
    unplaced: int
    namespaces: list[Name]
    sources: list[Name]
    categories: list[Name]
    tags: list[Name]
    regions: list[Region]


class MapIds(TypedDict):
    """The ids of points in their order."""

    ids: list[str]


class MapNumbers(TypedDict):
    """The numbers of points."""

    numbers: list[int]


class Stopped(TypedDict):
    """Whether a layout was at work."""

    stopped: bool


class Ranges(Body):
    """Points of a version of the map, as pairs of a first number and one behind the last."""

    version: str
    ranges: tuple[tuple[int, int], ...] = Field(max_length=100_000)


class WantedPoints(Body):
    """Records, by their ids, on a version of the map."""

    version: str
    ids: tuple[str, ...] = Field(max_length=10_000)


@routes.read("/map", MapDocument)
def memory_map(
    request: Request,
    state: Opened,
    *,
    namespace: Namespace = "default",
    everywhere: Everywhere = False,
    tag: Tags = None,
    source: Source = None,
) -> Any:
    """
    Return the regions of the map of all records, and the names that its points refer to.

    Where a layout is due it begins, and *stage* is `projected` until there was one. Ask again while
    *done* is below 1.
    """
    found = _map(request, state, None if everywhere else namespace, tag, source)
    return {
        "version": found.version,
        "stage": found.stage,
        "done": found.done,
        "count": len(found),
        "unplaced": int(np.count_nonzero(~found.has_place)),
        "namespaces": _names(found.namespaces),
        "sources": _names(found.sources),
        "categories": _names(found.categories),
        "tags": _names(found.tags),
        "regions": [
            {
                "level": each.level,
                "x": round(each.x, 4),
                "y": round(each.y, 4),
                "count": each.count,
                "words": list(each.words),
            }
            for each in found.regions
        ],
    }


@routes.read("/map/points", bytes)
def map_points(
    request: Request,
    state: Opened,
    *,
    namespace: Namespace = "default",
    everywhere: Everywhere = False,
    tag: Tags = None,
    source: Source = None,
) -> Any:
    """
    Return the points of the map as columns of numbers, little-endian.

    First `CSM1`, n (uint32), the length of the version (uint16), 0 (uint16), the first time in
    seconds (uint32), and the version. Then n each of: x and y (int16, 32767 is 1.3), seconds
    after the first time (uint32), and the numbers of source, category, tag and namespace (uint16).
    """
    found = _map(request, state, None if everywhere else namespace, tag, source)
    return Response(encode(found), media_type="application/octet-stream")


@routes.write("/map/ids", MapIds, scope="read")
def map_ids(request: Request, body: Ranges) -> Any:
    """Return the ids of points of a version of the map, as long as that is known."""
    ids = _require_ids(request, body.version)
    if any(not 0 <= first <= last <= len(ids) for first, last in body.ranges):
        raise InvalidError("ranges", f"reach beyond the {len(ids)} points of this version")
    if sum(last - first for first, last in body.ranges) > _MOST_IDS:
        raise InvalidError("ranges", f"hold more than {_MOST_IDS:,} points", "ask in parts")
    return {"ids": [each for first, last in body.ranges for each in ids[first:last]]}


@routes.write("/map/numbers", MapNumbers, scope="read")
def map_numbers(request: Request, body: WantedPoints) -> Any:
    """Return, ascending, the points that records are on a version of the map."""
    ids = set(body.ids)
    found = _require_ids(request, body.version)
    return {"numbers": [number for number, each in enumerate(found) if each in ids]}


@routes.write("/map/stop", Stopped)
def stop_map(state: Opened) -> Any:
    """End the layout that is at work; the map stays as it was."""
    return {"stopped": state.memory.stop_map()}


def encode(found: MemoryMap) -> bytes:
    """Return the points of *found* as `map_points` describes them."""
    count, version = len(found), found.version.encode()
    first = int(found.created_at.min(initial=np.inf)) if count else 0
    places = np.rint(np.clip(found.positions, -_REACH, _REACH) / _REACH * _FULL).astype("<i2")
    after = np.clip(found.created_at - first, 0, 0xFFFFFFFF).astype("<u4")
    columns = (found.sources, found.categories, found.tags, found.namespaces)
    parts = [
        _HEAD.pack(MAGIC, count, len(version), 0, max(0, first)),
        version,
        places[:, 0].tobytes(),
        places[:, 1].tobytes(),
        after.tobytes(),
        *(each.places.astype("<u2").tobytes() for each in columns),
    ]
    return b"".join(parts)


def _map(
    request: Request,
    state: Opened,
    namespace: str | None,
    tags: list[str] | None,
    source: str | None,
) -> MemoryMap:
    found = state.memory.map(namespace=namespace, tags=tags, source=source, wait=False)
    known = _given(request)
    known.pop(found.version, None)
    known[found.version] = found.ids
    while len(known) > 4:
        known.pop(next(iter(known)), None)
    return found


def _given(request: Request) -> dict[str, tuple[str, ...]]:
    """Return the ids of the versions that were given out last: a client asks for some of them."""
    held: dict[str, tuple[str, ...]] = request.app.state.__dict__.setdefault("map_ids", {})
    return held


def _require_ids(request: Request, version: str) -> tuple[str, ...]:
    ids = _given(request).get(version)
    if ids is None:
        raise ConflictError("memory map", version, "it has moved: read it again")
    return ids


def _names(column: MapColumn) -> list[Name]:
    counts = np.bincount(column.places, minlength=len(column.names)).tolist()
    return [
        {"name": name, "count": count} for name, count in zip(column.names, counts, strict=True)
    ]
