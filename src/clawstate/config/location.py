"""Where the configuration of a state lies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from clawstate.files.paths import StatePaths, effective_home, expand_path, resolve_state_dir

_PATH_VARIABLES = ("OPENCLAW_CONFIG_PATH", "CLAWDBOT_CONFIG_PATH")
_STATE_VARIABLES = ("OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR")
_NAMES = ("openclaw.json", "clawdbot.json", "moldbot.json", "moltbot.json")
_OVERLAY = "clawstate.json"
_DIRECTORIES = (".openclaw", ".clawdbot", ".moldbot", ".moltbot")


def find_config(paths: StatePaths, env: Mapping[str, str] | None = None) -> Path:
    """
    Return the absolute path of the configuration; *env* defaults to the process environment.

    `OPENCLAW_CONFIG_PATH` wins, then `CLAWDBOT_CONFIG_PATH`; both may start with `~`. Otherwise it
    is the first that exists of `openclaw.json` and its older names in the state directory, and, if
    nobody chose that directory, in the usual ones of the home. Without any, it is `openclaw.json`
    in the state directory. A link to nothing counts as existing, so that reading it fails instead
    of passing it over.
    """
    variables = os.environ if env is None else env
    for name in _PATH_VARIABLES:
        if chosen := variables.get(name, "").strip():
            return expand_path(chosen, env=variables)
    return next(filter(os.path.lexists, _candidates(paths, variables)), paths.config)


def overlay_of(config: Path) -> Path:
    """
    Return where the settings lie that OpenClaw does not know, beside *config* (decision 28).

    A configuration of another name has an overlay of its own: several may lie in one directory.
    """
    name = _OVERLAY if config.name in _NAMES else f"{config.stem}.{_OVERLAY}"
    return config.with_name(name)


def _candidates(paths: StatePaths, env: Mapping[str, str]) -> Iterator[Path]:
    directories = [paths.root]
    # Whoever chose the directory must not be given the configuration, and the secrets, of another
    # state. OpenClaw's strict path helper stops there too; only its loader goes on to the home.
    if not _is_chosen(paths, env):
        directories += [effective_home(env) / name for name in _DIRECTORIES]
    for directory in directories:
        yield from (directory / name for name in _NAMES)


def _is_chosen(paths: StatePaths, env: Mapping[str, str]) -> bool:
    by_variable = any(env.get(name, "").strip() for name in _STATE_VARIABLES)
    return by_variable or paths.root != resolve_state_dir(env)


def agents_with_files(root: Path) -> tuple[str, ...]:
    """Return the agents of the state *root* that have a configuration, a link to nothing too."""
    homes = root.glob("agents/*/agent")
    found = (each for each in homes if os.path.lexists(each / "config.json"))
    return tuple(sorted(each.parent.name for each in found))
