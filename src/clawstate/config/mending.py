"""A configuration that cannot be read, as what a whole new text replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from clawstate.config.includes import Layer
from clawstate.config.loading import Loaded, load
from clawstate.config.location import overlay_of
from clawstate.config.merging import override
from clawstate.config.provenance import Provenance
from clawstate.config.reading import MAX_CONFIG_BYTES, read_layer
from clawstate.config.sources import Source, read_file
from clawstate.config.substitution import substitute
from clawstate.errors import ConfigError, CorruptError
from clawstate.files.paths import StatePaths
from clawstate.json5.parse import parse_document


def load_broken(
    path: Path, *, paths: StatePaths, env: Mapping[str, str] | None, cwd: Path | None
) -> Loaded:
    """
    Return the configuration *path*, of which a file that is broken says nothing and has its text.

    Raises `CorruptError` for a text that is not UTF-8, and what `load` raises for a file.
    """
    nothing = load(path.with_name(f"{path.name}.absent"), paths=paths, env=env, cwd=cwd)
    config, overlay = broken_layer(path), broken_layer(overlay_of(path))
    shared = override(config.value, overlay.value)
    return replace(
        nothing,
        path=path,
        config=config,
        overlay=overlay,
        templates=shared,
        resolved=substitute(shared, nothing.variables).value,
        files=(*config.files, *overlay.files, *nothing.files),
    )


def broken_layer(path: Path) -> Layer:
    """Return the file *path*; one that cannot be understood says nothing, and has its text."""
    try:
        return read_layer(path)
    except (CorruptError, ConfigError):
        raw, file = read_file(path, limit=MAX_CONFIG_BYTES)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise CorruptError(str(path), "is not UTF-8", "move it away, and write it anew")
    source = Source(file, text, parse_document("{}", path=path))
    return Layer(path, source, {}, Provenance(None), (file,))
