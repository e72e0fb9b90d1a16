"""
What an unwritten setting means, and which texts are paths: applied on reading, never saved.

The values are those of the specification ("Configuration Reference") and those of OpenClaw that
concern what is kept here. A default fills a gap; it never replaces what is written, even `null`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from clawstate.config.settings import MEMORY_TYPE, default_tree
from clawstate.files.paths import SHARED_INDEX, StatePaths, expand_path
from clawstate.openclaw.owner import Era, find_owner

"""Where the gateway listens by default."""


def apply_defaults(config: Mapping[str, Any], *, paths: StatePaths) -> dict[str, Any]:
    """
    Return *config* with its gaps filled; paths that are not written are those of *paths*.

    `session.mainKey` is `main` wherever it is set, as in OpenClaw. *config* is not changed, and
    the result shares with it.
    """
    filled: dict[str, Any] = _fill(dict(config), _defaults(config, paths))
    session = filled["session"]
    if isinstance(session, dict) and "mainKey" in session:
        filled["session"] = {**session, "mainKey": "main"}
    return filled


def _defaults(config: Mapping[str, Any], paths: StatePaths) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "agents": {"defaults": {"maxConcurrent": 4, "subagents": {"maxConcurrent": 8}}},
        "commands": {
            "native": "auto",
            "nativeSkills": "auto",
            "ownerDisplay": "raw",
            "restart": True,
            "text": True,
        },
        "messages": {"ackReactionScope": "group-mentions"},
        **_sessions(paths),
    }
    defaults = _fill(defaults, default_tree())
    if "bind" in _object(config.get("gateway")):
        del defaults["gateway"]["host"]  # OpenClaw's own word for it, which it would contradict
    del defaults["auth"]  # `View` knows it; OpenClaw's section stays as short as it is written
    defaults["memory"]["store"].update(_memory_path(config, paths))
    maintenance = _object(_object(config.get("session")).get("maintenance"))
    if not maintenance:
        del defaults["session"]["maintenance"]  # `View` knows it; OpenClaw's section stays short
    elif "pruneDays" in maintenance:
        del defaults["session"]["maintenance"]["pruneAfter"]  # the same by its old name
    if "logging" in config:
        defaults["logging"] = {"redactSensitive": "tools"}
    return defaults


def _sessions(paths: StatePaths) -> dict[str, Any]:
    """Return where sessions lie, as whose the directory is has it (decision 27)."""
    era = find_owner(paths.root).era
    if era is Era.SQLITE:
        return {"session": {"store": "sqlite"}}
    index = paths.root / SHARED_INDEX if era is Era.FILES else paths.sessions_index
    return {"session": {"store": str(index)}}


def _memory_path(config: Mapping[str, Any], paths: StatePaths) -> dict[str, str]:
    store = _object(_object(config.get("memory")).get("store"))
    places = {"sqlite": paths.memory_db, "lancedb": paths.lancedb_dir}
    kind = store.get("type", MEMORY_TYPE.default)
    path = places.get(kind) if isinstance(kind, str) else None
    return {} if path is None else {"path": str(path)}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _fill(value: Any, default: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(default, dict):
        return value
    missing = {key: each for key, each in default.items() if key not in value}
    return {**{key: _fill(each, default.get(key)) for key, each in value.items()}, **missing}


_PATH_KEY = re.compile(r"(?:dir|path|paths|file|root|workspace)\Z", re.IGNORECASE)
_LIST_KEYS = frozenset({"paths", "pathPrepend"})
_TILDE = re.compile(r"\s*~(?=$|[\\/\s])")


def normalise_paths(value: Any, *, env: Mapping[str, str]) -> Any:
    """
    Return *value* with the texts that begin with `~` made absolute, where their key means a path.

    That is a key ending in `dir`, `path`, `paths`, `file`, `root` or `workspace`, in any case;
    elements of an array count only directly under `paths` and `pathPrepend`. The home is that of
    *env*. What does not change is shared with *value*: change nothing in it.
    """
    if "~" not in json.dumps(value):  # as a text, for a large tree is slow to walk
        return value
    return _normalise(value, "", env)


def _normalise(value: Any, key: str, env: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _expand(value, env) if _means_path(key) else value
    if isinstance(value, dict):
        return _same_or(value, {name: _normalise(each, name, env) for name, each in value.items()})
    if isinstance(value, list):
        inner = key if key in _LIST_KEYS else ""
        made = [
            _normalise(each, _of_element(each, inner), env) if _matters(each, inner) else each
            for each in value
        ]
        return _same_or(value, made)
    return value


def _matters(value: Any, key: str) -> bool:
    return isinstance(value, dict | list) or (bool(key) and isinstance(value, str))


def _of_element(value: Any, key: str) -> str:
    # A list in a list of paths is no path any more.
    return key if isinstance(value, str) else ""


def _means_path(key: str) -> bool:
    return key in _LIST_KEYS or bool(_PATH_KEY.search(key))


def _expand(text: str, env: Mapping[str, str]) -> str:
    return str(expand_path(text, env=env)) if _TILDE.match(text) else text


def _same_or(old: Any, new: Any) -> Any:
    before, after = (old.values(), new.values()) if isinstance(old, dict) else (old, new)
    changed = any(one is not other for one, other in zip(before, after, strict=True))
    return new if changed else old
