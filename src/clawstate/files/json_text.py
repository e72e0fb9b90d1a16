"""
JSON text exactly as a Node program writes it, and read as strictly as one reads it.

The rules are those of ECMA-262, `JSON.stringify` and `Number::toString`.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from clawstate.errors import CorruptError, InvalidError

if TYPE_CHECKING:
    from pathlib import Path

_BOM = "\ufeff"
# ECMA-262: keys that are array indices, which end here, come before all others in an object.
_LAST_ARRAY_INDEX = 2**32 - 2
_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_INDEX_LINE = re.compile("^[0-9]+$", re.MULTILINE)  # among names, one a line; some are two lines
_SURROGATE = re.compile("[\ud800-\udfff]")
_OUTSIDE_STRINGS = r'"(?:[^"\\]|\\.)*"|(?P<found>%s)'
# JavaScript writes plain digits below this many, and up to six zeros behind the point.
_MOST_DIGITS = 21
_MOST_ZEROS = 6
# The records of a store lie on the first or the second level of its document.
_REMEMBERED_LEVELS = 2

_SCALARS, _OBJECTS, _ARRAYS = (str, int, float), (dict, Mapping), (list, tuple)

_quote = json.encoder.encode_basestring

Texts: TypeAlias = dict[tuple[int, str], tuple[Any, str]]
"""The texts of containers by identity and indentation, each with its container to keep it alive."""


def dump_pretty(value: Any) -> str:
    """
    Return the text of `JSON.stringify(value, null, 2)`, without a line end.

    Floats look as in JavaScript, NaN and infinities are `null`, lone surrogates are escaped, and
    keys that are array indices come first, ascending. Integers beyond 2**53 keep all their digits,
    which JavaScript cannot. Raises `InvalidError` for a value that JSON does not know.
    """
    return _dump(value, line="\n", step="  ", colon=": ")


def dump_pretty_again(value: Any, known: Texts) -> tuple[str, Texts]:
    """
    Return what `dump_pretty` does, and the texts of its parts to hand in with the next version.

    *known* are those of the version before: what is the very same object there is not written out
    again, so it must not have been changed in place. Only the upper levels are kept.
    """
    used: Texts = {}
    try:
        return _text_again(value, "\n", 0, known, used), used
    except RecursionError:
        return dump_pretty(value), {}


def dump_compact(value: Any) -> str:
    """Return the text of `JSON.stringify(value)`, by the rules of `dump_pretty`."""
    return _dump(value, line="", step="", colon=":")


def is_same_json(one: Any, other: Any) -> bool:
    """
    Tell whether two values say the same in JSON, whatever the order of members.

    As in JavaScript, 1 is 1.0; but neither is `true`, which is 1 for Python.
    """
    if one != other:
        return False
    pairs = [(one, other)]  # no recursion: values are as deep as a text may be
    while pairs:
        first, second = pairs.pop()
        if first is second:
            continue
        if isinstance(first, bool) is not isinstance(second, bool):
            return False
        if isinstance(first, _ARRAYS):
            pairs += zip(first, second, strict=True)
        elif not isinstance(first, _SCALARS) and isinstance(first, Mapping):
            # Texts that are equal are the same, and most members are texts.
            items = first.items()
            pairs += [(each, second[name]) for name, each in items if each.__class__ is not str]
    return True


def parse_json(text: str | bytes, *, path: Path) -> Any:
    """
    Return the value of the JSON *text* that was read from *path*.

    The last of two equal keys wins, integers keep all digits. Raises `CorruptError`, which names
    the path and the place but never the content, for anything that is not JSON: a byte order
    mark, `NaN`, bytes that are not UTF-8, or nesting beyond several hundred levels.
    """
    decoded = _decode(text, path) if isinstance(text, bytes) else text
    problem = _first_problem(decoded)
    if problem is None:
        value, problem = _parse(decoded)
    if problem is not None:
        raise CorruptError(str(path), problem)
    return value


def parse_json_file(raw: bytes, *, path: Path) -> Any:
    """
    Return the value of the JSON document *raw*, the content of the file *path*.

    A byte order mark of UTF-8, which some editors write, is passed over. Raises `CorruptError` as
    `parse_json` does; for UTF-16 and UTF-32 it says so.
    """
    require_utf8(raw, path=path)
    return parse_json(raw.removeprefix(codecs.BOM_UTF8), path=path)


def require_utf8(raw: bytes, *, path: Path) -> None:
    """Raise `CorruptError` if the content *raw* of the file *path* is UTF-16 or UTF-32."""
    if (encoding := wide_encoding(raw)) is not None:
        raise CorruptError(str(path), f"is {encoding[:6].upper()}; save it as UTF-8")


def wide_encoding(raw: bytes) -> str | None:
    """Return the encoding of *raw* if it is one with more than a byte for each character."""
    # Before UTF-16, whose little-endian mark is the beginning of this one.
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(raw) > 1 and (raw[0] == 0) != (raw[1] == 0):  # JSON begins with ASCII
        return "utf-16-be" if raw[0] == 0 else "utf-16-le"
    return None


def _dump(value: Any, *, line: str, step: str, colon: str) -> str:
    try:
        return _text(value, line, step, colon)
    except RecursionError:
        problem = "is nested too deeply, or contains itself"
    raise InvalidError("JSON value", problem, "flatten it")


def _text(value: Any, line: str, step: str, colon: str) -> str:
    if value is None or isinstance(value, _SCALARS):
        return _scalar(value)
    inner = line + step
    parts = []
    if isinstance(value, _OBJECTS):
        for key, item in _order(value):
            text = _QUICK[item.__class__](item) if item.__class__ in _QUICK else None
            parts.append(_string(key) + colon + (text or _text(item, inner, step, colon)))
        return _enclose("{", parts, "}", line, inner)
    if isinstance(value, _ARRAYS):
        for item in value:
            # A comprehension would take a second stack frame for each level.
            parts.append(_text(item, inner, step, colon))  # noqa: PERF401
        return _enclose("[", parts, "]", line, inner)
    return _refuse(value)


def _text_again(value: Any, line: str, level: int, known: Texts, used: Texts) -> str:
    inner = line + "  "
    if isinstance(value, Mapping):
        parts = [
            f"{_string(key)}: {_QUICK[item.__class__](item)}"
            if item.__class__ in _QUICK
            else f"{_string(key)}: {_part_again(item, inner, level + 1, known, used)}"
            for key, item in _order(value)
        ]
        return _enclose("{", parts, "}", line, inner)
    if isinstance(value, list | tuple):
        parts = [_part_again(item, inner, level + 1, known, used) for item in value]
        return _enclose("[", parts, "]", line, inner)
    return _text(value, line, "  ", ": ")


def _part_again(value: Any, line: str, level: int, known: Texts, used: Texts) -> str:
    # What is the very object of the version before has its text already: an update costs what
    # changed, and one join (decision 10).
    place = (id(value), line)
    if (hit := known.get(place)) is not None:
        used[place] = hit
        return hit[1]
    if level < _REMEMBERED_LEVELS:
        text = _text_again(value, line, level, known, used)
    else:
        text = _text(value, line, "  ", ": ")
    if isinstance(value, dict | list):
        used[place] = (value, text)
    return text


def _scalar(value: str | float | None) -> str:
    if isinstance(value, str):
        return _string(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _integer(value) if isinstance(value, int) else _float(value)


def _string(text: str) -> str:
    if text.isascii() or not _SURROGATE.search(text):
        return _quote(text)
    # Python can hold a pair as two characters; for JavaScript it is one.
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", _quote(paired))


def _integer(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        problem = "an integer has too many digits"
    raise InvalidError("JSON value", problem, "store it as text")


def _float(value: float) -> str:
    if not math.isfinite(value):
        return "null"
    # `JSON.stringify(-0)` is 0 as well.
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    # Python's digits are those of ECMA-262, the fewest that read back as the same number; where the
    # point stands, and when an exponent comes, differs.
    mantissa, _, exponent = f"{float.__repr__(abs(float(value)))}e".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent.rstrip("e") or 0)
    return sign + _lay_out(digits.rstrip("0"), point)


def _lay_out(digits: str, point: int) -> str:
    """Return 0.*digits* times ten to the *point*, as `Number::toString` lays it out."""
    count = len(digits)
    if count <= point <= _MOST_DIGITS:
        return digits + "0" * (point - count)
    if 0 < point <= _MOST_DIGITS:
        return f"{digits[:point]}.{digits[point:]}"
    if -_MOST_ZEROS < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{point - 1:+d}"


def _order(value: Mapping[Any, Any]) -> Iterable[tuple[str, Any]]:
    try:
        if _INDEX_LINE.search("\n".join(value)) is None:
            return value.items()
    except TypeError:
        for key in value:
            if not isinstance(key, str):
                _refuse(key)
    indices = [key for key in value if _is_array_index(key)]
    names = [*sorted(indices, key=int), *(key for key in value if not _is_array_index(key))]
    return [(name, value[name]) for name in names]


def _is_array_index(key: str) -> bool:
    return bool(_ARRAY_INDEX.fullmatch(key)) and int(key) <= _LAST_ARRAY_INDEX


def _enclose(start: str, parts: list[str], end: str, line: str, inner: str) -> str:
    if not parts:
        return start + end
    return start + inner + f",{inner}".join(parts) + line + end


# What most members are, without a call more than need be.
_QUICK: dict[type, Callable[[Any], str]] = {
    str: _string,
    int: _integer,
    bool: _scalar,
    type(None): _scalar,
}


def _refuse(value: Any) -> NoReturn:
    kind = type(value).__name__
    raise InvalidError("JSON value", f"{kind} has no place in it", "convert it before writing")


def _decode(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
    raise CorruptError(str(path), f"is not UTF-8 ({_place(before, len(before))})")


def _first_problem(text: str) -> str | None:
    if text.startswith(_BOM):
        return f"starts with a byte order mark ({_place(text, 0)})"
    if not text or text.isspace():
        return f"is empty ({_place(text, 0)})"
    return None


def _parse(text: str) -> tuple[Any, str | None]:
    # Errors are answered outside of their handlers: they hold the text, which may be a secret.
    try:
        return _DECODER.decode(text), None
    except json.JSONDecodeError as error:
        return None, f"is not JSON ({_place(text, error.pos)})"
    except _ConstantError:
        return None, f"holds a constant that is not JSON ({_locate(text, 'NaN|-?Infinity')})"
    except RecursionError:
        return None, f"is nested too deeply ({_place(text, 0)})"
    except ValueError:
        digits = f"[0-9]{{{sys.get_int_max_str_digits() + 1},}}"
        return None, f"holds a number with too many digits ({_locate(text, digits)})"


def _locate(text: str, pattern: str) -> str:
    matches = re.finditer(_OUTSIDE_STRINGS % pattern, text, re.DOTALL)
    starts = (match.start("found") for match in matches if match["found"])
    return _place(text, next(starts, 0))


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


class _ConstantError(Exception):
    """A constant that JavaScript knows and JSON does not."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def is_utf16(start: bytes) -> bool:
    """Tell whether a file of text that begins with *start* is UTF-16, with or without a mark."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    # Text of JSON begins with ASCII: one byte of each pair is zero then.
    pair = start[:2]
    return len(start) >= 4 and pair.count(0) == 1 and start[:4:2].count(0) in {0, 2}
