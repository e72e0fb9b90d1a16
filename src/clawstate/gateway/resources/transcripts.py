"""The operations of the noun `transcripts`: read, search and append what was said."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.errors import InvalidError, NotFoundError
from clawstate.gateway.bodies import PAGE_SIZE, After, Body, Limit
from clawstate.gateway.resources.memory import Records
from clawstate.gateway.routing import Opened, Routes
from clawstate.wire.members import dialect, without_old_names
from clawstate.wire.schemas import records as forms

routes = Routes("transcripts")

SessionId = Annotated[str, Path(description="The id of a session.", max_length=4096)]
_HINT = "GET /api/v1/transcripts lists the sessions that have messages"


class NewMessages(Body):
    """A turn: messages with `role` and `content`, or entries of OpenClaw's transcripts."""

    messages: list[dict[str, Any]]
    parent: str | None = Field(default=None, description="The message that the first one follows.")
    expect_leaf: str | None = Field(
        default=None, description="Refuse if another message is the newest; null: if there is any."
    )
    turn: str | None = Field(default=None, description="Keep a turn of this name only once.")
    strict: bool = Field(default=False, description="Refuse results of tools that answer no call.")


class Words(Body):
    """What is looked for in all that was said; `"words in quotes"` stand together."""

    text: str
    session_id: str | None = None
    limit: Annotated[int, Field(ge=0, le=1000)] = 20
    role: str | None = None
    since: float | str | None = Field(default=None, description="Seconds, or ISO text.")
    until: float | str | None = None


class Transcripts(TypedDict):
    """A page of the sessions that have messages, and the cursor of the next one."""

    transcripts: list[forms.TranscriptInfo]
    next: str | None


class Messages(TypedDict):
    """A page of messages, and the cursor of the next one."""

    messages: list[forms.Message]
    next: str | None


class Part(TypedDict):
    """Messages around a place, in the order in which they were said."""

    messages: list[forms.Message]


class Appended(TypedDict):
    """The ids of messages that were kept."""

    sessionId: str
    ids: list[str]


class FoundMessages(TypedDict):
    """What a search found, the best first."""

    results: list[forms.FoundMessage]


class DeletedTranscript(TypedDict):
    """The session whose messages are gone."""

    deleted: str


@routes.read("", Transcripts)
def transcripts(state: Opened, *, limit: Limit = PAGE_SIZE, after: After = None) -> Any:
    """Return a page of the sessions that have messages, the one changed last first."""
    page = state.transcripts.page(limit, after)
    return {"transcripts": page.items, "next": page.after}


@routes.read("/stats", dict[str, int])
def stats(state: Opened) -> Any:
    """Return counts and sizes."""
    return without_old_names(dialect(state.transcripts.stats()))


@routes.write("/search", FoundMessages, scope="read")
def search(state: Opened, body: Words) -> Any:
    """Return the messages with words of a text, the best first."""
    return {"results": state.transcripts.search(**body.given())}


@routes.read("/info/{session_id:path}", forms.TranscriptInfo)
def info(state: Opened, session_id: SessionId) -> Any:
    """Return the counts and times of one session."""
    found = state.transcripts.info(session_id)
    if found is None:
        raise NotFoundError("transcript of session", session_id, _HINT)
    return found


@routes.read("/messages/{session_id:path}", Messages)
def messages(
    state: Opened, session_id: SessionId, *, limit: Limit = PAGE_SIZE, after: After = None
) -> Any:
    """Return a page of the messages of a session, the newest first."""
    page = state.transcripts.message_page(session_id, limit, after)
    return {"messages": page.items, "next": page.after}


@routes.read("/around/{session_id:path}", Part)
def around(
    state: Opened,
    session_id: SessionId,
    *,
    message: Annotated[str, Query(description="The id of the message in the middle.")],
    limit: Annotated[int, Query(ge=0, le=500, description="How many on either side.")] = 20,
) -> Any:
    """Return a message with those just before and behind it, for a link that leads to it."""
    store = state.transcripts
    found = store.get(session_id, message)
    if found is None:
        raise NotFoundError("message", message)
    before = store.messages(session_id, limit, before=message) if limit else []
    behind = store.messages(session_id, limit, after=message) if limit else []
    return {"messages": [*before, found, *behind]}


@routes.read("/beside/{session_id:path}", Part)
def beside(
    state: Opened,
    session_id: SessionId,
    *,
    before: Annotated[str | None, Query(description="The message that they come before.")] = None,
    behind: Annotated[str | None, Query(description="The message that they come behind.")] = None,
    limit: Limit = PAGE_SIZE,
) -> Any:
    """Return the messages just before or behind one, in the order in which they were said."""
    if (before is None) == (behind is None):
        raise InvalidError("before", "or behind has to be given, and not both")
    return {"messages": state.transcripts.messages(session_id, limit, before, behind)}


@routes.read("/memories/{session_id:path}", Records)
def memories(
    state: Opened, session_id: SessionId, *, limit: Limit = PAGE_SIZE, after: After = None
) -> Any:
    """Return a page of what was captured from a session, of all namespaces."""
    where = {"captured.session": session_id}
    page = state.memory.page(limit, after, where=where, namespace=None)
    return {"records": page.items, "next": page.after}


@routes.write("/messages/{session_id:path}", Appended, status=201)
def append(state: Opened, session_id: SessionId, body: NewMessages) -> Any:
    """Append a turn to a session: all of its messages or none."""
    return {"sessionId": session_id, "ids": state.transcripts.append(session_id, **body.given())}


@routes.write("/messages/{session_id:path}", DeletedTranscript, method="DELETE", scope="admin")
def delete(state: Opened, session_id: SessionId) -> Any:
    """Remove all messages of a session for good."""
    if not state.transcripts.delete(session_id):
        raise NotFoundError("transcript of session", session_id, _HINT)
    return {"deleted": session_id}
