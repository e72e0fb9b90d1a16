"""
The words of JSON5: where each begins and ends in a text, and what it means.

The grammar is that of JSON5 1.0.0, chapters 2 to 7, as the npm package `json5` reads it. Every
pattern is possessive, so that no text, however hostile, is looked at more than a few times.
"""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from typing import Any

Word = tuple[str, Any, int, int]
"""What kind of word it is, what it means, and its start and end in the text."""

_ENDS = "\n\r\u2028\u2029"
_SPACES = "\t\v\f \xa0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff" + _ENDS
_COMMENT = rf"//[^{_ENDS}]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/"
_BLANK = rf"(?:[{_SPACES}]++|{_COMMENT})*+"
_HEX = "[0-9A-Fa-f]"
_ESCAPE = rf"\\(?:\r\n?+|x{_HEX}{{2}}|u{_HEX}{{4}}|0(?![0-9])|[^xu0-9\r])"
_PLAIN_STRING = r""""(?P<double>[^"\\\n\r]*+)"|'(?P<single>[^'\\\n\r]*+)'"""
_DECIMAL = r"(?:(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?+|\.[0-9]++)(?P<exponent>[eE][+-]?+[0-9]++)?"

# What nearly every document consists of; anything else takes the longer way below.
_PLAIN_VALUE = re.compile(
    rf"{_BLANK}(?:{_PLAIN_STRING}|(?P<mark>[{{\[\]])"
    r"|(?P<integer>0|-?[1-9][0-9]{0,17}+)(?![0-9.eExX])|(?P<word>true|false|null))"
)
# Not followed by a backslash or by what is not ASCII; a set of all that would take ten times as
# long to compile, with each start of the program.
_PLAIN_KEY = re.compile(
    rf"{_BLANK}(?:{_PLAIN_STRING}|(?P<name>[A-Za-z_$][A-Za-z0-9_$]*+)(?![^\x00-\x5b\x5d-\x7f])"
    r"|(?P<mark>\}))"
)

_GAP = re.compile(_BLANK)
_BODIES = {
    '"': re.compile(rf'(?:[^"\\\n\r]++|{_ESCAPE})*+'),
    "'": re.compile(rf"(?:[^'\\\n\r]++|{_ESCAPE})*+"),
}
_ESCAPED = re.compile(r"\\(?:\r\n?|x..|u....|.)", re.DOTALL)
_BROKEN_ESCAPE = re.compile(rf"\\(?:x{_HEX}?+|u{_HEX}{{0,3}}+|0)?+")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_SURROGATE = re.compile("[\ud800-\udfff]")

_NAME = re.compile(rf"(?:\\u{_HEX}{{4}}|[A-Za-z0-9_$]|[^\x00-\x7f{_SPACES}])*+")
_NAME_PART = re.compile(r"\\u(....)|.", re.DOTALL)
_BROKEN_NAME_ESCAPE = re.compile(rf"\\(?:u{_HEX}{{0,3}}+)?+")
_NAME_STARTS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nl"})
_NAME_PARTS = _NAME_STARTS | {"Mn", "Mc", "Pc"}

_NUMBER = re.compile(
    rf"[+-]?+(?:0[xX](?P<hex>{_HEX}++)|(?P<integer>0|[1-9][0-9]*+)(?![.eE])|{_DECIMAL})"
)
_NO_NUMBER = re.compile(r"[+-]?+\.?+")
_BROKEN_EXPONENT = re.compile(r"[eE][+-]?+")
# Longer integers take Python quadratic time; its own default limit for text is the same.
_MOST_DIGITS = 4300
_FEW_DIGITS = 500  # no limit of Python is as low
_WORDS: dict[str, tuple[str, str, Any]] = {
    "t": ("boolean", "true", True),
    "f": ("boolean", "false", False),
    "n": ("null", "null", None),
    "I": ("number", "Infinity", math.inf),
    "N": ("number", "NaN", math.nan),
}
_PLAIN_WORDS = {word: (kind, value) for kind, word, value in _WORDS.values()}


class ScanError(Exception):
    """The text cannot go on at *position* as it does; no field holds a part of it."""

    def __init__(self, position: int, expected: str, problem: str = "is not JSON5") -> None:
        super().__init__(position, expected, problem)
        self.position = position
        self.expected = expected
        self.problem = problem


def skip_blank(text: str, position: int) -> int:
    """
    Return where the white space and comments from *position* on end.

    Raises `ScanError` for a comment that does not end.
    """
    end = _end(_GAP, text, position)
    if text.startswith("/*", end):
        raise ScanError(end, "this comment to end")
    if text.startswith("/", end):
        raise ScanError(end + 1, "'/' or '*'")
    return end


def read_mark(text: str, position: int) -> tuple[str, int]:
    """Return the next character that is not blank, or "" at the end, and its place."""
    # Mostly nothing stands before it, and the search for blanks is spared.
    mark = text[position : position + 1]
    if mark not in {",", ":", "]", "}"}:
        position = skip_blank(text, position)
        mark = text[position : position + 1]
    return mark, position


def read_key(text: str, position: int) -> Word:
    """
    Return the next key of an object as a `string`, or the `}` that ends it.

    Raises `ScanError` for anything else.
    """
    match = _PLAIN_KEY.match(text, position)
    if match is None:
        return _rare_key(text, skip_blank(text, position))
    kind = match.lastgroup or ""
    start, end = match.span(kind)
    if kind in {"mark", "name"}:
        return ("}" if kind == "mark" else "string"), match[kind], start, end
    return "string", match[kind], start - 1, end + 1


def read_value(text: str, position: int) -> Word:
    """
    Return the next `string`, `number`, `boolean` or `null`, or one of `{`, `[` and `]`.

    Raises `ScanError` for anything else.
    """
    match = _PLAIN_VALUE.match(text, position)
    if match is None:
        return _rare_value(text, skip_blank(text, position))
    group = match.lastgroup or ""
    found = match[group]
    start, end = match.span(group)
    if group in {"double", "single"}:
        return "string", found, start - 1, end + 1
    if group == "integer":
        return "number", int(found), start, end
    kind, value = _PLAIN_WORDS.get(found, (found, None))
    return kind, value, start, end


def _rare_key(text: str, start: int) -> Word:
    if text[start : start + 1] in _BODIES:
        return _string(text, start)
    end = _end(_NAME, text, start)
    name = "".join(_name_parts(text, start, end))
    if text.startswith("\\", end):
        raise ScanError(_end(_BROKEN_NAME_ESCAPE, text, end), "a Unicode escape")
    if not name:
        raise ScanError(start, "a key or '}'")
    return "string", name, start, end


def _name_parts(text: str, start: int, end: int) -> list[str]:
    parts: list[str] = []
    for match in _NAME_PART.finditer(text, start, end):
        part = chr(int(match[1], 16)) if match[1] else match[0]
        if not _belongs(part, first=not parts):
            raise ScanError(match.start(), "':'" if parts else "a key or '}'")
        parts.append(part)
    return parts


def _belongs(character: str, *, first: bool) -> bool:
    """Tell whether a name of ECMAScript 5.1 may hold *character*."""
    if character in {"$", "_"}:
        return True
    if first:
        return unicodedata.category(character) in _NAME_STARTS
    if character.isdecimal() or character in {"\u200c", "\u200d"}:
        return True
    return unicodedata.category(character) in _NAME_PARTS


def _rare_value(text: str, start: int) -> Word:
    head = text[start : start + 1]
    if head in _BODIES:
        return _string(text, start)
    if head and head in "+-.0123456789":
        return _number(text, start)
    return _word(text, start)


def _string(text: str, start: int) -> Word:
    end = _end(_BODIES[text[start]], text, start + 1)
    if text[end : end + 1] != text[start]:
        raise _broken_string(text, start, end)
    return "string", _meaning(text[start + 1 : end]), start, end + 1


def _broken_string(text: str, start: int, end: int) -> ScanError:
    broken = _end(_BROKEN_ESCAPE, text, end)
    # At the end of the text the string is what is not finished, and not its escape.
    if end < broken < len(text):
        return ScanError(broken, "an escape")
    return ScanError(start, "this string to end on its line")


def _meaning(body: str) -> str:
    meaning = _ESCAPED.sub(_character, body)
    if not _SURROGATE.search(meaning):
        return meaning
    # Two escapes can be the halves of one character.
    return meaning.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _character(escape: re.Match[str]) -> str:
    code = escape[0][1:]
    if code[0] in "xu":
        return chr(int(code[1:], 16))
    return "" if code[0] in _ENDS else _LETTERS.get(code, code)


def _number(text: str, start: int) -> Word:
    match = _NUMBER.match(text, start)
    if match is None:
        return _signed_word(text, start)
    _require_whole(text, match)
    value = _magnitude(match)
    if text[start] == "-":
        # JavaScript knows a negative zero, which no Python integer is.
        value = -value if value else -0.0
    return "number", value, start, match.end()


def _signed_word(text: str, start: int) -> Word:
    position = _end(_NO_NUMBER, text, start)
    if text[position - 1] == "." or text[position : position + 1] not in {"I", "N"}:
        raise ScanError(position, "a digit")
    kind, value, _, end = _word(text, position)
    return kind, -value if text[start] == "-" else value, start, end


def _require_whole(text: str, match: re.Match[str]) -> None:
    end = match.end()
    if match["integer"] == "0" and text[end : end + 1] in {"x", "X"}:
        raise ScanError(end + 1, "a digit")
    broken = _end(_BROKEN_EXPONENT, text, end)
    if broken > end and match["exponent"] is None and match["hex"] is None:
        raise ScanError(broken, "a digit")


def _magnitude(match: re.Match[str]) -> int | float:
    digits, sixteens = match["integer"], match["hex"]
    if sixteens is not None:
        value = int(sixteens, 16)
        # What has no decimal text could be read, but neither shown nor written.
        if len(sixteens) <= _FEW_DIGITS or value < 10 ** _most_digits():
            return value
    elif digits is None:
        return float(match[0].lstrip("+-"))
    elif len(digits) <= _FEW_DIGITS or len(digits) <= _most_digits():
        return int(digits)
    problem = "holds a number with too many digits"
    raise ScanError(match.start(), f"at most {_most_digits()}", problem)


def _most_digits() -> int:
    return min(_MOST_DIGITS, sys.get_int_max_str_digits() or _MOST_DIGITS)


def _word(text: str, start: int) -> Word:
    kind, word, value = _WORDS.get(text[start : start + 1], ("", "", None))
    if not kind:
        raise ScanError(start, "a value")
    for offset, letter in enumerate(word, start):
        if text[offset : offset + 1] != letter:
            raise ScanError(offset, f"'{word}'")
    return kind, value, start, start + len(word)


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return position if match is None else match.end()
