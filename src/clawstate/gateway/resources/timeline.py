"""The operations of the noun `timeline`: what changed, what was then, and making it so again."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from fastapi import Path, Query
from typing_extensions import TypedDict

from clawstate.config.history import hide_literal_secrets
from clawstate.errors import NotFoundError
from clawstate.gateway.bodies import PAGE_SIZE, After, Agent, Body, Limit
from clawstate.gateway.routing import Opened, Routes
from clawstate.wire import to_wire
from clawstate.wire.schemas import memory as memory_forms
from clawstate.wire.schemas import records as forms
from clawstate.wire.schemas import timeline as timeline_forms
from clawstate.wire.sessions import entry_as_kept, entry_brief

routes = Routes("timeline")

Part = Literal["config", "memory", "sessions", "transcripts"]
AsOf = Annotated[
    str, Query(max_length=64, description="Seconds since the epoch, or ISO text; of a day its end.")
]
Since = Annotated[str, Query(max_length=64, description="As `as_of`.")]
Until = Annotated[str | None, Query(max_length=64, description="As `as_of`; by default now.")]
Id = Annotated[str, Path(description="The id of a record.", max_length=4096)]
Step = Annotated[float, Query(ge=1, description="The length of a span in seconds.")]


class Moment(Body):
    """Seconds since the epoch, or ISO text; of a day its end."""

    as_of: float | str


class SessionMoment(Moment):
    """The key of a session, and a moment."""

    key: str


class SettingMoment(Moment):
    """A path of the configuration, and a moment."""

    path: str
    force: bool = False


class Changes(TypedDict):
    """A page of changes, the last first, and the cursor of the next one."""

    changes: list[timeline_forms.TimelineChange]
    next: str | None


class Activity(TypedDict):
    """Spans of time, the first first."""

    spans: list[timeline_forms.TimelineSpan]


class Records(TypedDict):
    """A page of records as they were, the one made last first, and the cursor of the next one."""

    records: list[memory_forms.Record]
    next: str | None


class Sessions(TypedDict):
    """All sessions that there were, the one updated last first."""

    sessions: list[forms.SessionBrief]


class Messages(TypedDict):
    """Messages that there were, the oldest first."""

    messages: list[forms.Message]


class Text(TypedDict):
    """A text of the configuration, its secrets replaced."""

    text: str


class Written(TypedDict):
    """Whether something changed, and what."""

    changed: bool
    change: forms.Change | None


@routes.read("/changes", Changes)
def changes(
    state: Opened,
    *,
    since: Since,
    until: Until = None,
    part: Annotated[list[Part] | None, Query(description="Only these; repeatable.")] = None,
    limit: Limit = PAGE_SIZE,
    after: After = None,
) -> Any:
    """Return a page of what changed after *since* and by *until*, the last change first."""
    page = state.timeline.changes(
        _moment(since),
        None if until is None else _moment(until),
        parts=part or get_args(Part),
        limit=limit,
        after=after,
    )
    return {"changes": page.items, "next": page.after}


@routes.read("/activity", Activity)
def activity(state: Opened, *, since: Since, until: Until = None, step: Step = 86_400.0) -> Any:
    """Return how much happened in each span of time, and how much there was at its end."""
    end = None if until is None else _moment(until)
    return {"spans": list(state.timeline.activity(_moment(since), end, step=step))}


@routes.read("/records", Records)
def records(
    state: Opened,
    *,
    as_of: AsOf,
    namespace: Annotated[str, Query(description="Whose memory.")] = "default",
    limit: Limit = PAGE_SIZE,
    after: After = None,
) -> Any:
    """Return a page of what was remembered at a moment, each record as it was."""
    page = state.memory.page(limit, after, namespace=namespace, as_of=_moment(as_of))
    return {"records": page.items, "next": page.after}


@routes.read("/records/{record_id}", memory_forms.Record)
def record(state: Opened, record_id: Id, *, as_of: AsOf) -> Any:
    """Return one record as it was at a moment."""
    found = state.memory.get(record_id, as_of=_moment(as_of))
    if found is None:
        raise NotFoundError("memory of that moment", record_id, "its history tells what it was")
    return found


@routes.write("/records/{record_id}", memory_forms.Record)
def restore_record(state: Opened, record_id: Id, body: Moment) -> Any:
    """Make a record what it was at a moment; what it was until now stays in its history."""
    return state.memory.put_back(record_id, body.as_of)


@routes.read("/sessions", Sessions)
def sessions(state: Opened, *, as_of: AsOf, agent: Agent = None) -> Any:
    """Return the sessions that there were at a moment."""
    found = state.sessions_of(agent).as_of(_moment(as_of))
    return {"sessions": [entry_brief(entry_as_kept(state, each)) for each in found]}


@routes.write("/sessions", forms.Session)
def restore_session(state: Opened, body: SessionMoment, *, agent: Agent = None) -> Any:
    """Make a session what it was at a moment; what has its key now goes to the archive."""
    return entry_as_kept(state, state.sessions_of(agent).put_back(body.key, body.as_of))


@routes.read("/messages/{session_id}", Messages)
def messages(
    state: Opened,
    session_id: Annotated[str, Path(max_length=256, description="The id of a session.")],
    *,
    as_of: AsOf,
    limit: Limit = PAGE_SIZE,
) -> Any:
    """Return the last messages of a session that there were at a moment."""
    found = state.transcripts.messages(session_id, limit, as_of=_moment(as_of))
    return {"messages": found}


@routes.read("/config", Text)
def config(state: Opened, *, as_of: AsOf, agent: Agent = None) -> Any:
    """Return the text of the configuration at a moment, its secrets replaced."""
    text = state.config.text(agent_id=agent, as_of=_moment(as_of))
    return {"text": hide_literal_secrets(text.encode())}


@routes.write("/config", Written, scope="admin")
def restore_setting(state: Opened, body: SettingMoment, *, agent: Agent = None) -> Any:
    """Make a path of the configuration what was written there at a moment."""
    change = state.config.put_back(body.path, body.as_of, force=body.force, agent_id=agent)
    told = None if change is None else to_wire(change, root=state.paths.root)
    return {"changed": change is not None, "change": told}


def _moment(text: str) -> float | str:
    """Return seconds where *text* is a number."""
    try:
        return float(text)
    except ValueError:
        return text
