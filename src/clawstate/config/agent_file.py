"""The file of one agent as a configuration of itself, for who changes or judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from clawstate.config.includes import Layer
from clawstate.config.loading import Loaded, load
from clawstate.config.mending import broken_layer
from clawstate.config.provenance import Provenance
from clawstate.config.reading import read_layer
from clawstate.config.substitution import substitute
from clawstate.config.unresolved import Unresolved
from clawstate.errors import ConfigError, CorruptError
from clawstate.files.paths import StatePaths


def load_agent_file(
    agent: str,
    path: Path,
    *,
    paths: StatePaths,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    is_mending: bool = False,
) -> Loaded:
    """
    Return the file of *agent*, with the variables that the configuration *path* gives it.

    Raises `CorruptError` and `ConfigError` for a broken file, unless *is_mending*; a broken
    configuration only lacks its variables.
    """
    try:
        base = load(path, paths=paths, env=env, agent=agent, cwd=cwd, strict=False)
    except (CorruptError, ConfigError):
        absent = path.with_name(f"{path.name}.absent")
        base = load(absent, paths=paths, env=env, agent=agent, cwd=cwd, strict=False)
    file = paths.agent_config(agent)
    own = broken_layer(file) if is_mending else read_layer(file)
    found = substitute(own.value, base.variables, provenance=own.provenance)
    return replace(
        base,
        path=own.path,
        config=own,
        overlay=Layer(own.path.with_name("none"), None, {}, Provenance(None), ()),
        own=None,
        templates=own.value,
        resolved=found.value,
        value=found.value,
        substitutions=found.substitutions,
        missing=found.missing,
        unresolved=Unresolved(found.value, found.missing),
        files=(*own.files, *base.files),
        notices=own.notices,
        fallen="",
    )
