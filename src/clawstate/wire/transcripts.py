"""The JSON form of transcripts: messages, what a search found, what an import did."""

from __future__ import annotations

import json
from typing import Any

from clawstate.clock import to_iso
from clawstate.stores.transcripts.values import (
    MESSAGE,
    Message,
    TranscriptHit,
    TranscriptImport,
    TranscriptInfo,
    TranscriptProblem,
)
from clawstate.wire.members import Members, beside, times

_ENTRY = ("id", "parentId", "type", "timestamp")
_PLACE = (*_ENTRY, "timestampMs")


def write_message(message: Message) -> dict[str, Any]:
    """Return *message*: its place, and all that was said."""
    return _message_document(message, {})


def read_message(document: Any, *, session_id: str = "") -> Message:
    """Return the message of *document*; its position is not in the form, and 0."""
    told = Members(document, "message")
    said = told.foreign(*_PLACE)
    kind, parent = told.text("type"), told.maybe_text("parentId")
    moment = told.moment("timestamp")
    # Built again in the order in which OpenClaw writes an entry.
    entry = {"type": kind, "id": told.text("id"), "parentId": parent, "timestamp": to_iso(moment)}
    is_said = kind == MESSAGE
    role = said.get("role") if is_said else ""
    return Message(
        session_id,
        told.text("id"),
        parent,
        kind,
        role if isinstance(role, str) else "",
        moment,
        0,
        {**entry, MESSAGE: said} if is_said else {**entry, **said},
    )


def write_found(found: TranscriptHit) -> dict[str, Any]:
    """Return *found*: the message, its score to four places, and the telling part of its text."""
    own = {
        "sessionId": found.message.session_id,
        "score": round(found.score, 4),
        "snippet": found.snippet.encode(errors="replace").decode(),
    }
    return _message_document(found.message, own)


def read_found(document: Any) -> TranscriptHit:
    """Return the hit of *document*; the form does not say where words stand in the snippet."""
    told = Members(document, "result")
    message = told.others("sessionId", "score", "snippet")
    session_id = told.text("sessionId")
    found = read_message(message, session_id=session_id)
    return TranscriptHit(found, told.number("score"), told.text("snippet"))


def write_info(info: TranscriptInfo) -> dict[str, Any]:
    """Return the counts and times of one session, or `None`."""
    return {
        "sessionId": info.session_id,
        "count": info.count,
        "bytes": info.size,
        "leaf": info.leaf,
        **times(createdAt=info.created_at, updatedAt=info.updated_at),
    }


def read_info(document: Any) -> TranscriptInfo:
    """Return the counts and times that *document* gives of a session."""
    told = Members(document, "session")
    return TranscriptInfo(
        told.text("sessionId"),
        told.integer("count"),
        told.integer("bytes"),
        told.maybe_text("leaf"),
        told.moment("createdAt"),
        told.moment("updatedAt"),
    )


def write_problem(problem: TranscriptProblem) -> dict[str, Any]:
    """Return which line was passed over, and why."""
    return {"line": problem.line, "message": problem.message}


def read_problem(document: Any) -> TranscriptProblem:
    """Return the problem of *document*."""
    told = Members(document, "problem")
    return TranscriptProblem(told.integer("line"), told.text("message"))


def write_line_import(done: TranscriptImport) -> dict[str, Any]:
    """Return what an import of lines did."""
    problems = [write_problem(each) for each in done.problems]
    return {"added": done.added, "kept": done.kept, "problems": problems}


def read_line_import(document: Any) -> TranscriptImport:
    """Return what *document* says an import did."""
    told = Members(document, "import")
    problems = tuple(map(read_problem, told.items("problems")))
    return TranscriptImport(told.integer("added"), told.integer("kept"), problems)


def _message_document(message: Message, own: dict[str, Any]) -> dict[str, Any]:
    """Return *own* members, the place of *message*, and all that was said."""
    place = {
        "id": message.id,
        "parentId": message.parent,
        "type": message.kind,
        "timestamp": to_iso(message.timestamp),
        **times(timestamp=message.timestamp),
    }
    said = dict(message.body)
    if message.body is message.entry:  # its place is told already
        said = {name: each for name, each in said.items() if name not in _ENTRY}
    return _encodable(beside({**own, **place}, said))


def _encodable(document: dict[str, Any]) -> dict[str, Any]:
    """Return *document* as it can be sent: half of a surrogate pair has no UTF-8."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Only what cannot be sent is replaced: escaped, each reader would have to deal with it
        # again.
        document = json.loads(text.encode(errors="replace"))
    return document
