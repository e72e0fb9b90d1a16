"""How values are written anew, in the style of the text that they go into."""

from __future__ import annotations

import math
import re
from typing import Any

from clawstate.arguments import require_whole
from clawstate.errors import InvalidError
from clawstate.json5.style import BARE_KEY, TextStyle

_WIDTH = 100
_MOST_DIGITS = 4300
_MOST_BITS = 15_000  # a little more than so many digits need
_SPECIAL = re.compile("[\\\\\x00-\x1f\x7f\u2028\u2029\ufeff]")
_LETTERS = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def render_value(value: Any, style: TextStyle, *, indent: str, spread: bool) -> str:
    """
    Return the text of *value* for a line that begins with *indent*.

    A container takes several lines if *spread*. Numbers are those of JSON, and integers keep all
    digits. Raises `InvalidError`, which tells no content, for what JSON cannot hold: NaN and the
    infinities, lone surrogates, integers of more than 4,300 digits.
    """
    try:
        return _text(value, style, indent, spread)
    except RecursionError:
        problem = "is nested too deeply"
    raise InvalidError("config value", problem, "flatten it")


def render_entry(
    key: str | None, value: Any, style: TextStyle, *, indent: str, spread: bool
) -> str:
    """Return the text of a member with *key*, or of an element; else as `render_value`."""
    head = "" if key is None else _key(key, style) + style.colon
    return head + render_value(value, style, indent=indent, spread=spread)


def _text(value: Any, style: TextStyle, indent: str, spread: bool) -> str:  # noqa: FBT001
    if not isinstance(value, dict | list):
        return _scalar(value, style)
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    spread = spread and not _stays_flat(value, style, indent)
    inner = indent + style.indent if spread else indent
    parts = []
    # Loops and not comprehensions, which would take a second stack frame for each level.
    if isinstance(value, dict):
        for key, item in value.items():
            parts.append(_key(key, style) + style.colon + _text(item, style, inner, spread))
        return _enclosed("{}", parts, style, indent, spread=spread)
    for item in value:
        parts.append(_text(item, style, inner, spread))  # noqa: PERF401
    return _enclosed("[]", parts, style, indent, spread=spread)


def _stays_flat(value: Any, style: TextStyle, indent: str) -> bool:
    items = value.values() if isinstance(value, dict) else value
    if any(isinstance(item, dict | list) and item for item in items):
        return False
    kind = "object" if isinstance(value, dict) else "array"
    return kind in style.flat_kinds and len(indent + _text(value, style, "", False)) <= _WIDTH


def _enclosed(
    brackets: str, parts: list[str], style: TextStyle, indent: str, *, spread: bool
) -> str:
    if not spread:
        padding = style.padding if brackets == "{}" else ""
        return brackets[0] + padding + f",{style.gap}".join(parts) + padding + brackets[1]
    line = style.line_end + indent
    inner = line + style.indent
    last = "," if style.last_comma else ""
    return brackets[0] + inner + f",{inner}".join(parts) + last + line + brackets[1]


def _key(key: str, style: TextStyle) -> str:
    if style.bare_keys and BARE_KEY.fullmatch(key):
        return key
    return _string(key, style.key_quote)


def _scalar(value: Any, style: TextStyle) -> str:
    if isinstance(value, str):
        return _string(value, style.quote)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value)


def _number(value: float) -> str:
    problem = "has a number that is not finite"
    if isinstance(value, int):
        digits = _digits(value)
        if digits:
            return digits
        problem = "has an integer of too many digits"
    elif math.isfinite(value):
        return repr(value)
    raise InvalidError("config value", problem, "write it as text")


def _digits(value: int) -> str:
    """Return the digits of *value*, or nothing if no text is read with so many."""
    if value.bit_length() > _MOST_BITS:
        return ""
    try:
        digits = repr(value)
    except ValueError:
        return ""
    return digits if len(digits.lstrip("-")) <= _MOST_DIGITS else ""


def _string(text: str, quote: str) -> str:
    require_whole("config value", text)
    escaped = _SPECIAL.sub(_escape, text)
    return quote + escaped.replace(quote, "\\" + quote) + quote


def _escape(match: re.Match[str]) -> str:
    return _LETTERS.get(match[0]) or f"\\u{ord(match[0]):04x}"
