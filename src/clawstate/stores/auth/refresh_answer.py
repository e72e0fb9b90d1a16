"""
What a provider answered to a request for new tokens: tokens, a refusal, or nothing usable.

Any answer becomes JSON first, without being refused: what JSON cannot hold is left out. Then it is
interpreted. Of an answer or an exception only names and numbers are repeated that hold no secret.
"""

from __future__ import annotations

import json
import math
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Number
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from clawstate.clock import to_ms
from clawstate.errors import InvalidError
from clawstate.files.json_text import dump_compact
from clawstate.records.contract import Json
from clawstate.stores.auth.codec import any_moment_of
from clawstate.stores.auth.credentials import OAuth

Exchange = Callable[[OAuth], Mapping[str, Any]]
"""
Asks the provider for new tokens with `credential.refresh`, and returns its answer.

That is the object of RFC 6749, section 5.1 (`access_token`, `refresh_token`, `expires_in` in
seconds) or 5.2 (`error`), or one with `access`, `refresh` and `expires` (ms since the epoch).
"""

UNKNOWN_LIFETIME = 3600.0
"""
Seconds for which an access token is used whose lifetime is not known.

RFC 6749, section 5.1, lets a provider leave it out; an impossible one counts as left out.
"""

ACCESS: Final = ("access_token", "access", "accessToken")
REFRESH: Final = ("refresh_token", "refresh", "refreshToken")
LASTS: Final = ("expires_in", "expiresIn")
ENDS: Final = ("expires", "expires_at", "expiresAt", "expiry")
_NAMES = (*ACCESS, *REFRESH, *LASTS, *ENDS, "error", "error_description", "scope", "token_type")

_DEEPEST = 8
_MOST = 1 << 18  # bytes that are kept of an answer with other members than these
_FORM = re.compile(r"[\w.~%+-]+=[^\s<>{}\"]*")
_MOST_INTEGER = 2**63

_LONGEST_LIFETIME = 10 * 365.25 * 86400
_LONGEST_TOKEN = 1 << 16
_TOKEN = re.compile(r"[\x20-\x7e]+")  # VSCHAR, RFC 6749 appendix A
_NUMBER = re.compile(r"\s*[0-9]{1,15}(\.[0-9]{0,15})?\s*")

# RFC 6749, section 5.2: the same request will be refused again.
_REFUSALS = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
_REFUSING_STATUS = frozenset({400, 401})

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Tokens:
    """
    New tokens, and when the first of them ends; in seconds since the epoch.

    Without a new *refresh* token the old one stays in use (RFC 6749, section 6); without an
    *access* token the new refresh token is all that is good of the answer. With *doubtful* the
    answer holds something in the place of a token that cannot be one.
    """

    access: str | None = field(repr=False)
    refresh: str | None = field(repr=False)
    expires: float
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider said that it will never accept this refresh token again."""

    problem: str


@dataclass(frozen=True, slots=True)
class Silent:
    """There was no answer, or one that says nothing about the refresh token."""

    problem: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """The provider's answer holds no token."""

    problem: str


NoTokens = Refused | Silent | Unusable
Answer = Tokens | NoTokens


class Reply:
    """What an exchange gave: an answer, which no representation shows, or a *failure*."""

    def __init__(self) -> None:
        self.failure: NoTokens | None = None
        self.is_journalled = False
        self._answer: object = _NOTHING

    @property
    def has_answer(self) -> bool:
        """Whether there is an answer."""
        return self._answer is not _NOTHING

    @property
    def answer(self) -> Json:
        """The answer as JSON."""
        return to_json(self._answer) if self.has_answer else None

    def ask(self, exchange: Exchange, credential: OAuth) -> None:
        """Call *exchange*; an `Exception` becomes the failure, unless it carries the answer."""
        try:
            self._answer = exchange(credential)
        except Exception as error:  # noqa: BLE001 - whatever the caller's program raises, it failed
            found = answer_in(error)
            if found is None:
                self.failure = _read_error(error)
            else:
                self._answer = found


def interpret(answer: Json, now: float) -> Answer:
    """
    Return what the *answer* of a provider means that came at *now* (seconds since the epoch).

    A well-formed token is taken whatever stands beside it, since it may be the only one there is:
    an impossible lifetime counts as unknown, and an error beside an access token is ignored.
    """
    objects = [*objects_in(answer)]
    if not objects:
        return Unusable(f"the provider's answer is {_kind(answer)}, not an object")
    found = next((each for each in objects if _token(each, ACCESS)), objects[0])
    access, refresh = _token(found, ACCESS), _token(found, REFRESH)
    error = found.get("error")
    if access is None and error is not None:
        known = isinstance(error, str) and error in _REFUSALS
        return Refused(_refusal(error)) if known else Silent("the provider answered with an error")
    if access is None and refresh is None:
        return Unusable("the provider's answer holds no usable access token")
    doubtful = any(
        token is None and any(found.get(name) is not None for name in names)
        for token, names in ((access, ACCESS), (refresh, REFRESH))
    )
    return Tokens(access, refresh, _expires(found, now), doubtful)


def _kind(answer: Json) -> str:
    kinds = {str: "text", list: "a list", type(None): "empty", bool: "a truth value"}
    return kinds.get(type(answer), "a number")


def _token(answer: Mapping[str, Json], names: tuple[str, ...]) -> str | None:
    # Blanks around a token come from the file or program it was read from.
    found = (_strip(answer.get(name)) for name in names)
    return next((each for each in found if _is_token(each)), None)


def _strip(value: Json) -> Json:
    return value.strip() if isinstance(value, str) else value


def _is_token(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TOKEN and bool(_TOKEN.fullmatch(value))


def _expires(answer: Mapping[str, Json], now: float) -> float:
    ends = [now + _number(answer.get(name)) for name in LASTS]
    ends += [any_moment_of(answer.get(name)) or math.nan for name in ENDS]
    known = (each for each in ends if 0 < each - now <= _LONGEST_LIFETIME)
    return next(known, now + UNKNOWN_LIFETIME)


def _number(value: object) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)  # some providers send the number as text
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)


def _read_error(error: Exception) -> NoTokens:
    code = getattr(error, "error", None)
    if isinstance(code, str) and code in _REFUSALS:
        return Refused(_refusal(code))
    if _mentions_refusal(error):
        return Refused(_refusal("invalid_grant"))
    status = _status(error)
    if status in _REFUSING_STATUS:
        return Refused(_refusal(f"status {status}"))
    told = f"status {status}" if status is not None else type(error).__name__
    return Silent(f"the provider could not be asked ({told}{_place(error)})")


def _refusal(reason: str) -> str:
    return f"the provider refused its refresh token ({reason})"


def _mentions_refusal(error: Exception) -> bool:
    with suppress(Exception):
        return "invalid_grant" in str(error)
    return False


def _status(error: Exception) -> int | None:
    """Return the HTTP status that *error* carries, under the names that clients give it."""
    carriers = (error, getattr(error, "response", None))
    for carrier in carriers:
        for name in ("status_code", "status", "code"):
            found = getattr(carrier, name, None)
            if isinstance(found, int) and 100 <= found <= 599:
                return found
    return None


def _place(error: Exception) -> str:
    steps = [*traceback.walk_tb(error.__traceback__)]
    if len(steps) < 2:
        return ""
    frame, line = steps[-1]
    return f" at {Path(frame.f_code.co_filename).name}:{line}"


def to_json(answer: object) -> Json:
    """
    Return *answer* as JSON, with as much of it as JSON can hold.

    Text may be JSON itself, or a form as in a URL; an object is read by the names of its
    attributes. Of a very large answer only the members stay that can matter.
    """
    found = _to_json(answer, 0)
    with suppress(InvalidError):
        if len(dump_compact(found)) <= _MOST:
            return found
    if isinstance(found, dict):
        return {name: found[name] for name in _NAMES if name in found}
    return found[:_MOST] if isinstance(found, str) else None


def answer_in(error: BaseException) -> Json:
    """
    Return the answer that *error* carries, or `None`.

    Clients raise though the provider gave tokens: when the scope differs from the one requested, or
    when there is unexpected text before the JSON.
    """
    for name in ("token", "doc"):
        with suppress(Exception):
            found = getattr(error, name, None)
            if isinstance(found, Mapping | str | bytes):
                made = to_json(found)
                if isinstance(made, dict) and any(made.get(each) for each in (*ACCESS, *REFRESH)):
                    return made
    return None


def may_hold_token(value: Json) -> bool:
    """Tell whether *value* holds any text, in which a person could look for a token."""
    return any(text.strip() for text in _texts(value))


def objects_in(value: Json, depth: int = 0) -> Iterator[Mapping[str, Json]]:
    """Yield *value* if it is an object, and all objects in it, the outer ones first."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner if depth < _DEEPEST else ():
        yield from objects_in(each, depth + 1)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _to_json(value: object, depth: int) -> Json:
    if depth > _DEEPEST:
        return None
    for kinds, convert in _CONVERTERS:
        if isinstance(value, kinds):
            with suppress(Exception):  # a member whose class raises is left out, the rest stays
                return convert(value, depth)
            return None
    return _from_attributes(value, depth) if depth < 2 else None


def _from_number(value: Any, _depth: int) -> Json:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool) or abs(value) < _MOST_INTEGER else None


def _from_bytes(value: Any, depth: int) -> Json:
    return _from_text(bytes(value).decode("utf-8-sig", "replace"), depth)


def _from_text(value: str, depth: int) -> Json:
    if depth:
        return value
    text = value.removeprefix("\ufeff").strip()
    with suppress(ValueError, RecursionError):
        return _to_json(json.loads(text), 1)
    if _FORM.fullmatch(text):
        return dict(parse_qsl(text))
    return value


def _from_object(value: Mapping[Any, Any], depth: int) -> Json:
    made: dict[str, Json] = {}
    for name in value:
        with suppress(Exception):
            made[str(name)] = _to_json(value[name], depth + 1)
    return made


def _from_array(value: Any, depth: int) -> Json:
    if callable(named := getattr(value, "_asdict", None)):  # a named tuple
        return _from_object(named(), depth)
    return [_to_json(each, depth + 1) for each in value]


def _from_credential(value: OAuth, _depth: int) -> Json:
    ends = None if value.expires is None else to_ms(value.expires)
    return {"access": value.access, "refresh": value.refresh, "expires": ends}


def _from_attributes(response: object, depth: int) -> Json:
    with suppress(Exception):
        if hasattr(response, "isoformat"):
            return str(response.isoformat())
    found: dict[str, Json] = {}
    for name in _NAMES:
        with suppress(Exception):
            value = getattr(response, name, None)
            if value is not None and not callable(value):
                found[name] = _to_json(value, depth + 1)
    if found:
        return found
    with suppress(Exception):
        read = getattr(response, "json", None)  # as clients of HTTP have it
        return _to_json(read(), depth + 1) if callable(read) else None
    return None


_CONVERTERS: Final[tuple[tuple[Any, Callable[[Any, int], Json]], ...]] = (
    (type(None), lambda _value, _depth: None),
    (str, _from_text),
    ((bytes, bytearray, memoryview), _from_bytes),
    ((int, float), _from_number),
    (Number, lambda value, _depth: _from_number(float(value), 0)),
    (OAuth, _from_credential),
    (Mapping, _from_object),
    ((list, tuple), _from_array),
)
