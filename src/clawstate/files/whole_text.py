"""Text that no file can hold: half of a surrogate pair, which has no form in UTF-8."""

from __future__ import annotations

from typing import Any

from clawstate.errors import InvalidError

_PROBLEM = "holds half a surrogate pair, which no file can hold"
_HINT = "decode the bytes with errors='replace'"


def is_utf8(text: str) -> bool:
    """Tell whether *text* can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_whole(name: str, value: Any) -> None:
    """
    Refuse text that cannot be written as UTF-8, at any depth of *value*.

    Raises `InvalidError` that tells where, as *name*, keys and indices, and never the text itself.
    """
    rest: list[tuple[str, Any]] = [(name, value)]
    while rest:
        where, each = rest.pop()
        if isinstance(each, str):
            if not each.isascii() and not is_utf8(each):
                raise InvalidError(where, _PROBLEM, _HINT)
        elif isinstance(each, dict):
            for key, item in each.items():
                if isinstance(key, str) and not key.isascii() and not is_utf8(key):
                    raise InvalidError(where, f"has a key that {_PROBLEM}", _HINT)
                if isinstance(item, str | dict | list | tuple):
                    rest.append((f"{where}.{key}", item))
        elif isinstance(each, list | tuple):
            rest += [
                (f"{where}[{index}]", item)
                for index, item in enumerate(each)
                if isinstance(item, str | dict | list | tuple)
            ]
