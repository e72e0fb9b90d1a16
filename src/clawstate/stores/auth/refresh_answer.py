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

from clawstate.clock import from_ms
from clawstate.stores.auth.credentials import OAuth

Exchange = Callable[[OAuth], Mapping[str, Any]]
"""
Asks the provider for new tokens with `credential.refresh`, and returns its answer.

That is the object of RFC 6749, section 5.1 (`access_token`, `refresh_token`, `expires_in` in
seconds) or 5.2 (`error`), or one with `access`, `refresh` and `expires` (ms since the epoch).
"""

_DEFAULT_LIFETIME = 3600.0  # seconds; RFC 6749 lets a provider leave it out
_LONGEST_LIFETIME = 10 * 365.25 * 86400
_LONGEST_TOKEN = 1 << 16
_TOKEN = re.compile(r"[\x20-\x7e]+")  # VSCHAR, RFC 6749 appendix A
_NUMBER = re.compile(r"[0-9]{1,15}")

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

    Without a new *refresh* token the old one stays in use (RFC 6749, section 6).
    """

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    expires: float


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
    """The provider answered what cannot be kept."""

    problem: str


Answer = Tokens | Refused | Silent | Unusable


def ask(exchange: Exchange, credential: OAuth, *, now: float) -> Answer:
    """Return what came of asking at *now*; no exception but `BaseException`s leaves it."""
    try:
        said: object = exchange(credential)
    except Exception as error:  # noqa: BLE001 - whatever the caller's program raises, it failed
        return _read_error(error)
    return _read(said, now)


def _read(said: object, now: float) -> Answer:
    if not isinstance(said, Mapping):
        return Unusable(f"the provider's answer is {type(said).__name__}, not an object")
    error = said.get("error")
    if error is not None:
        known = isinstance(error, str) and error in _REFUSALS
        return Refused(_refusal(error)) if known else Silent("the provider answered with an error")
    access = _first(said, "access_token", "access")
    refresh = _first(said, "refresh_token", "refresh")
    expires = _expires(said, now)
    if not _is_token(access):
        return Unusable("the provider's answer holds no usable access token")
    if refresh is not None and not _is_token(refresh):
        return Unusable("the provider's answer holds a refresh token that is no text")
    if expires is None:
        return Unusable("the provider's answer holds a lifetime that cannot be")
    return Tokens(access, refresh, expires)


def _first(said: Mapping[str, Any], *names: str) -> Any:
    return next((said[name] for name in names if said.get(name) is not None), None)


def _is_token(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TOKEN and bool(_TOKEN.fullmatch(value))


def _expires(said: Mapping[str, Any], now: float) -> float | None:
    lasts = _number(said.get("expires_in"))
    if said.get("expires_in") is None:
        ends = _number(said.get("expires"))
        lasts = _DEFAULT_LIFETIME if said.get("expires") is None else from_ms(ends) - now
    return now + lasts if 0 < lasts <= _LONGEST_LIFETIME else None


def _number(value: object) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)  # some providers write it so
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    with suppress(OverflowError):
        return float(value)
    return math.inf


def _read_error(error: Exception) -> Answer:
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
