"""The JSON form of what was captured, of what waits for a person, and of what was recalled."""

from __future__ import annotations

from typing import Any

from clawstate.errors import InvalidError
from clawstate.memory.capture.values import ORIGINS, Captured, InboxItem, Provenance, Recall
from clawstate.wire.members import Members, times
from clawstate.wire.memory import read_hit, write_hit


def write_captured(captured: Captured) -> dict[str, Any]:
    """Return what became of messages."""
    return {
        "records": list(captured.records),
        "inbox": list(captured.inbox),
        "skipped": dict(captured.skipped),
    }


def write_provenance(provenance: Provenance) -> dict[str, Any]:
    """Return where a text was said."""
    return {
        "who": provenance.who,
        "session": provenance.session,
        "message": provenance.message,
        "origin": provenance.origin,
    }


def read_provenance(document: Any) -> Provenance:
    """Return the provenance of *document*."""
    told = Members(document, "provenance")
    origin = told.text("origin")
    if origin not in ORIGINS:
        hint = f"use one of {', '.join(ORIGINS)}"
        raise InvalidError("provenance.origin", "is none", hint)
    texts = (told.text("who"), told.text("session"), told.text("message"))
    return Provenance(*texts, origin)


def write_inbox_item(item: InboxItem) -> dict[str, Any]:
    """Return an item that waits for a person."""
    return {
        "id": item.id,
        "text": item.text,
        "reason": item.reason,
        "category": item.category,
        "importance": item.importance,
        "namespace": item.namespace,
        "provenance": write_provenance(item.provenance),
        **times(createdAt=item.created_at),
    }


def read_inbox_item(document: Any) -> InboxItem:
    """Return the item of *document*."""
    told = Members(document, "item")
    return InboxItem(
        told.text("id"),
        told.text("text"),
        told.text("reason"),
        told.text("category"),
        told.number("importance"),
        told.text("namespace"),
        read_provenance(document.get("provenance")),
        told.moment("createdAt"),
    )


def write_recall(recall: Recall) -> dict[str, Any]:
    """Return what was recalled."""
    return {
        "text": recall.text,
        "hits": [write_hit(each) for each in recall.hits],
        "tokens": recall.tokens,
        "leftOut": recall.left_out,
    }


def read_recall(document: Any) -> Recall:
    """Return the recall of *document*."""
    told = Members(document, "recall")
    hits = document.get("hits")
    if not isinstance(hits, list):
        raise InvalidError("recall.hits", "is no list")
    text, tokens = told.text("text"), told.integer("tokens")
    return Recall(text, tuple(map(read_hit, hits)), tokens, told.integer("leftOut"))
