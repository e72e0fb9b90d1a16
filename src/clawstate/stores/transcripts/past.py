"""`page_at`: the messages of a session that were there at a moment."""

from __future__ import annotations

from clawstate.stores.transcripts.contract import TranscriptLog
from clawstate.stores.transcripts.values import Message

_AT_ONCE = 500


def page_at(
    log: TranscriptLog,
    session_id: str,
    end: float,
    *,
    limit: int | None,
    before: str | None,
    after: str | None,
) -> list[Message]:
    """Return a page as `Transcripts.messages` does, of messages whose time is at most *end* (s)."""
    is_forward = after is not None
    found: list[Message] = []
    # Read in pages, as those of later may be many, and stand anywhere.
    while limit is None or len(found) < limit:
        each = log.page(session_id, after=after, before=before, limit=_AT_ONCE)
        there = [message for message in each if message.timestamp <= end]
        found = [*found, *there] if is_forward else [*there, *found]
        if len(each) < _AT_ONCE:
            break
        if is_forward:
            after = each[-1].id
        else:
            before = each[0].id
    if limit is None:
        return found
    return found[:limit] if is_forward else found[-limit:]
