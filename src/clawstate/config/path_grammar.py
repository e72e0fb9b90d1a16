"""
The text of key paths, as `agents.list[0].model`.

The grammar is that of `openclaw config get`, `set` and `unset` (version 2026.2.26), where besides
`[-1]` is the last element, and what stands in brackets may be quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from clawstate.errors import InvalidError

KeyPath = tuple[str | int, ...]
"""
Steps from the document to a value.

A string is a key. An integer is an index in an array, and in an object the key of its digits:
`[0]` and `.0` read alike, and only what they meet can tell which was meant.
"""

EXAMPLE = 'write it like agents.list[0].model or channels["my.bot"]'
_FORBIDDEN = frozenset({"__proto__", "prototype", "constructor"})
_INDEX = re.compile(r"0|[1-9][0-9]{0,18}")
_INDEX_IN_BRACKETS = re.compile(r"0|-?[1-9][0-9]{0,18}")
_BETWEEN_BRACKETS = re.compile(r"(?:\\.|[^\\\[.])*+", re.DOTALL)
_CHARACTER = re.compile(r"\\?.", re.DOTALL)
_BRACKETS = re.compile(
    r"""\[\s*+(?:"((?:\\.|[^\\"])*+)"|'((?:\\.|[^\\'])*+)'|([^\]"'][^\]]*+|))\s*+\]""", re.DOTALL
)
_PLAIN_KEY = re.compile(r"[^\s.\[\]\\\"'0-9-][^\s.\[\]\\\"']*+")


def parse_key_path(text: str) -> KeyPath:
    r"""
    Return the steps that *text* names.

    Dots and brackets part the steps, empty steps between dots do not count, and a backslash takes
    the next character as it is. Digits alone are an integer unless they are quoted, begin with a
    needless zero or are more than 19. Raises `InvalidError`, which names the column, for an empty
    path, `[]`, a bracket or a quote that does not end, and a last backslash; also for the keys
    `__proto__`, `prototype` and `constructor`, however they are written.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        if text[position] == "[":
            step, position = _step_in_brackets(text, position)
            steps.append(step)
        else:
            found, position = _step_between_brackets(text, position)
            steps += found
    if not steps:
        raise InvalidError("config path", "is empty", EXAMPLE)
    require_allowed(steps)
    return tuple(steps)


def format_key_path(path: KeyPath) -> str:
    """Return the text of *path*; `parse_key_path` reads the same steps from it."""
    parts = [_step_text(step) for step in path]
    return "".join(parts).removeprefix(".")


def require_allowed(steps: Iterable[str | int]) -> None:
    """Refuse the names by which a JavaScript program could be misled about all its objects."""
    for step in steps:
        if step in _FORBIDDEN:
            raise InvalidError("config path", f"may not hold the key {step!r}", "choose another")


def _step_in_brackets(text: str, start: int) -> tuple[str | int, int]:
    match = _BRACKETS.match(text, start)
    if match is None:
        raise _broken(start, "the '[' has no end")
    quoted = match[1] if match[1] is not None else match[2]
    if quoted is not None:
        return _unescaped(_CHARACTER.findall(quoted)), match.end()
    word = match[3].strip()
    if not word:
        raise _broken(start, "'[]' is empty")
    return int(word) if _INDEX_IN_BRACKETS.fullmatch(word) else word, match.end()


def _step_between_brackets(text: str, start: int) -> tuple[list[str | int], int]:
    """Return the step before the next dot or bracket, if there is one, and the place after."""
    match = _BETWEEN_BRACKETS.match(text, start)
    end = match.end() if match else start
    if text.startswith("\\", end):
        raise _broken(end, "the last backslash has nothing to escape")
    after = end + text.startswith(".", end)
    word = text[start:end].strip()
    if _INDEX.fullmatch(word):
        return [int(word)], after
    characters = _without_outer_blanks(_CHARACTER.findall(text, start, end))
    return [_unescaped(characters)] if characters else [], after


def _without_outer_blanks(characters: list[str]) -> list[str]:
    solid = [index for index, each in enumerate(characters) if not each.isspace()]
    return characters[solid[0] : solid[-1] + 1] if solid else []


def _unescaped(characters: list[str]) -> str:
    return "".join(each[-1] for each in characters)


def _broken(position: int, problem: str) -> InvalidError:
    return InvalidError("config path", f"{problem} (column {position + 1})", EXAMPLE)


def _step_text(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if _PLAIN_KEY.fullmatch(step):
        return f".{step}"
    return '["' + step.replace("\\", "\\\\").replace('"', '\\"') + '"]'
