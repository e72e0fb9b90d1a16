"""
The files of a configuration as layers, each with all that it includes.

How a layer is read, what stands in for the broken file of an agent, and which layer holds a value
that counts. Nothing that an agent asks for may fail because of a slip in its file, least of all
what has nothing to do with settings: so the text that was written here last stands in for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clawstate.config.includes import Layer, include_all
from clawstate.config.provenance import Provenance, Trace
from clawstate.config.sources import FileRead, look_at, parse_source, read_file
from clawstate.errors import ConfigError, InvalidError, LimitError, NotFoundError, StateError
from clawstate.files.os_errors import os_errors
from clawstate.interrupts import load_modules
from clawstate.json5.path_grammar import KeyPath


def layers_of(config: Layer, overlay: Layer, own: Layer | None) -> tuple[Layer, ...]:
    """Return the layers of a configuration, the strongest last."""
    return (config, overlay) if own is None else (config, overlay, own)


class Stacked:
    """The traces of all *layers*, the strongest last."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(reversed(layers))

    def at(self, path: KeyPath) -> Trace | None:
        """Return what made the value at *path* in the strongest layer that has it."""
        traces = (layer.provenance.at(path) for layer in self._layers)
        return next((trace for trace in traces if trace is not None), None)

    def nearest(self, path: KeyPath) -> tuple[KeyPath, Trace | None]:
        """
        Return the longest beginning of *path* that any layer has, and what made it there.

        Of two layers that know as much of it, the stronger one answers.
        """
        found = [layer.provenance.nearest(path) for layer in self._layers]
        return max(found, key=lambda each: (each[1] is not None, len(each[0])))


MAX_CONFIG_BYTES = 5_000_000
"""No configuration that is read is larger."""


def read_layer(path: Path) -> Layer:
    """
    Return the file *path* with all that it includes; an empty layer if there is no such file.

    Raises `CorruptError` for what is not JSON5, `UnavailableError`, and `ConfigError` for all else.
    A link to nothing is an error: what it should lead to may be on a disk that is not mounted, and
    must not be taken for an empty configuration.
    """
    path = path.absolute()
    try:
        raw, file = read_file(path, limit=MAX_CONFIG_BYTES)
    except NotFoundError:
        problem, hint = "is a link to nothing", "restore what it leads to, or remove it"
        with os_errors(path, "was not read"):
            is_link = path.is_symlink()
        if not is_link:
            return Layer(path, None, {}, Provenance(None), (look_at(path),))
    except LimitError:
        problem = f"is larger than {MAX_CONFIG_BYTES:,} bytes"
        hint = "move what is no setting out of it"
    except InvalidError as error:
        problem, hint = error.problem, error.hint
    else:
        return include_all(parse_source(raw, file))
    raise ConfigError(str(path), problem, hint)


def read_own(path: Path) -> tuple[Layer, str]:
    """
    Return the file *path* of an agent, and what is wrong with it if it is broken, else nothing.

    A broken one is as it was when it was last changed through its history, or else empty.
    """
    try:
        return read_layer(path), ""
    except StateError as error:
        problem = str(error)
    # Of OpenClaw's file and the overlay this is not done: without them the state might be another.
    last = _last_good(path)
    if last is None:
        layer = Layer(path, None, {}, Provenance(None), (_glance(path),))
        return layer, f"{problem}; what it says is left out until it is mended"
    files = (_glance(path), *last.files[1:])
    layer = Layer(path, last.source, last.value, last.provenance, files)
    return layer, f"{problem}; the text that was written last stands in for it until it is mended"


def _last_good(path: Path) -> Layer | None:
    load_modules("clawstate.config.history")
    from clawstate.config.history import History  # noqa: PLC0415 - for a broken file alone

    history = History(path)
    for change in reversed(history.changes()):
        try:
            raw = history.text(change.after)
            return include_all(parse_source(raw, look_at(path)))
        except StateError:
            continue
    return None


def _glance(path: Path) -> FileRead:
    """Return how *path* looks, so that a mended file is noticed."""
    try:
        return read_file(path, limit=MAX_CONFIG_BYTES)[1]
    except StateError:
        return look_at(path)
