"""
Entries: what was given, checked and written out as one line of a transcript.

A line is kept as it was given, with unknown members in their order; nothing is repaired.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from clawstate.arguments import describe, require_whole
from clawstate.clock import from_iso, is_moment, to_iso, to_ms
from clawstate.errors import InvalidError
from clawstate.files.json_text import dump_compact
from clawstate.records.contract import Json
from clawstate.stores.transcripts.plain_text import indexed_text

HEADER: Final = "session"
"""The type of a transcript's first line, which is no entry."""
VERSION: Final = 3
"""The version of OpenClaw's transcripts that is written."""
NEWEST: Final = 4
"""The version that OpenClaw writes since 2026.7, which is read as well: it has more types."""
MOST_BYTES: Final = 64 << 20
"""Bytes of one entry at most."""

_SESSION_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}", re.IGNORECASE | re.ASCII)
_ENTRY_ID = re.compile(r"[!-~]{1,128}")
# An answer of a model may consist of calls of tools alone, and then has no content.
_MUST_SAY = {"user", "system"}


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One entry as it will be kept: its *value* as given, and the JSON texts of its *members*.

    *id* None is still to be given; so is the parent of one that is *loose*.
    """

    id: str | None
    parent: str | None
    loose: bool
    kind: str
    role: str | None
    timestamp_ms: int
    words: str
    value: Mapping[str, Any]
    members: Mapping[str, str]
    raw: str | None = None

    @property
    def line(self) -> str:
        """The entry as a line; raises `InvalidError` for one that is too long."""
        if self.raw is not None:
            return self.raw
        members = {
            **self.members,
            "id": dump_compact(self.id),
            "parentId": dump_compact(self.parent),
        }
        line = "{" + ",".join(f"{_name_text(name)}:{text}" for name, text in members.items()) + "}"
        require_size(line)
        return line

    @property
    def size(self) -> int:
        """How many characters it has, about."""
        return sum(map(len, self.members.values())) if self.raw is None else len(self.raw)

    def with_place(self, entry_id: str, parent: str | None) -> Entry:
        """Return the entry with an id, and with *parent* if it is loose."""
        return replace(self, id=entry_id, parent=parent if self.loose else self.parent)


def require_session_id(session_id: str) -> str:
    """Return *session_id*; raises `InvalidError` for one that OpenClaw would not take."""
    if isinstance(session_id, str) and _SESSION_ID.fullmatch(session_id):
        return session_id
    hint = "take 1 to 128 of letters, digits, '.', '_' and '-', a letter or digit first"
    if isinstance(session_id, str) and ":" in session_id:
        hint = "if it is the key of a session, its id is sessions.resolve(key).session_id"
    raise InvalidError("session id", f"{describe(session_id)} cannot be one", hint)


def require_size(line: str) -> None:
    """Refuse a line of more than 64 MiB."""
    if len(line) > MOST_BYTES or len(line.encode()) > MOST_BYTES:
        hint = "keep large data in a file, and its name in the message"
        raise InvalidError("message", f"is larger than {MOST_BYTES >> 20} MiB", hint)


def new_id() -> str:
    """Return eight hexadecimal digits, as OpenClaw names entries."""
    # 32 bits, unique within a session only: who asks for one looks whether it is taken.
    return secrets.token_hex(4)


def entries_of(given: Sequence[Mapping[str, Any]], *, now: float) -> list[Entry]:
    """Return the entries of a turn; raises `InvalidError` that names the wrong one by number."""
    entries = []
    for number, each in enumerate(given, start=1):
        try:
            entries.append(entry_of(each, now=now))
        except InvalidError as error:
            where = error.name.removeprefix("message") if error.name.startswith("message.") else ""
            name = error.name if len(given) == 1 else f"message {number} of {len(given)}{where}"
            # Without the first one: it is the same error, under a name that says less.
            raise InvalidError(name, error.problem, error.hint) from None
    return entries


def entry_of(given: Mapping[str, Any], *, now: float) -> Entry:
    """
    Return the entry that *given* is: a message with a `role`, or an entry with a `type`.

    Raises `InvalidError` for anything else.
    """
    if not isinstance(given, Mapping):
        raise InvalidError("message", "is no object", "give {'role': ..., 'content': ...}")
    require_whole("message", dict(given))
    if "role" in given:
        return _entry({"type": "message", "timestamp": to_iso(now), "message": given}, now)
    return _entry(given if "timestamp" in given else {**given, "timestamp": to_iso(now)}, now)


def entry_read(value: Json, line: str, *, now: float) -> Entry:
    """Return the entry *value* that was read from *line*, which is kept as it is."""
    if not isinstance(value, dict):
        raise InvalidError("line", "is no JSON object")
    require_size(line)
    # Only a line that needs nothing added is kept byte by byte.
    is_whole = "id" in value and "parentId" in value
    return _entry(value, now, raw=line if is_whole else None)


def header_of(session_id: str, *, now: float, cwd: str, parent: str | None = None) -> str:
    """Return the first line of the transcript of *session_id*."""
    header: dict[str, Json] = {
        "type": HEADER,
        "version": VERSION,
        "id": session_id,
        "timestamp": to_iso(now),
        "cwd": cwd,
    }
    return dump_compact(header if parent is None else {**header, "parentSession": parent})


def _entry(value: Mapping[str, Any], now: float, *, raw: str | None = None) -> Entry:
    kind = value.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidError("message", "has neither a role nor a type", "give it a 'role'")
    if kind == HEADER:
        raise InvalidError("message", "is the header of a transcript", "import it instead")
    role = _role(value.get("message")) if kind == "message" else None
    # A null says that the entry begins the tree; a missing member, that the caller leaves it to us.
    loose = "parentId" not in value
    texts = (
        {} if raw else {name: dump_compact(each) for name, each in _order_members(value).items()}
    )
    return Entry(
        id=_id(value["id"], "id") if "id" in value else None,
        parent=None if value.get("parentId") is None else _id(value["parentId"], "parentId"),
        loose=loose,
        kind=kind,
        role=role,
        timestamp_ms=to_ms(_moment(value, now)),
        words=indexed_text(value),
        value=value,
        members=texts,
        raw=raw,
    )


@lru_cache(maxsize=64)
def _name_text(name: str) -> str:
    """Return the name of a member as JSON; nearly all entries have the same few."""
    return dump_compact(name)


def _order_members(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members of *value*, with places for those that are still to be given."""
    if "id" in value and "parentId" in value:
        return value
    first = {"type": value["type"], "id": value.get("id"), "parentId": value.get("parentId")}
    return {**first, **value}


def _role(message: Json) -> str:
    if not isinstance(message, Mapping):
        raise InvalidError("message", "has no object 'message'", "give it a role and content")
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise InvalidError("message", "has no role", "give it one, such as 'user'")
    content = message.get("content")
    if not isinstance(content, str | list | None) or (content is None and role in _MUST_SAY):
        problem = "has a content that is neither text nor a list of parts"
        raise InvalidError("message", problem, "give text or a list")
    return role


def _id(value: Json, name: str) -> str:
    if isinstance(value, str) and _ENTRY_ID.fullmatch(value):
        return value
    hint = "take up to 128 letters, digits and signs of ASCII"
    raise InvalidError(name, "is no id of an entry", hint)


def _moment(value: Mapping[str, Any], now: float) -> float:
    inner = value.get("message")
    said = inner.get("timestamp") if isinstance(inner, Mapping) else None
    # A time that cannot be is no reason to lose what was said; time orders nothing here.
    moments = (_seconds(each) for each in (value.get("timestamp"), said))
    return next((each for each in moments if each is not None), now)


def _seconds(value: Json) -> float | None:
    try:
        if isinstance(value, str):
            seconds = from_iso(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000
        else:
            return None
    except (InvalidError, OverflowError):
        return None
    return seconds if is_moment(seconds) else None
