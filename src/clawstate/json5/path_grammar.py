"""
The text of key paths, as `agents.list[0].model`.

The grammar is that of `openclaw config get`, `set` and `unset` (version 2026.2.26), where besides
`[-1]` is the last element, and what stands in brackets may be quoted. What that reads around, such
as an empty step, is refused: a slip must not change another key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from clawstate.errors import InvalidError
from clawstate.json5.scan import ScanError, read_value

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
_BETWEEN_BRACKETS = re.compile(r"(?:\\.|[^\\\[\].])*+", re.DOTALL)
_CHARACTER = re.compile(r"\\?.", re.DOTALL)
_QUOTED = re.compile(r"""\[\s*+(?=["'])""")
_WORD = re.compile(r"""\[([^\]\["'\\]*+)\]""")
_PLAIN_WORD = re.compile(r"[^\s0-9-]\S*+")
_BLANK = re.compile(r"\s*+")
_NO_ESCAPE = re.compile(r"(?:[^\\]|\\[^A-Za-z1-9]|\\[bfnrtvxu])*+(?=\\)", re.DOTALL)
_QUOTES = frozenset("\"'")
_OF_QUOTES = frozenset({rf"\{letter}" for letter in "bfnrtvxu"})
_UNSEEN = re.compile("[\x00-\x1f\ud800-\udfff]")
_PLAIN_KEY = re.compile(r"[^\s.\[\]\\\"'0-9-][^\s.\[\]\\\"']*+")


@dataclass(frozen=True, slots=True)
class WrittenPath:
    """
    The steps of a path, and which of them are parted from the one before by a plain dot.

    Those may be one key that has a dot in its name; what stands in brackets is a step by itself.
    """

    steps: KeyPath
    dotted: frozenset[int] = frozenset()


def parse_key_path(text: str) -> KeyPath:
    r"""
    Return the steps that *text* names.

    Dots and brackets part the steps. In quotes the escapes are those of JSON5; outside of them a
    backslash takes the next character as it is. Digits alone are an integer unless they are quoted,
    begin with a needless zero or are more than 19. Raises `InvalidError`, which names the column,
    for whatever does not name exactly one step after the other; also for the keys `__proto__`,
    `prototype` and `constructor`, however they are written.
    """
    return parse_written(text).steps


def parse_written(text: str) -> WrittenPath:
    """Return what `parse_key_path` does, and how it was written."""
    if not isinstance(text, str):
        raise InvalidError("config path", f"is {type(text).__name__}, not text", EXAMPLE)
    if not text.strip():
        raise _syntax_error(0, "is empty: name a key, such as gateway.port")
    if unseen := _UNSEEN.search(text):
        kind = "half a character" if unseen[0] > " " else "a control character"
        raise _syntax_error(
            unseen.start(), f"holds {kind}", r'write it in quotes, like mine["a\nb"]'
        )
    steps: list[str | int] = []
    dotted: set[int] = set()
    position, was_plain = 0, False
    while position < len(text):
        is_plain = text[position] != "["
        read = _step_between_brackets if is_plain else _step_in_brackets
        step, position = read(text, position)
        if is_plain and was_plain:
            dotted.add(len(steps))
        steps.append(step)
        position, was_plain = _next_step(text, position), is_plain
    require_allowed(steps)
    return WrittenPath(tuple(steps), frozenset(dotted))


def format_key_path(path: KeyPath) -> str:
    """Return the text of *path*; `parse_key_path` reads the same steps from it."""
    parts = [_step_text(step) for step in path]
    return "".join(parts).removeprefix(".")


def require_allowed(steps: Iterable[str | int]) -> None:
    """Refuse the names by which a JavaScript program could be misled about all its objects."""
    for step in steps:
        if step in _FORBIDDEN:
            raise InvalidError("config path", f"may not hold the key {step!r}", "choose another")


def _next_step(text: str, position: int) -> int:
    """Return where the step begins that follows one which ended at *position*."""
    if position == len(text) or text[position] == "[":
        return position
    if text[position] == "]":
        raise _syntax_error(
            position, "the ']' has no beginning", r"write \] for the character itself"
        )
    if text[position] != ".":
        raise _syntax_error(position, "only '.' or '[' can follow a ']'")
    after = _blank(text, position + 1)
    if after == len(text) or text[after] in ".[":
        raise _syntax_error(after, "nothing stands behind the '.'")
    return after


def _step_in_brackets(text: str, start: int) -> tuple[str | int, int]:
    if quote := _QUOTED.match(text, start):
        return _read_quoted(text, start, quote.end())
    match = _WORD.match(text, start)
    if match is None:
        raise _syntax_error(start, "the '[' has no end")
    word = match[1].strip()
    if not word:
        raise _syntax_error(start, "'[]' is empty")
    end = _blank(text, match.end())
    if _INDEX_IN_BRACKETS.fullmatch(word):
        return int(word), end
    if _PLAIN_WORD.fullmatch(word) is None:
        first = _blank(text, start + 1)
        raise _syntax_error(first, "is no index", f'write ["{word}"] if a key is meant')
    return word, end


def _read_quoted(text: str, start: int, quote: int) -> tuple[str, int]:
    problem = ""
    try:
        _, step, _, end = read_value(text, quote)
    except ScanError as error:
        at = start if error.position == quote else error.position
        problem = "the '[' has no end" if at == start else f"expected {error.expected}"
    if problem:
        raise _syntax_error(at, problem)
    # JSON5 takes a needless escape such as \q for the letter alone; in a path it is a slip.
    escape = _NO_ESCAPE.match(text, quote, end)
    if escape is not None:
        raise _syntax_error(escape.end(), "this escape means nothing", r"write \\ for a backslash")
    closing = _blank(text, end)
    if text[closing : closing + 1] != "]":
        raise _syntax_error(start, "the '[' has no end")
    if any("\ud800" <= each <= "\udfff" for each in step):
        raise _syntax_error(quote, "holds half a character", "write both halves")
    return step, _blank(text, closing + 1)


def _step_between_brackets(text: str, start: int) -> tuple[str | int, int]:
    """Return the step before the next dot or bracket, and the place after it."""
    match = _BETWEEN_BRACKETS.match(text, start)
    end = match.end() if match else start
    if text.startswith("\\", end):
        raise _syntax_error(end, "the last backslash has nothing to escape")
    word = text[start:end].strip()
    if not word:
        raise _syntax_error(end, f"nothing stands before the {text[end]!r}")
    if _INDEX.fullmatch(word):
        return int(word), end
    if word[0] in _QUOTES:
        at = text.index(word[0], start)
        hint = r'write mine["x.y"]; put a \ before a quote that belongs to the key'
        raise _syntax_error(at, "quotes stand in brackets", hint)
    characters = _CHARACTER.findall(text, start, end)
    # Here a backslash takes the next character as it is, but who writes `\n` has a line end in
    # mind.
    if escape := next((each for each in characters if each in _OF_QUOTES), None):
        at = start + len("".join(characters[: characters.index(escape)]))
        hint = f'write the step in quotes, like ["a{escape}b"]'
        raise _syntax_error(at, "such an escape has a meaning only in quotes", hint)
    return _unescape(_without_outer_blanks(characters)), end


def _blank(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _without_outer_blanks(characters: list[str]) -> list[str]:
    solid = [index for index, each in enumerate(characters) if not each.isspace()]
    return characters[solid[0] : solid[-1] + 1]


def _unescape(characters: list[str]) -> str:
    return "".join(each[-1] for each in characters)


def _syntax_error(position: int, problem: str, hint: str = EXAMPLE) -> InvalidError:
    return InvalidError("config path", f"{problem} (column {position + 1})", hint)


def _step_text(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if _PLAIN_KEY.fullmatch(step) and not _UNSEEN.search(step):
        return f".{step}"
    # The escapes of JSON are among those of JSON5, which `_read_quoted` reads.
    return f"[{json.dumps(step, ensure_ascii=False)}]"
