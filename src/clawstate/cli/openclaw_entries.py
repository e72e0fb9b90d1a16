"""What `sessions` and `auth` show of an OpenClaw in the same directory, which they only read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clawstate.cli.printing import one_line, style
from clawstate.cli.session import Session
from clawstate.clock import to_iso
from clawstate.errors import CorruptError, UnavailableError
from clawstate.openclaw.owner import Era
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.state.openclaw_view import OpenClawSession
    from clawstate.stores.sessions import Sessions


def their_sessions(session: Session, ours: Sessions) -> Iterator[OpenClawSession]:
    """Give the sessions of OpenClaw, but for those that *ours* took over."""
    if session.state.owner.era is not Era.SQLITE:
        return
    view = session.state.openclaw
    for each in view.problems():
        session.output.warn(each)
    for found in view.sessions(session.agent):
        with suppress(CorruptError):
            copy = ours.get(found.entry.session_key)
            if copy is not None and copy.session_id == found.entry.session_id:
                continue
        yield found


def session_line(found: OpenClawSession) -> str:
    """Return a line that shows *found*."""
    entry = found.entry
    moment = to_iso(entry.updated_at) if entry.updated_at else "at an unknown time"
    name = style(entry.session_id, dim=True)
    return f"{moment}  {style(one_line(entry.session_key), fg='cyan')}  {name}  (OpenClaw's)"


def their_session(session: Session, key: str) -> OpenClawSession | None:
    """Return the session *key* of OpenClaw, if it has one."""
    if session.state.owner.era is not Era.SQLITE:
        return None
    name = key.strip().lower()
    found = session.state.openclaw.sessions(session.agent)
    return next((each for each in found if each.entry.session_key in {key, name}), None)


def refuse_session(session: Session, key: str) -> None:
    """Raise `UnavailableError` if the session *key* is OpenClaw's, and there is none of ours."""
    if their_session(session, key) is not None:
        problem = "is a session of the OpenClaw that lives here, which is shown and never changed"
        hint = "change it with OpenClaw, or take it over with 'clawstate import openclaw'"
        raise UnavailableError(repr(key), problem, hint)


def their_credentials(
    session: Session, ours: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return the documents of OpenClaw's credentials, but for those that *ours* took over."""
    if session.state.owner.era is not Era.SQLITE:
        return []
    known = {(each["id"], each["secret"]) for each in ours}
    now = session.state.clock()
    found = session.state.openclaw.credentials(session.agent or "main")
    return [to_wire(each, now=now) for each in found if (each.id, each.secret) not in known]


def refuse_credential(session: Session, profile_id: str) -> None:
    """Raise `UnavailableError` if the profile is OpenClaw's, and there is none of ours."""
    if any(each["id"] == profile_id for each in their_credentials(session)):
        problem = "is a credential of the OpenClaw that lives here, which is never changed"
        hint = "change it with OpenClaw, or take it over with 'clawstate import openclaw'"
        raise UnavailableError(repr(profile_id), problem, hint)
