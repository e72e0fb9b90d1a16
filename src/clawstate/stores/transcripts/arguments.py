"""What callers may give as messages, as the name of a turn and as a time, and what it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from clawstate.arguments import describe, require_whole_text
from clawstate.clock import from_iso, to_ms
from clawstate.errors import InvalidError

_FAR = 1e12  # seconds, beyond all years that a date can have
_LONGEST_NAME = 200  # characters of the name of a turn

Moment: TypeAlias = float | str | datetime
"""Seconds since the epoch, ISO 8601 text, or a `datetime`."""


def list_of_messages(messages: Any) -> list[Any]:
    """Return *messages* as a list, one message alone as well; raises `InvalidError`."""
    if not isinstance(messages, Iterable):
        problem = f"are {type(messages).__name__}, not a list of messages"
        raise InvalidError("messages", problem, "give [{'role': ..., 'content': ...}]")
    return [messages] if isinstance(messages, Mapping) else list(messages)


def require_turn_name(name: str | None) -> None:
    """Raise `InvalidError` for what is no name of a turn."""
    if name is None:
        return
    require_whole_text("turn", name)
    if not 0 < len(name) <= _LONGEST_NAME:
        hint = f"take 1 to {_LONGEST_NAME:,} characters"
        raise InvalidError("turn", "its name is empty or too long", hint)


def milliseconds(name: str, moment: Moment | None) -> int | None:
    """Return the time *moment* that was given as *name*; raises `InvalidError`."""
    if moment is None:
        return None
    if isinstance(moment, str):
        return to_ms(from_iso(moment))
    seconds = moment.timestamp() if isinstance(moment, datetime) else moment
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not abs(seconds) < _FAR:
        hint = "give seconds since the epoch, ISO text or a datetime"
        raise InvalidError(name, f"{describe(seconds)} is no moment", hint)
    return to_ms(seconds)
