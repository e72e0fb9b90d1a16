"""JSON documents that cannot be what they should be, each looked at as its store does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clawstate.health import FIX, Finding
from clawstate.records.contract import Layout, Shape
from clawstate.records.json_files import JsonFileCollection, JsonFilesBackend
from clawstate.records.last_good import copy_path
from clawstate.records.layouts import MapLayout, OpaqueLayout
from clawstate.stores.auth.profile_store import LAYOUT as CREDENTIALS
from clawstate.stores.device_auth import HELD, OPENCLAW_HELD
from clawstate.stores.devices import DEVICES
from clawstate.stores.identity import IDENTITY
from clawstate.stores.pairing import ATTEMPTS, REQUESTS

if TYPE_CHECKING:
    from clawstate.state import State

_SHAPES = (HELD, OPENCLAW_HELD, DEVICES, IDENTITY, ATTEMPTS, REQUESTS)
_LAYOUTS: dict[str, Layout] = {
    **{str(shape.path): shape.layout for shape in _SHAPES},
    "agents/*/agent/auth-profiles.json": CREDENTIALS,
    "sessions/sessions.json": MapLayout(),
    "sessions/archive/sessions.json": MapLayout(),
    "agents/*/sessions/sessions.json": MapLayout(),
    "dedupe/*.json": MapLayout(),
}


def check(state: State) -> Iterator[Finding]:
    """Look at every document of a store, and at whatever else has a last good copy."""
    backend = JsonFilesBackend(state.paths.root)
    for place in sorted({*_known(state.paths.root), *_kept(state.paths.root)}):
        collection = backend.collection(Shape(str(place), place, _layout_of(place)))
        if (damage := collection.damage()) is not None:
            mend = partial(_mended, collection, state.paths.root / place)
            yield Finding(damage.code, "error", str(damage.path), str(damage), FIX, repair=mend)


def _known(root: Path) -> Iterator[PurePosixPath]:
    for pattern in _LAYOUTS:
        yield from (PurePosixPath(path.relative_to(root)) for path in root.glob(pattern))


def _kept(root: Path) -> Iterator[PurePosixPath]:
    for copy in root.rglob(f"{copy_path(Path('x')).parent.name}/*.json"):
        yield PurePosixPath((copy.parent.parent / copy.name).relative_to(root))


def _layout_of(place: PurePosixPath) -> Layout:
    for pattern, layout in _LAYOUTS.items():
        if len(place.parts) == len(PurePosixPath(pattern).parts) and place.match(pattern):
            return layout
    return OpaqueLayout()


def _mended(collection: JsonFileCollection, path: Path) -> str:
    is_whole = collection.is_readable_otherwise()
    aside = collection.repair()
    if aside is None:
        return "upgrade clawstate"  # a newer version wrote it
    if is_whole:
        return f"written again as JSON in UTF-8; the file as it was is {aside}"
    good = "restored from its last good copy" if path.exists() else "there is no good copy of it"
    return f"{good}; the damaged file is {aside}"
