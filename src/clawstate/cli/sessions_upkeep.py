"""The verbs of `sessions` that prune and export."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.options import Duration, Size
from clawstate.cli.printing import one_line, size, style
from clawstate.cli.session import Session
from clawstate.cli.sessions import KEY, sessions, store_of
from clawstate.quantities import number_of
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.stores.sessions import Pruned, SessionEntry


@sessions.command(
    examples=("clawstate sessions prune --older-than 30d --dry-run",),
)
@click.option("--older-than", type=Duration(), metavar="TIME", help="Not updated for 90m, 30d, 1y.")
@click.option("--max-entries", type=click.IntRange(min=0), help="Keep as many, the newest.")
@click.option("--max-bytes", type=Size(), metavar="SIZE", help="Keep what fits, the newest.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--enforce", is_flag=True, help="Do what session.maintenance says.")
@pass_session
def prune(
    session: Session,
    *,
    older_than: float | None,
    max_entries: int | None,
    max_bytes: int | None,
    dry_run: bool,
    enforce: bool,
) -> None:
    """
    Take old sessions away, into the archive.

    Without limits, those of session.maintenance count; as long as its mode is "warn", they are only
    told. What is archived too long goes for good.
    """
    pruned = store_of(session).prune(
        older_than=older_than,
        max_entries=max_entries,
        max_disk_bytes=max_bytes,
        dry_run=dry_run,
        enforce=enforce,
    )
    session.output.emit(to_wire(pruned), *_lines(pruned, told_to=dry_run))


@sessions.command()
@KEY
@pass_session
def export(session: Session, /, key: str) -> None:
    """
    Print the session KEY to keep or take elsewhere.

    It is the transcript as JSON Lines, or the entry alone if nothing was said yet. With --json it
    is one document that holds both.
    """
    entry = store_of(session).require(key)
    lines = _transcript(session, entry)
    document = {"session": entry.document(), "transcript": [json.loads(line) for line in lines]}
    if session.output.as_json:
        session.output.emit(document)
        return
    for line in lines or [json.dumps(entry.document(), ensure_ascii=False)]:
        session.output.json(line)


def _lines(pruned: Pruned, *, told_to: bool) -> list[str]:
    verb = "would archive" if pruned.dry_run else "archived"
    whys = (("age", pruned.by_age), ("number", pruned.by_count), ("size", pruned.by_size))
    lines = [
        f"{verb} {style(one_line(each.session_key), fg='cyan')}  " + style(f"({why})", dim=True)
        for why, chosen in whys
        for each in chosen
    ]
    gone = f", {pruned.expired} archived for good" if pruned.expired else ""
    would = "would go" if pruned.dry_run else "went"
    lines.append(
        f"{number_of(len(pruned.removed), 'session')} {would}{gone}, {pruned.kept} stay;"
        f" {size(pruned.bytes_before)} before, {size(pruned.bytes_after)} after"
    )
    if pruned.dry_run and not told_to and (pruned.removed or pruned.expired):
        lines.append("nothing was removed: session.maintenance.mode is 'warn'; use --enforce")
    return lines


def _transcript(session: Session, entry: SessionEntry) -> list[str]:
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    out = io.BytesIO()
    try:
        session.state.transcripts.export(entry.session_id, out)
    except NotFoundError:
        return []
    return [line for line in out.getvalue().decode().split("\n") if line]
