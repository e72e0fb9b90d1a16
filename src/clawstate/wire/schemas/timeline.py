"""What changed between two moments."""

from __future__ import annotations

from typing_extensions import TypedDict


class TimelineChange(TypedDict):
    """One change of a part of the state; of what was forgotten nothing but that it was."""

    atMs: int
    part: str
    kind: str
    name: str
    by: str | None
    before: str | None
    after: str | None
    changed: list[str]
    count: int
    number: int | None


class TimelineSpan(TypedDict):
    """What happened in a span of time, and how much there was at its end."""

    beginMs: int
    endMs: int
    added: int
    updated: int
    superseded: int
    archived: int
    forgotten: int
    settings: int
    said: int
    records: int
    sessions: int
    messages: int
    bytes: int
