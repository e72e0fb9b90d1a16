"""
What came of asking a provider for new tokens: tokens, a refusal, or no usable answer.

Nothing of an answer or of an exception is repeated but names and numbers that can hold no secret.
"""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawstate.records.contract import Json
from clawstate.stores.auth.credentials import OAuth
from clawstate.stores.auth.moments import any_moment_of
from clawstate.stores.auth.refresh_said import (
    ACCESS,
    ENDS,
    LASTS,
    REFRESH,
    carried_by,
    objects_in,
    plain,
)

Exchange = Callable[[OAuth], Mapping[str, Any]]
"""
Asks the provider for new tokens with `credential.refresh`, and returns its answer.

That is the object of RFC 6749, section 5.1 (`access_token`, `refresh_token`, `expires_in` in
seconds) or 5.2 (`error`), or one with `access`, `refresh` and `expires` (ms since the epoch).
"""

UNKNOWN_LIFETIME = 3600.0
"""
Seconds for which an access token is used whose lifetime is not known.

RFC 6749, section 5.1, lets a provider leave it out; one that no token can have says as little.
"""

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
    """There was no answer, or one that says nothing of the token."""

    problem: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """The provider answered something in which no token is found."""

    problem: str


NoTokens = Refused | Silent | Unusable
Answer = Tokens | NoTokens

_NOTHING = object()


class Heard:
    """What came of asking: an answer, of which nothing is shown, or the *failure* it ended with."""

    def __init__(self) -> None:
        self.failure: NoTokens | None = None
        self.is_kept = False
        self._answer: object = _NOTHING

    @property
    def came(self) -> bool:
        """Whether there is an answer."""
        return self._answer is not _NOTHING

    @property
    def said(self) -> Json:
        """The answer as plain JSON."""
        return plain(self._answer) if self.came else None

    def ask(self, exchange: Exchange, credential: OAuth) -> None:
        """Ask; no exception but `BaseException`s leaves it."""
        try:
            self._answer = exchange(credential)
        except Exception as error:  # noqa: BLE001 - whatever the caller's program raises, it failed
            found = carried_by(error)
            if found is None:
                self.failure = _read_error(error)
            else:
                self._answer = found


def judged(said: Json, now: float) -> Answer:
    """
    Return what the provider *said* at *now* means.

    A token that can be one is taken whatever else is said: a lifetime that cannot be is unknown,
    and an error beside an access token counts for nothing.
    """
    objects = [*objects_in(said)]
    if not objects:
        return Unusable(f"the provider's answer is {_kind(said)}, not an object")
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


def _kind(said: Json) -> str:
    kinds = {str: "text", list: "a list", type(None): "empty", bool: "a truth value"}
    return kinds.get(type(said), "a number")


def _token(said: Mapping[str, Json], names: tuple[str, ...]) -> str | None:
    # What stands around a token comes of a file or a program that it was read from.
    found = (_stripped(said.get(name)) for name in names)
    return next((each for each in found if _is_token(each)), None)


def _stripped(value: Json) -> Json:
    return value.strip() if isinstance(value, str) else value


def _is_token(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TOKEN and bool(_TOKEN.fullmatch(value))


def _expires(said: Mapping[str, Json], now: float) -> float:
    ends = [now + _number(said.get(name)) for name in LASTS]
    ends += [any_moment_of(said.get(name)) or math.nan for name in ENDS]
    known = (each for each in ends if 0 < each - now <= _LONGEST_LIFETIME)
    return next(known, now + UNKNOWN_LIFETIME)


def _number(value: object) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)  # some providers write it so
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
