"""Which values of a configuration are secrets, and a copy of it that may be shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from clawstate.json5.path_grammar import KeyPath
from clawstate.secret_rules import is_option_of_secret, is_secret, is_sensitive, is_variable

__all__ = [
    "ALIAS",
    "ENVIRONMENT_NAME",
    "SENTINEL",
    "is_secret_reference",
    "is_sensitive",
    "literal_secrets",
    "redact",
]

SENTINEL = "__OPENCLAW_REDACTED__"
"""Stands where a secret was left out."""

ALIAS = r"^[a-z][a-z0-9_-]{0,63}$"
ENVIRONMENT_NAME = r"^[A-Z][A-Z0-9_]{0,127}$"

_SERVICE_ACCOUNT = re.compile(r"serviceaccount(ref)?$", re.IGNORECASE)
_NAMED = r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}"
_IDS = {
    "env": re.compile(ENVIRONMENT_NAME.strip("^$")),
    "file": re.compile(r"value|(/[^\s]*)"),
    "exec": re.compile(_NAMED),
    "keyring": re.compile(_NAMED),
}


def is_secret_reference(value: Any) -> bool:
    """
    Tell whether *value* is an object that says where a secret is kept.

    It has a source, an id that such a source can have, and mostly the alias of a provider; nothing
    else (reference, "Secret refs").
    """
    if not isinstance(value, dict) or not {"source", "id"} <= value.keys():
        return False
    # Nothing more, and no other form: a reference is shown and shared, so nothing that may be a
    # secret can pass for one (decision 30).
    if not value.keys() <= {"source", "provider", "id"}:
        return False
    source, provider = value["source"], value.get("provider", "default")
    pattern = _IDS.get(source) if isinstance(source, str) else None
    return (
        pattern is not None
        and isinstance(value["id"], str)
        and pattern.fullmatch(value["id"]) is not None
        and isinstance(provider, str)
        and re.fullmatch(ALIAS.strip("^$"), provider) is not None
    )


def redact(value: Any, *, sentinel: str = SENTINEL) -> Any:
    """
    Return a copy of the configuration *value* with *sentinel* where a secret stands.

    What is one, `secret_rules` says. A lone `${NAME}` and a reference to a secret stay. The section
    `secrets` says where secrets are kept, not what they are: there, only the keys below it count.
    """
    return _replace((), value, lambda _path, _secret: sentinel)


def literal_secrets(value: Any) -> list[KeyPath]:
    """Return the paths of *value* that hold a secret in the clear, in its order (decision 30)."""
    found: list[KeyPath] = []

    def note(path: KeyPath, secret: Any) -> Any:
        if secret not in ("", {}, SENTINEL):
            found.append(path)
        return secret

    _replace((), value, note)
    return found


def _replace(path: KeyPath, value: Any, replace: Callable[[KeyPath, Any], Any]) -> Any:
    if is_secret_reference(value):
        return dict(value)  # it says where a secret is, not which: it may be shown (decision 30)
    if isinstance(value, str):
        return replace(path, value) if _is_secret(path, value) else value
    if not isinstance(value, dict | list):
        return value
    # The object is the secret: the names of its members need not tell.
    if path and isinstance(path[-1], str) and _SERVICE_ACCOUNT.search(path[-1]):
        return replace(path, value)
    copy: Any = value.copy()
    before: Any = None
    # No comprehension: it would cost a second frame for each of up to 500 levels.
    for step, item in enumerate(value) if isinstance(value, list) else value.items():
        if not isinstance(item, str | dict | list):
            before = None
            continue
        # In a list of arguments, a secret stands behind the option that tells what it is.
        if isinstance(step, int) and isinstance(item, str) and is_option_of_secret(before):
            copy[step] = replace((*path, step), item) if not is_variable(item) else item
        else:
            copy[step] = _replace((*path, step), item, replace)
        before = item
    return copy


def _is_secret(path: KeyPath, text: str) -> bool:
    return is_secret(path[1:] if path[:1] == ("secrets",) else path, text)
