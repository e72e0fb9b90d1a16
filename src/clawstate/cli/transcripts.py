"""The noun `transcripts`: append, read and search what was said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.options import Day, Moment, next_page, page_options
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.cli.suggestions import SESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

_ON_TERMINAL = 50  # messages that a person is shown without asking for more

_MESSAGE = '{"role": "user", "content": "Which green tea?"}'
_APPENDED = f"echo '{_MESSAGE}' | clawstate transcripts append telegram:42"

KEY = click.argument("key", required=False, shell_complete=SESSIONS)
SESSION = click.option("--session", "session_id", metavar="ID", help="A session id instead of KEY.")


def session_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* the argument KEY, and the option that takes its place."""
    return KEY(SESSION(command))


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        _APPENDED,
        "clawstate transcripts show telegram:42",
    ),
)
def transcripts() -> None:
    """Keep and search messages."""


@transcripts.command(
    examples=(_APPENDED,),
    absent_ok=True,
)
@session_options
@click.option("--turn", metavar="NAME", help="Keep a turn of this name only once.")
@click.option("--parent", metavar="ID", help="The message that the first one follows [the newest].")
@click.option("--expect-leaf", metavar="ID", help="Refuse if another message is the newest.")
@click.option("--strict", is_flag=True, help="Refuse results of tools that answer no call.")
@pass_session
def append(
    session: Session,
    /,
    key: str | None,
    session_id: str | None,
    *,
    expect_leaf: str | None,
    **settings: Any,
) -> None:
    """
    Append the messages on stdin to the session KEY, all of them or none.

    Each line is a JSON object: {"role": "user", "content": "hello"}, or an entry of a transcript
    of OpenClaw. A session that is not there is made.
    """
    messages = _read_messages()
    if expect_leaf is not None:
        settings["expect_leaf"] = expect_leaf
    chosen = session_of(session, key, session_id, make=True)
    ids = session.state.transcripts.append(chosen, messages, **settings)
    lines = [f"appended {len(ids)}" if ids else "nothing to append", *ids]
    session.output.emit({"sessionId": chosen, "ids": ids}, *lines)


@transcripts.command(name="list")
@page_options
@pass_session
def list_(session: Session, *, limit: int, after: str | None) -> None:
    """Print a page of the sessions that have messages, the one changed last first."""
    from clawstate.cli.transcripts_view import session_line  # noqa: PLC0415
    from clawstate.wire import to_wire  # noqa: PLC0415

    page = session.state.transcripts.page(limit, after)
    more, told = next_page(page.after)
    document = {"transcripts": to_wire(page.items), **more}
    lines = [session_line(each) for each in page] or ["no messages yet"]
    session.output.emit(document, *lines, *told)


@transcripts.command()
@session_options
@click.option("--limit", "-k", type=click.IntRange(min=0), help="How many at most [all].")
@click.option("--before", metavar="ID", help="The page before this message.")
@click.option("--after", metavar="ID", help="The page behind this message.")
@click.option("--full", is_flag=True, help="Cut nothing.")
@click.option("--as-of", type=Day(), metavar="TIME", help="What was said by then.")
@pass_session
def show(
    session: Session,
    /,
    key: str | None,
    session_id: str | None,
    *,
    limit: int | None,
    before: str | None,
    after: str | None,
    full: bool,
    as_of: float | None,
) -> None:
    """Print the messages of the session KEY; on a terminal the newest 50."""
    from clawstate.cli.transcripts_view import message_lines  # noqa: PLC0415
    from clawstate.wire import to_wire  # noqa: PLC0415

    chosen = readable_session_of(session, key, session_id)
    shown = limit
    if limit is None and not session.output.as_json and sys.stdout.isatty():
        shown = _ON_TERMINAL
    store = session.state.transcripts
    # One more than is shown tells whether there is another page.
    wanted = None if shown is None else shown + 1
    found = store.messages(chosen, wanted, before, after, as_of=as_of)
    more: dict[str, str] = {}
    if shown is not None and len(found) > shown:
        found = found[:shown] if after else found[1:]
        more = {"after": found[-1].id} if after else {"before": found[0].id} if found else {}
    lines = [line for each in found for line in message_lines(each, full=full)]
    for name, cursor in more.items():
        lines.append(style(f"of {store.count(chosen):,}; more: --{name} {cursor}", dim=True))
    empty = "no messages here" if store.count(chosen) else "no messages yet"
    document, told = openclaw_notice(session, chosen)
    document.update(more)
    document["messages"] = to_wire(found)
    session.output.emit(document, *(lines or [empty]), *told)


@transcripts.command(
    examples=('clawstate transcripts search "green tea" --since 7d',),
)
@click.argument("text")
@click.option("--session", "session_id", metavar="ID", help="Only this session.")
@click.option("--key", metavar="KEY", help="Only the session of this key.", shell_complete=SESSIONS)
@click.option(
    "--limit", "-k", default=20, show_default=True, type=click.IntRange(min=0), help="At most."
)
@click.option("--role", help="Only what this role said, such as user or assistant.")
@click.option(
    "--since", type=Moment(), metavar="TIME", help="Said since 7d, yesterday or an ISO date."
)
@click.option("--until", type=Moment(), metavar="TIME", help="Said before this time.")
@pass_session
def search(
    session: Session,
    /,
    text: str,
    *,
    session_id: str | None,
    key: str | None,
    **settings: Any,
) -> None:
    """
    Print the messages with words of TEXT, best first.

    What has all words comes before what has some; "words in double quotes" stand together.
    """
    from clawstate.cli.transcripts_view import hit_lines  # noqa: PLC0415
    from clawstate.wire import to_wire  # noqa: PLC0415

    chosen = readable_session_of(session, key, session_id) if key or session_id else None
    found = session.state.transcripts.search(text, chosen, **settings)
    lines = [line for each in found for line in hit_lines(each)]
    document, told = ({}, []) if found else openclaw_notice(session, chosen)
    document["results"] = to_wire(found)
    session.output.emit(document, *(lines or ["nothing found"]), *told)


@transcripts.command()
@pass_session
def stats(session: Session) -> None:
    """Print counts and sizes."""
    from clawstate.cli.printing import table_lines  # noqa: PLC0415 - see `NOUNS`
    from clawstate.wire.members import dialect  # noqa: PLC0415

    counts = session.state.transcripts.stats()
    session.output.emit(dialect(counts), *table_lines(counts))


def session_of(
    session: Session, key: str | None, session_id: str | None, *, make: bool = False
) -> str:
    """Return the session id that the arguments mean; with *make* a new KEY becomes a session."""
    if (key is None) == (session_id is None):
        raise click.UsageError("name a session: KEY, or --session ID")
    if session_id is not None:
        return session_id
    from clawstate.cli.sessions import store_of  # noqa: PLC0415 - see `NOUNS`

    sessions = store_of(session)
    entry = sessions.resolve(str(key)) if make else sessions.require(str(key))
    return entry.session_id


def readable_session_of(session: Session, key: str | None, session_id: str | None) -> str:
    """Return what `session_of` gives, also for a session that OpenClaw alone has."""
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    try:
        return session_of(session, key, session_id)
    except NotFoundError:
        from clawstate.cli.openclaw_entries import their_session  # noqa: PLC0415

        if (theirs := their_session(session, str(key))) is None:
            raise
        return theirs.entry.session_id


def openclaw_notice(session: Session, session_id: str | None) -> tuple[dict[str, Any], list[str]]:
    """Return what tells programs and people of a transcript of OpenClaw that is not here."""
    if not session.state.owner.is_openclaw:
        return {}, []
    found = next(session.state.transcripts_waiting(session_id), None)
    if found is None:
        return {}, []
    document = {
        "sessionId": found.session_id,
        "transcript": found.place,
        "command": found.command,
        "message": found.sentence,
    }
    return {"notTakenOver": document}, [style(found.sentence, fg="yellow")]


def _read_messages() -> list[Any]:
    from clawstate.errors import CorruptError, InvalidError  # noqa: PLC0415 - see `NOUNS`
    from clawstate.files.json_text import parse_json_file  # noqa: PLC0415
    from clawstate.stores.transcripts import read_lines  # noqa: PLC0415

    if sys.stdin.isatty():
        raise click.UsageError("messages are read from standard input, a JSON object a line")
    found = []
    for number, line in enumerate(read_lines(sys.stdin.buffer), start=1):
        if not line.strip():
            continue
        try:
            found.append(parse_json_file(line.strip(), path=Path(f"line {number}")))
        except CorruptError as error:
            problem = error.problem.replace("line 1, ", "")
            hint = "give one JSON object a line"
            raise InvalidError(f"line {number}", problem, hint) from None
    return found
