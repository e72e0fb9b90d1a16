"""The verbs of `transcripts` that read and write files, or take away."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from io import BytesIO
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.options import Duration, Size
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.cli.transcripts import session_of, session_options, transcripts
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from clawstate.stores.transcripts import TranscriptImport

_SHOWN = 10  # problems that a person is told one by one


@transcripts.command()
@click.argument("names", nargs=-1, metavar="KEY [FILE]")
@click.option("--session", "session_id", metavar="ID", help="A session id instead of KEY.")
@click.option("--redact", is_flag=True, help="Mask secrets of well-known forms.")
@pass_session
def export(
    session: Session, /, names: tuple[str, ...], *, session_id: str | None, redact: bool
) -> None:
    """Write the session KEY to FILE as a transcript of OpenClaw; '-' is stdout, the default."""
    key, file = _key_and_file(names, session_id)
    chosen = session_of(session, key, session_id)
    store = session.state.transcripts
    if file is not None and file != "-":
        written = store.export(chosen, file, redact=redact)
        document = {"exported": written, "sessionId": chosen, "path": file}
        session.output.emit(document, f"exported {number_of(written, 'message')} to {file}")
    elif session.output.as_json:
        out = BytesIO()
        store.export(chosen, out, redact=redact)
        entries = [json.loads(line) for line in out.getvalue().splitlines()]
        session.output.emit({"sessionId": chosen, "entries": entries})
    else:
        # What is read on a terminal must not steer it; a pipe gets the bytes as they are.
        shown = BytesIO()
        piped = shown if sys.stdout.isatty() else sys.stdout.buffer
        written = store.export(chosen, piped, redact=redact)
        piped.flush()
        if text := shown.getvalue().decode():
            session.output.json(text.removesuffix("\n"))
        session.output.say(f"exported {number_of(written, 'message')}")


@transcripts.command(name="import", absent_ok=True)
@click.argument("names", nargs=-1, metavar="KEY FILE")
@click.option("--session", "session_id", metavar="ID", help="A session id instead of KEY.")
@pass_session
def import_(session: Session, /, names: tuple[str, ...], *, session_id: str | None) -> None:
    """
    Add the messages of FILE to the session KEY; '-' is stdin.

    FILE is a transcript of OpenClaw (JSON Lines). What is there already is not added again. Lines
    that are broken are passed over and told.
    """
    from clawstate.stores.transcripts import read_lines  # noqa: PLC0415 - see `NOUNS`
    from clawstate.wire import to_wire  # noqa: PLC0415

    key, file = _key_and_file(names, session_id)
    if file is None:
        raise click.UsageError("name the FILE to import")
    with _open_file(file) as stream:
        chosen = session_of(session, key, session_id, make=True)
        done = session.state.transcripts.import_lines(chosen, read_lines(stream))
    session.output.emit({"sessionId": chosen, **to_wire(done)}, *_import_lines(done))
    if done.problems and not done.added + done.kept:
        raise click.exceptions.Exit(1)


@transcripts.command()
@session_options
@pass_session
def delete(session: Session, /, key: str | None, session_id: str | None) -> None:
    """Take all messages of the session KEY away, for ever."""
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    chosen = session_of(session, key, session_id)
    if not session.state.transcripts.delete(chosen):
        raise NotFoundError("transcript", chosen, "it has no messages")
    session.output.emit({"deleted": chosen}, f"deleted the messages of {chosen}")


@transcripts.command()
@click.option("--older-than", type=Duration(), metavar="TIME", help="Unchanged for 30d, 12w or 1y.")
@click.option("--most-sessions", type=click.IntRange(min=0), help="Keep the newest so many.")
@click.option("--most-bytes", type=Size(), metavar="SIZE", help="Keep the newest of this size.")
@pass_session
def prune(
    session: Session,
    *,
    older_than: float | None,
    most_sessions: int | None,
    most_bytes: int | None,
) -> None:
    """Take whole sessions' messages away, the longest unchanged first, for ever."""
    if older_than is None and most_sessions is None and most_bytes is None:
        raise click.UsageError("say what may stay: --older-than, --most-sessions or --most-bytes")
    gone = session.state.transcripts.prune(
        older_than=older_than, most_sessions=most_sessions, most_bytes=most_bytes
    )
    told = (
        f"deleted the messages of {number_of(len(gone), 'session')}"
        if gone
        else "nothing to delete"
    )
    session.output.emit({"deleted": gone}, told, *gone)


def _key_and_file(names: tuple[str, ...], session_id: str | None) -> tuple[str | None, str | None]:
    # With --session there is no KEY, and the first argument is the file.
    rest = (None, *names) if session_id is not None else names
    if not 1 <= len(rest) <= 2:
        raise click.UsageError("name a session: KEY, or --session ID; and at most one FILE")
    return rest[0], rest[1] if len(rest) == 2 else None


def _open_file(file: str) -> AbstractContextManager[BinaryIO]:
    from pathlib import Path  # noqa: PLC0415 - see `NOUNS`

    from clawstate.importers.lines import open_regular  # noqa: PLC0415

    return nullcontext(sys.stdin.buffer) if file == "-" else open_regular(Path(file))


def _import_lines(done: TranscriptImport) -> list[str]:
    lines = [f"added {done.added:,}, {done.kept:,} were there already"]
    for problem in done.problems[:_SHOWN]:
        place = style(f"line {problem.line}", fg="yellow")
        lines += [f"  {place}: {problem.message}"]
    if len(done.problems) > _SHOWN:
        lines.append(f"  and {len(done.problems) - _SHOWN} more; --json lists them all")
    return lines
