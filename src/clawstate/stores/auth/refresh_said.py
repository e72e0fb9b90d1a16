"""
What a provider said, as plain JSON, before anybody judges it.

Nothing here refuses: what JSON cannot hold is left out, and the rest is kept.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from numbers import Number
from typing import Any, Final
from urllib.parse import parse_qsl

from clawstate.clock import to_ms
from clawstate.errors import InvalidError
from clawstate.files.json_text import dump_compact
from clawstate.records.contract import Json
from clawstate.stores.auth.credentials import OAuth

ACCESS: Final = ("access_token", "access", "accessToken")
REFRESH: Final = ("refresh_token", "refresh", "refreshToken")
LASTS: Final = ("expires_in", "expiresIn")
ENDS: Final = ("expires", "expires_at", "expiresAt", "expiry")
_NAMES = (*ACCESS, *REFRESH, *LASTS, *ENDS, "error", "error_description", "scope", "token_type")

_DEEPEST = 8
_MOST = 1 << 18  # bytes that are kept of an answer with other members than these
_FORM = re.compile(r"[\w.~%+-]+=[^\s<>{}\"]*")
_MOST_INTEGER = 2**63


def plain(said: object) -> Json:
    """
    Return *said* as JSON, with as much of it as JSON can hold.

    Text may be JSON itself, or a form as in a URL; an object is read by the names of its
    attributes. Of what is very large only the members stay that an answer can need.
    """
    found = _plain(said, 0)
    with suppress(InvalidError):
        if len(dump_compact(found)) <= _MOST:
            return found
    if isinstance(found, dict):
        return {name: found[name] for name in _NAMES if name in found}
    return found[:_MOST] if isinstance(found, str) else None


def carried_by(error: BaseException) -> Json:
    """
    Return the answer that *error* carries, or `None`.

    Clients raise though the provider gave tokens: for a scope that differs, or for text before the
    JSON that they did not expect.
    """
    for name in ("token", "doc"):
        with suppress(Exception):
            found = getattr(error, name, None)
            if isinstance(found, Mapping | str | bytes):
                made = plain(found)
                if isinstance(made, dict) and any(made.get(each) for each in (*ACCESS, *REFRESH)):
                    return made
    return None


def may_hold_token(said: Json) -> bool:
    """Tell whether there is any text in *said*, in which a person could look for a token."""
    return any(text.strip() for text in _texts(said))


def objects_in(said: Json, depth: int = 0) -> Iterator[Mapping[str, Json]]:
    """Yield the object *said*, and those in it, the outer ones first."""
    if isinstance(said, dict):
        yield said
    inner = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
    for each in inner if depth < _DEEPEST else ():
        yield from objects_in(each, depth + 1)


def _texts(said: Json) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict | list):
        for each in said.values() if isinstance(said, dict) else said:
            yield from _texts(each)


def _plain(said: object, depth: int) -> Json:
    if depth > _DEEPEST:
        return None
    for kinds, convert in _CONVERTERS:
        if isinstance(said, kinds):
            with suppress(Exception):  # whatever a caller's class raises, the rest is kept
                return convert(said, depth)
            return None
    return _attributes(said, depth) if depth < 2 else None


def _number(said: Any, _depth: int) -> Json:
    if isinstance(said, float):
        return said if math.isfinite(said) else None
    return said if isinstance(said, bool) or abs(said) < _MOST_INTEGER else None


def _bytes(said: Any, depth: int) -> Json:
    return _text(bytes(said).decode("utf-8-sig", "replace"), depth)


def _text(said: str, depth: int) -> Json:
    if depth:
        return said
    text = said.removeprefix("\ufeff").strip()
    with suppress(ValueError, RecursionError):
        return _plain(json.loads(text), 1)
    if _FORM.fullmatch(text):
        return dict(parse_qsl(text))
    return said


def _object(said: Mapping[Any, Any], depth: int) -> Json:
    made: dict[str, Json] = {}
    for name in said:
        with suppress(Exception):
            made[str(name)] = _plain(said[name], depth + 1)
    return made


def _array(said: Any, depth: int) -> Json:
    if callable(named := getattr(said, "_asdict", None)):  # a named tuple
        return _object(named(), depth)
    return [_plain(each, depth + 1) for each in said]


def _credential(said: OAuth, _depth: int) -> Json:
    ends = None if said.expires is None else to_ms(said.expires)
    return {"access": said.access, "refresh": said.refresh, "expires": ends}


def _attributes(said: object, depth: int) -> Json:
    with suppress(Exception):
        if hasattr(said, "isoformat"):
            return str(said.isoformat())
    found: dict[str, Json] = {}
    for name in _NAMES:
        with suppress(Exception):
            value = getattr(said, name, None)
            if value is not None and not callable(value):
                found[name] = _plain(value, depth + 1)
    if found:
        return found
    with suppress(Exception):
        read = getattr(said, "json", None)  # the response of a client, as it came
        return _plain(read(), depth + 1) if callable(read) else None
    return None


_CONVERTERS: Final[tuple[tuple[Any, Callable[[Any, int], Json]], ...]] = (
    (type(None), lambda _said, _depth: None),
    (str, _text),
    ((bytes, bytearray, memoryview), _bytes),
    ((int, float), _number),
    (Number, lambda said, _depth: _number(float(said), 0)),
    (OAuth, _credential),
    (Mapping, _object),
    ((list, tuple), _array),
)
