"""The JSON form of what changed between two moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from clawstate.memory.moves import MemoryChange, MemorySpan, MoveKind
from clawstate.stores.sessions.past_entries import SessionChange, SessionMove
from clawstate.wire.members import Members, times
from clawstate.wire.memory import read_record, write_record
from clawstate.wire.sessions import read_entry, write_entry

if TYPE_CHECKING:
    from clawstate.state.timeline import TimelineChange, TimelineSpan


def write_change(change: TimelineChange) -> dict[str, Any]:
    """Return *change*."""
    return {
        **times(at=change.at),
        "part": change.part,
        "kind": change.kind,
        "name": change.name,
        "by": change.by,
        "before": change.before,
        "after": change.after,
        "changed": list(change.changed),
        "count": change.count,
        "number": change.number,
    }


def write_span(span: TimelineSpan) -> dict[str, Any]:
    """Return *span*."""
    return {
        **times(begin=span.begin, end=span.end),
        **_counts(span),
        "settings": span.settings,
        "said": span.said,
        "records": span.records,
        "sessions": span.sessions,
        "messages": span.messages,
        "bytes": span.bytes,
    }


def write_memory_span(span: MemorySpan) -> dict[str, Any]:
    """Return *span*."""
    return {**_counts(span), "records": span.records, "bytes": span.bytes}


def read_memory_span(document: Any) -> MemorySpan:
    """Return the span of *document*."""
    told = Members(document, "span")
    return MemorySpan(*(told.integer(each) for each in (*_KINDS, "records", "bytes")))


def write_memory_change(change: MemoryChange) -> dict[str, Any]:
    """Return *change*, with the records before and after it."""
    return {
        **times(at=change.at),
        "kind": change.kind,
        "recordId": change.record_id,
        "before": None if change.before is None else write_record(change.before),
        "after": None if change.after is None else write_record(change.after),
        "successors": list(change.successors),
        "count": change.count,
        "number": change.number,
    }


def read_memory_change(document: Any) -> MemoryChange:
    """Return the change of *document*."""
    told = Members(document, "change")
    before, after = told.maybe_mapping("before"), told.maybe_mapping("after")
    return MemoryChange(
        told.moment("at"),
        cast("MoveKind", told.text("kind")),
        told.maybe_text("recordId"),
        None if before is None else read_record(before),
        None if after is None else read_record(after),
        told.texts("successors"),
        told.integer("count"),
        told.maybe_integer("number"),
    )


def write_session_change(change: SessionChange) -> dict[str, Any]:
    """Return *change*, with the entries before and after it."""
    return {
        **times(at=change.at),
        "kind": change.kind,
        "sessionKey": change.session_key,
        "sessionId": change.session_id,
        "before": None if change.before is None else write_entry(change.before),
        "after": None if change.after is None else write_entry(change.after),
        "changed": list(change.changed),
    }


def read_session_change(document: Any) -> SessionChange:
    """Return the change of *document*."""
    told = Members(document, "change")
    before, after = told.maybe_mapping("before"), told.maybe_mapping("after")
    return SessionChange(
        told.moment("at"),
        cast("SessionMove", told.text("kind")),
        told.text("sessionKey"),
        told.text("sessionId"),
        None if before is None else read_entry(before),
        None if after is None else read_entry(after),
        told.texts("changed"),
    )


_KINDS = ("added", "updated", "superseded", "archived", "forgotten")


def _counts(span: TimelineSpan | MemorySpan) -> dict[str, int]:
    return {each: getattr(span, each) for each in _KINDS}
