"""What is wrong with the marks of what was handled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from clawstate.errors import StateError
from clawstate.health import Finding
from clawstate.records.contract import Shape
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.last_good import copy_path
from clawstate.records.layouts import MapLayout
from clawstate.state import State
from clawstate.stores.dedupe import NamespaceStatistics

_FOLDER = PurePosixPath("dedupe")
_AHEAD = 60.0  # seconds by which clocks of one network differ


def check(state: State) -> Iterator[Finding]:
    """Look for marks that cannot be read, that mean nothing, or that come from the future."""
    folder = state.paths.root / _FOLDER
    try:
        namespaces = state.dedupe.namespaces()
    except StateError as error:
        yield Finding.of(error, str(folder), "see the message")
        return
    for name in namespaces:
        yield from _namespace(state, name)


def _namespace(state: State, name: str) -> Iterator[Finding]:
    path = state.paths.dedupe(name)
    try:
        error = _damage(state, path)
        found = state.dedupe.survey(name) if error is None else None
    except StateError as refusal:
        error, found = refusal, None
    if found is not None:
        yield from _marks(state, name, found)
    # What has a copy is told, and mended, as any document.
    elif error is not None and not copy_path(path).exists():
        remedy = "restore it, or move it away: its keys are new then"
        yield Finding.of(error, str(path), remedy)


def _damage(state: State, path: Path) -> StateError | None:
    """Return why the file cannot be read: reading it for its marks would go on with a copy."""
    shape = Shape("dedupe", _FOLDER / path.name, MapLayout())
    return JsonFilesBackend(state.paths.root).collection(shape).damage()


def _marks(state: State, name: str, found: NamespaceStatistics) -> Iterator[Finding]:
    path = str(state.paths.dedupe(name))
    if found.ignored:
        message = f"{found.ignored} members of {name!r} are no marks, and are ignored"
        yield Finding("dedupe-members", "info", path, message, "remove them with an editor")
    ahead = 0.0 if found.newest is None else found.newest - state.clock()
    if found.newest is not None and ahead > _AHEAD:
        message = f"{name!r} has a mark from the future; was a clock set?"
        remedy = f"its key counts as seen for {ahead:.0f} s longer; 'clawstate dedupe forget' it"
        yield Finding("dedupe-future", "warning", path, message, remedy)
