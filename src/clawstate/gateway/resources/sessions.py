"""The operations of the noun `sessions`: which conversations there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.clock import to_ms
from clawstate.errors import ConflictError, NotFoundError
from clawstate.gateway.answers import require_match
from clawstate.gateway.bodies import PAGE_SIZE, After, Agent, Body, Limit
from clawstate.gateway.routing import IfMatch, Opened, Routes
from clawstate.stores.sessions import SessionEntry
from clawstate.wire.schemas import records as forms
from clawstate.wire.sessions import entry_as_kept, entry_brief

routes = Routes("sessions")

Key = Annotated[str, Path(description="The key of a session.", max_length=4096)]
_KIND = "session"


class NewSession(Body):
    """The key of a session."""

    key: str


class Restored(Body):
    """The key of a session whose newest archive is meant, or the name of an archive."""

    name: str


class Limits(Body):
    """What may stay; without any limit those of `session.maintenance` count."""

    older_than: float | None = Field(default=None, description="Seconds.")
    max_entries: int | None = None
    max_disk_bytes: int | None = None
    dry_run: bool = True
    enforce: bool = False


class Sessions(TypedDict):
    """A page of sessions, and the cursor of the next one."""

    sessions: list[forms.SessionBrief]
    next: str | None


class ArchivedSessions(TypedDict):
    """A page of what can be restored, and the cursor of the next one."""

    archived: list[forms.Archived]
    next: str | None


class Deleted(TypedDict):
    """The key of what was deleted."""

    deleted: str


@routes.read("", Sessions)
def sessions(
    state: Opened,
    *,
    agent: Agent = None,
    limit: Limit = PAGE_SIZE,
    after: After = None,
    active: Annotated[float | None, Query(description="Updated in so many last seconds.")] = None,
    q: Annotated[
        str | None,
        Query(max_length=1000, description="All of these words in key, id or label."),
    ] = None,
) -> Any:
    """Return a page of the sessions, the one updated last first."""
    store = state.sessions_of(agent)
    page = store.page(limit, after, active_within=active)
    chosen = _named(page, q)
    # A page ends where one of the store does, so it is filled only to the half.
    while page.after is not None and len(chosen) <= limit // 2:
        page = store.page(limit - len(chosen), page.after, active_within=active)
        chosen += _named(page, q)
    found = [entry_brief(entry_as_kept(state, each)) for each in chosen]
    return {"sessions": found, "next": page.after}


def _named(entries: Iterable[SessionEntry], words: str | None) -> list[SessionEntry]:
    """Return those of *entries* with all *words* in what they are called."""
    wanted = (words or "").casefold().split()
    return [each for each in entries if all(word in _names(each) for word in wanted)]


def _names(entry: SessionEntry) -> str:
    called = (entry.session_key, entry.session_id, str(entry.fields.get("label", "")))
    return "\n".join(called).casefold()


@routes.write("", forms.Session, status=201)
def create(state: Opened, body: NewSession, *, agent: Agent = None) -> Any:
    """Make sure that there is a session, and return it."""
    return entry_as_kept(state, state.sessions_of(agent).resolve(body.key))


@routes.read("/archive", ArchivedSessions)
def archive(
    state: Opened, *, agent: Agent = None, limit: Limit = PAGE_SIZE, after: After = None
) -> Any:
    """Return a page of what can be restored, the newest first."""
    page = state.sessions_of(agent).archive_page(limit, after)
    return {"archived": page.items, "next": page.after}


@routes.write("/restore", forms.Session)
def restore(state: Opened, body: Restored, *, agent: Agent = None) -> Any:
    """Bring back an archived session."""
    return entry_as_kept(state, state.sessions_of(agent).restore(body.name))


@routes.write("/reset", forms.Session)
def reset(state: Opened, body: NewSession, *, agent: Agent = None) -> Any:
    """Begin a session anew: settings stay, the old one goes to the archive."""
    return entry_as_kept(state, state.sessions_of(agent).reset(body.key))


@routes.write("/prune", forms.Pruned)
def prune(state: Opened, body: Limits, *, agent: Agent = None) -> Any:
    """Remove sessions into the archive; by default it is only told which."""
    return state.sessions_of(agent).prune(**body.given(dry_run=body.dry_run))


@routes.read("/entries/{key:path}", forms.Session)
def get(state: Opened, key: Key, *, agent: Agent = None) -> Any:
    """Return all that is kept about one session."""
    return entry_as_kept(state, state.sessions_of(agent).require(key))


@routes.write("/entries/{key:path}", forms.Session, method="PATCH")
def update(
    state: Opened,
    key: Key,
    body: dict[str, Any],
    *,
    agent: Agent = None,
    if_match: IfMatch = None,
) -> Any:
    """Replace members of a session, and return it."""
    store = state.sessions_of(agent)
    if if_match is None:
        return entry_as_kept(state, store.update(key, body))
    before = store.require(key)
    require_match(if_match, entry_as_kept(state, before), _KIND, key)

    # Looked at once more in the step that writes: somebody may be faster.
    def change(entry: Mapping[str, Any]) -> dict[str, Any]:
        if entry.get("updatedAt") != to_ms(before.updated_at):
            raise ConflictError(_KIND, key)
        return {**entry, **body}

    return entry_as_kept(state, store.update(key, change))


@routes.write("/entries/{key:path}", Deleted, method="DELETE")
def delete(state: Opened, key: Key, *, agent: Agent = None, if_match: IfMatch = None) -> Any:
    """Take a session away; it can be restored as long as its archive is kept."""
    store = state.sessions_of(agent)
    found: SessionEntry | None = None
    if if_match is not None:
        found = store.require(key)
        require_match(if_match, entry_as_kept(state, found), _KIND, key)
    if not store.delete(key, expect=found):
        raise NotFoundError(_KIND, key)
    return {"deleted": key}
