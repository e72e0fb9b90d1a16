"""
The specification's functions on configurations: `get_config_value_at_path` and its kin.

They work on plain trees and by key paths as the command line writes them; `Config` is for files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from clawstate.config.dotted_names import resolve_steps, resolve_steps_for_edit
from clawstate.config.service import Config
from clawstate.errors import NotFoundError
from clawstate.files.paths import StatePaths, as_directory, resolve_state_dir
from clawstate.json5.key_path import get_at, set_at, unset_at
from clawstate.json5.path_grammar import parse_written


def resolve_config(
    agent_id: str = "main",
    *,
    state_dir: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """
    Return the configuration as the agent *agent_id* has it: includes, variables and defaults in it.

    *state_dir* is by default that of the environment *env*. Raises what `Config.view` raises.
    """
    root = resolve_state_dir(env) if state_dir is None else as_directory(state_dir, "state_dir")
    return Config(StatePaths(root), env=env).resolve(agent_id)


def get_config_value_at_path(config: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """
    Return the value at *path* in the tree *config*, or *default*.

    Raises `InvalidError` for what is no key path, or names a prototype.
    """
    try:
        return get_at(config, resolve_steps(config, parse_written(path)))
    except NotFoundError:
        return default


def set_config_value_at_path(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """
    Put *value* at *path* in the tree *config* itself, with the parents it takes, and return it.

    Raises `InvalidError` for what is no key path, names a prototype, or leads through a scalar.
    """
    return _replace_content(
        config, set_at(config, resolve_steps_for_edit(config, parse_written(path)), value)
    )


def unset_config_value_at_path(config: dict[str, Any], path: str) -> dict[str, Any]:
    """Remove what is at *path* from the tree *config* itself, and return it; raises as `get`."""
    return _replace_content(
        config, unset_at(config, resolve_steps_for_edit(config, parse_written(path)))
    )


def _replace_content(config: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    config.clear()
    config.update(changed)
    return config
