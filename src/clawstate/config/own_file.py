"""
The file of one agent, `agents/<id>/agent/config.json`: read around when it is broken.

Nothing that an agent asks for may fail because of a slip in its file, least of all what has nothing
to do with settings. The text that was written here last stands in for a broken one.
"""

from __future__ import annotations

from pathlib import Path

from clawstate.config.history import History
from clawstate.config.includes import Layer, include_all
from clawstate.config.provenance import Provenance
from clawstate.config.reading import MAX_CONFIG_BYTES, read_layer
from clawstate.config.sources import FileRead, met, parsed_source, read_file
from clawstate.errors import StateError


def read_own(path: Path) -> tuple[Layer, str]:
    """
    Return the file *path* of an agent, and what is wrong with it if it is broken, else nothing.

    A broken one is as it was when it was last changed through its history, or else empty.
    """
    try:
        return read_layer(path), ""
    except StateError as error:
        problem = str(error)
    last = _last_good(path)
    if last is None:
        layer = Layer(path, None, {}, Provenance(None), (_glance(path),))
        return layer, f"{problem}; what it says is left out until it is mended"
    files = (_glance(path), *last.files[1:])
    layer = Layer(path, last.source, last.value, last.provenance, files)
    return layer, f"{problem}; the text that was written last stands in for it until it is mended"


def _last_good(path: Path) -> Layer | None:
    history = History(path)
    for change in reversed(history.changes()):
        try:
            raw = history.text(change.after)
            return include_all(parsed_source(raw, met(path)))
        except StateError:
            continue
    return None


def _glance(path: Path) -> FileRead:
    """Return how *path* looks, so that a mended file is noticed."""
    try:
        return read_file(path, limit=MAX_CONFIG_BYTES)[1]
    except StateError:
        return met(path)
