"""
The paths in a configuration: a leading `~` becomes the home, by OpenClaw's rule for which keys.

That rule does not reach `session.store`, whose value need not be a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from clawstate.files.paths import expand_path

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
    return _normalised(value, "", env)


def _normalised(value: Any, key: str, env: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _expanded(value, env) if _means_path(key) else value
    if isinstance(value, dict):
        return _same_or(value, {name: _normalised(each, name, env) for name, each in value.items()})
    if isinstance(value, list):
        inner = key if key in _LIST_KEYS else ""
        made = [
            _normalised(each, _of_element(each, inner), env) if _matters(each, inner) else each
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


def _expanded(text: str, env: Mapping[str, str]) -> str:
    return str(expand_path(text, env=env)) if _TILDE.match(text) else text


def _same_or(old: Any, new: Any) -> Any:
    before, after = (old.values(), new.values()) if isinstance(old, dict) else (old, new)
    changed = any(one is not other for one, other in zip(before, after, strict=True))
    return new if changed else old
