"""The noun `sessions`: which conversations there are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.options import Day, Minutes, next_page, page_options
from clawstate.cli.printing import inline, one_line, style
from clawstate.cli.session import Session
from clawstate.cli.suggestions import SESSIONS
from clawstate.clock import to_iso, to_ms
from clawstate.quantities import number_of
from clawstate.wire import to_wire
from clawstate.wire.sessions import entry_as_kept, entry_brief

if TYPE_CHECKING:
    from clawstate.paging import Page, Position
    from clawstate.stores.sessions import Archived, SessionEntry, Sessions

_LONGEST = 60  # characters of a value that is shown in one line

KEY = click.argument("key", shell_complete=SESSIONS)


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        "clawstate sessions create telegram:42",
        "clawstate sessions list --active 2h",
        "clawstate sessions show telegram:42",
    ),
)
def sessions() -> None:
    """See and prune conversations."""


@sessions.command(name="list")
@click.option(
    "--active", type=Minutes(), metavar="MIN", help="Updated in the last MIN minutes, or 2h, 30d."
)
@page_options
@click.option("--archived", "is_archived", is_flag=True, help="What can be restored instead.")
@click.option("--as-of", type=Day(), metavar="TIME", help="All there were then instead.")
@pass_session
def list_(
    session: Session,
    *,
    active: float | None,
    limit: int,
    after: str | None,
    is_archived: bool,
    as_of: float | None,
) -> None:
    """Print a page of the sessions, the one updated last first."""
    store = store_of(session)
    if as_of is not None:
        then = [as_kept(session, each) for each in store.as_of(as_of)]
        lines = list(map(_line, then)) or ["there were no sessions"]
        listed = [entry_brief(each) for each in then]
        session.output.emit({"count": len(then), "sessions": listed}, *lines)
        return
    if is_archived:
        gone = store.archive_page(limit, after)
        more, told = next_page(gone.after)
        documents = to_wire(gone.items)
        lines = [archive_line(each) for each in gone] or ["nothing is archived"]
        document = {"count": len(gone), "archived": documents, **more}
        session.output.emit(document, *lines, *told)
        return
    page = _page(session, store, limit, after, active)
    more, told = next_page(page.after)
    lines = [line for _, line in page]
    empty = "no sessions yet" if active is None else "no session was active in that time"
    document = {"count": len(page), "sessions": [brief for brief, _ in page], **more}
    session.output.emit(document, *(lines or [empty]), *told)


@sessions.command()
@KEY
@click.option("--as-of", type=Day(), metavar="TIME", help="As it was then; a day means its end.")
@pass_session
def show(session: Session, /, key: str, *, as_of: float | None) -> None:
    """Print all that is kept about the session KEY."""
    from clawstate.cli.openclaw_entries import their_session  # noqa: PLC0415
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    store = store_of(session)
    if as_of is not None:
        found = [each for each in store.as_of(as_of) if each.session_key == key]
        if not found:
            hint = "'clawstate diff --since' tells what there was, and when"
            raise NotFoundError("session of that moment", key, hint)
        session.output.emit(to_wire(found[0]), *_full(as_kept(session, found[0])))
        return
    theirs = their_session(session, key) if store.get(key) is None else None
    if theirs is not None:
        told = style("of the OpenClaw that lives here; it is never changed", dim=True)
        session.output.emit(to_wire(theirs), *_full(theirs.entry), told)
        return
    entry = as_kept(session, store.require(key))
    session.output.emit(to_wire(entry), *_full(entry))


@sessions.command(absent_ok=True)
@KEY
@pass_session
def create(session: Session, /, key: str) -> None:
    """Make sure that there is a session KEY, and print it."""
    entry = as_kept(session, store_of(session).resolve(key))
    session.output.emit(to_wire(entry), *_full(entry))


@sessions.command()
@KEY
@pass_session
def delete(session: Session, /, key: str) -> None:
    """Take the session KEY away; 'restore' brings it back as long as the archive is kept."""
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    if not store_of(session).delete(key):
        _refuse_theirs(session, key)
        raise NotFoundError("session", key, "'clawstate sessions list' shows which there are")
    hint = style("('clawstate sessions restore' brings it back)", dim=True)
    session.output.emit({"deleted": key}, f"deleted {one_line(key)}  {hint}")


@sessions.command()
@KEY
@pass_session
def reset(session: Session, /, key: str) -> None:
    """Begin the session KEY anew; settings stay, and the old one goes to the archive."""
    if store_of(session).get(key) is None:
        _refuse_theirs(session, key)
    entry = as_kept(session, store_of(session).reset(key))
    session.output.emit(to_wire(entry), *_full(entry))


@sessions.command()
@click.argument("name", metavar="KEY|ARCHIVE")
@click.option("--as-of", type=Day(), metavar="TIME", help="Make KEY what it was then instead.")
@pass_session
def restore(session: Session, /, name: str, *, as_of: float | None) -> None:
    """Bring back what was archived last of a session KEY, or one archive by its name."""
    store = store_of(session)
    found = store.restore(name) if as_of is None else store.put_back(name, as_of)
    entry = as_kept(session, found)
    session.output.emit(to_wire(entry), *_full(entry))


def _page(
    session: Session, store: Sessions, limit: int, after: str | None, active: float | None
) -> Page[tuple[dict[str, Any], str]]:
    """Return sessions of ours and of OpenClaw's databases as documents and lines, by time."""
    from clawstate.cli.openclaw_entries import (  # noqa: PLC0415 - see `NOUNS`
        session_line,
        their_sessions,
    )
    from clawstate.paging import Page  # noqa: PLC0415
    from clawstate.stores.sessions.service import LISTING  # noqa: PLC0415
    from clawstate.wire.sessions import openclaw_brief  # noqa: PLC0415

    ours = store.page(limit, after, active_within=active)
    kept = [as_kept(session, each) for each in ours]
    rows = [(_position(each), (entry_brief(each), _line(each))) for each in kept]
    least = (-math.inf, "") if after is None else LISTING.decode_cursor(after)
    since = -math.inf if active is None else session.state.clock() - active
    theirs = [
        (_position(each.entry), (openclaw_brief(each), session_line(each)))
        for each in their_sessions(session, store)
        if each.entry.updated_at >= since and _position(each.entry) > least
    ]
    # What is not read of ours stands behind all that was read, so the page is whole.
    rows = sorted([*rows, *theirs], key=itemgetter(0))
    more = len(rows) > limit or ours.after is not None
    shown = rows[:limit]
    after = LISTING.encode_cursor(shown[-1][0]) if more and theirs else ours.after
    return Page(tuple(row for _, row in shown), after)


def _position(entry: SessionEntry) -> Position:
    return -float(to_ms(entry.updated_at)), entry.session_key


def _refuse_theirs(session: Session, key: str) -> None:
    from clawstate.cli.openclaw_entries import refuse_session  # noqa: PLC0415 - see `NOUNS`

    refuse_session(session, key)


def store_of(session: Session) -> Sessions:
    """Return the sessions that this run is about: with --agent those of that agent's index."""
    return session.state.sessions_of(session.agent)


def as_kept(session: Session, entry: SessionEntry) -> SessionEntry:
    """Return *entry* without the file that it would have, where sessions lie in rows."""
    return entry_as_kept(session.state, entry)


def archive_line(archived: Archived) -> str:
    """Return a line that shows *archived*."""
    name = style(one_line(archived.archive), dim=True)
    key = style(one_line(archived.session_key), fg="cyan")
    return f"{to_iso(archived.at)}  {key}  {archived.reason}  {name}"


def _line(entry: SessionEntry) -> str:
    key = style(one_line(entry.session_key), fg="cyan")
    label = entry.fields.get("label")
    told = f"  {one_line(label)}" if isinstance(label, str) and label else ""
    return f"{_moment(entry)}  {key}{told}  {style(entry.session_id, dim=True)}"


def _full(entry: SessionEntry) -> Iterator[str]:
    from clawstate.files.json_text import dump_compact  # noqa: PLC0415 - see `NOUNS`

    own = {
        "key": one_line(entry.session_key),
        "session": entry.session_id,
        **({"file": one_line(entry.session_file)} if entry.session_file else {}),
        "updated": _moment(entry),
    }
    for name, value in entry.fields.items():
        text = value if isinstance(value, str) else dump_compact(value)
        cut = (
            text
            if len(text) <= _LONGEST
            else f"{text[:_LONGEST]}… ({number_of(len(text), 'character')})"
        )
        own[one_line(name)] = inline(" ".join(cut.split()))
    width = max(len(name) for name in own)
    for name, text in own.items():
        yield f"{style(name.ljust(width), dim=True)}  {text}"


def _moment(entry: SessionEntry) -> str:
    return to_iso(entry.updated_at) if entry.updated_at else "at an unknown time"
