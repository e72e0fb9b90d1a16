"""Memories and sessions as resources, which a person hands to a model by name."""

from __future__ import annotations

from typing import Any, Final

from mcp_types import (
    Annotations,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from clawstate.clock import to_iso
from clawstate.errors import InvalidError
from clawstate.mcp.calls import Calls, Context
from clawstate.mcp.places import (
    MEMORY,
    SESSION,
    TRANSCRIPT,
    memory_uri,
    parse_uri,
    session_uri,
    transcript_uri,
)
from clawstate.memory.capture.fence import escape, fence_document
from clawstate.memory.records import MemoryRecord
from clawstate.paging import PAGE
from clawstate.secret_rules import without_secrets
from clawstate.state import State
from clawstate.stores.sessions.entry import SessionEntry
from clawstate.wire import to_wire
from clawstate.wire.sessions import entry_brief

PLAIN: Final = "text/plain"
_LONGEST_NAME = 80
_REDACTED = "[redacted]"

TEMPLATES: Final = [
    ResourceTemplate(
        name="memory",
        title="A memory",
        uri_template=MEMORY,
        description="One memory by its id, as memory_search gives it.",
        mime_type=PLAIN,
    ),
    ResourceTemplate(
        name="session",
        title="A conversation",
        uri_template=SESSION,
        description="A session by its key, and its newest messages.",
        mime_type=PLAIN,
    ),
    ResourceTemplate(
        name="transcript",
        title="Messages of a conversation",
        uri_template=TRANSCRIPT,
        description="The newest messages of a session by its id, or those before a message.",
        mime_type=PLAIN,
    ),
]


class ResourceHandlers:
    """Answers `resources/list`, `resources/templates/list` and `resources/read`."""

    def __init__(self, state: State, calls: Calls, *, agent: str | None) -> None:
        self._state = state
        self._calls = calls
        self._agent = agent

    async def list_resources(
        self, _context: Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """Return a page of all memories, the one made last first, and then of the sessions."""
        cursor = None if params is None else params.cursor
        return await self._calls.ask(lambda: self._page(cursor))

    async def list_templates(
        self, _context: Context, _params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """Return the forms of the URIs."""
        return ListResourceTemplatesResult(resource_templates=TEMPLATES)

    async def read(
        self, _context: Context, params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        """Return what a URI names, fenced as data: a memory, or messages without secrets."""
        document = await self._calls.ask(lambda: self._document(params.uri), uri=params.uri)
        text = fence_document(document)
        contents = TextResourceContents(uri=params.uri, mime_type=PLAIN, text=text)
        return ReadResourceResult(contents=[contents])

    def _page(self, cursor: str | None) -> ListResourcesResult:
        kind, _, after = ("memory", "", "") if cursor is None else cursor.partition(":")
        if kind == "memory":
            memories = self._state.memory.page(PAGE, after or None, namespace=None)
            # Sessions begin on a page of their own: one cursor tells one place.
            end = f"memory:{memories.after}" if memories.after else "sessions:"
            resources = [_memory(each) for each in memories]
            if resources or memories.after:
                return ListResourcesResult(resources=resources, next_cursor=end)
            kind, after = "sessions", ""
        if kind != "sessions":
            raise InvalidError("cursor", "is of no list of resources", "leave it out to begin")
        sessions = self._state.sessions_of(self._agent).page(PAGE, after or None)
        return ListResourcesResult(
            resources=[_session(each) for each in sessions],
            next_cursor=f"sessions:{sessions.after}" if sessions.after else None,
        )

    def _document(self, uri: str) -> dict[str, Any]:
        scheme, name, before = parse_uri(uri)
        if scheme == "memory":
            record: dict[str, Any] = to_wire(self._state.memory.require(name))
            return record
        if scheme == "transcript":
            return self._messages(name, before)
        entry = self._state.sessions_of(self._agent).require(name)
        return {"session": entry_brief(entry), **self._messages(entry.session_id, before)}

    def _messages(self, session_id: str, before: str | None) -> dict[str, Any]:
        messages = self._state.transcripts.messages(session_id, limit=PAGE, before=before)
        earlier = transcript_uri(session_id, messages[0].id) if len(messages) == PAGE else None
        # A person may have pasted a key into a conversation; it is not for the next model.
        shown = _redact(to_wire(messages))
        return {"sessionId": session_id, "messages": shown, "earlier": earlier}


def _redact(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value, _REDACTED)
    if isinstance(value, list):
        return [_redact(each) for each in value]
    if isinstance(value, dict):
        return {key: _redact(each) for key, each in value.items()}
    return value


def _memory(record: MemoryRecord) -> Resource:
    text = escape(record.title or record.text)
    labels = [record.category, *(f"#{each}" for each in record.tags), record.source or ""]
    return Resource(
        uri=memory_uri(record.id),
        name=record.id,
        title=text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…",
        description=escape(" ".join(filter(None, labels))),
        mime_type=PLAIN,
        annotations=Annotations(
            audience=["user", "assistant"],
            priority=record.importance,
            last_modified=to_iso(record.updated_at),
        ),
    )


def _session(entry: SessionEntry) -> Resource:
    return Resource(
        uri=session_uri(entry.session_key),
        name=entry.session_key,
        title=escape(f"Conversation {entry.session_key}"),
        mime_type=PLAIN,
        annotations=Annotations(
            audience=["user", "assistant"], last_modified=to_iso(entry.updated_at)
        ),
    )
