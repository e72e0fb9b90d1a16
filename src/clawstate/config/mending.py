"""A configuration that cannot be read, as what a whole new text replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from clawstate.config.includes import Layer
from clawstate.config.loading import MAX_CONFIG_BYTES, Loaded, load
from clawstate.config.provenance import Provenance
from clawstate.config.sources import Source, read_file
from clawstate.errors import CorruptError
from clawstate.files.json5_text import parse_document
from clawstate.files.paths import StatePaths


def load_broken(
    path: Path, *, paths: StatePaths, env: Mapping[str, str] | None, cwd: Path | None
) -> Loaded:
    """
    Return the configuration *path* as one without settings, but with the text that is there.

    Raises `CorruptError` for a text that is not UTF-8, and what `load` raises for a file.
    """
    raw, file = read_file(path, limit=MAX_CONFIG_BYTES)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise CorruptError(str(path), "is not UTF-8", "move it away, and write it anew")
    source = Source(file, text, parse_document("{}", path=path))
    nothing = load(path.with_name(f"{path.name}.absent"), paths=paths, env=env, cwd=cwd)
    layer = Layer(path, source, {}, Provenance(None), (file,))
    return replace(nothing, path=path, config=layer, files=(file, *nothing.files))
