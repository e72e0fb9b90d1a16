"""The noun `store`: in which engine the records lie, and moving them to the other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.options import Engine
from clawstate.cli.printing import one_line, style
from clawstate.cli.session import Session
from clawstate.config.settings import ENGINE_NAMES, MEMORY_ENGINES
from clawstate.quantities import number_of
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.state.memory_moves import MemoryMigration
    from clawstate.state.moved_records import Summary
    from clawstate.state.record_moves import Migration


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=("clawstate store status", "clawstate store migrate --to sqlite"),
)
def store() -> None:
    """See where records lie, and move them to another engine."""


@store.command()
@pass_session
def status(session: Session) -> None:
    """Show which engine keeps the records, how many there are, and what lies in the other."""
    found = session.state.records.summary()
    session.output.emit(to_wire(found), *_summary_lines(found))


@store.command(absent_ok=True, examples=("clawstate store serve", "clawstate store serve --stop"))
@click.option("--status", "look", is_flag=True, help="Only tell whether it runs.")
@click.option("--stop", is_flag=True, help="Stop it.")
@pass_session
def serve(session: Session, *, look: bool, stop: bool) -> None:
    """
    Start a PostgreSQL server of this state's own, for its owner alone; it goes on running.

    It listens on a socket in its directory, with a password in a file of mode 0600 that the address
    names. 'store migrate --to ADDRESS' brings the records there.
    """
    if look and stop:
        raise click.UsageError("--status and --stop exclude each other")
    records = session.state.records
    was_running = records.stop_server() if stop else False
    found = records.server_status() if look or stop else records.start_server()
    document = {
        "running": found.running,
        "address": found.address,
        "home": str(found.home),
        "pid": found.pid,
        "notices": found.notices,
    }
    if stop:
        told = ["stopped" if was_running else "it does not run"]
    elif found.running:
        told = [f"runs as process {found.pid}", f"address   {found.address}"]
        told += [f"changes   {found.notices}"] if found.notices else []
    else:
        told = ["it does not run; 'clawstate store serve' starts it"]
    session.output.emit(document, *told)


@store.command(
    examples=(
        "clawstate store migrate --to sqlite",
        "clawstate store migrate memory --to lancedb --dry-run",
    )
)
@click.argument("what", type=click.Choice(["all", "records", "memory"]), default="all")
@click.option(
    "--to",
    "engine",
    metavar="ENGINE",
    required=True,
    type=Engine(tuple(dict.fromkeys((*ENGINE_NAMES, *MEMORY_ENGINES)))),
    help=f"Where they shall be: {' or '.join(ENGINE_NAMES)} or postgresql://..., the memory "
    f"{' or '.join(MEMORY_ENGINES)} or postgresql://...",
)
@click.option("--dry-run", is_flag=True, help="Tell what would move; write nothing.")
@click.option(
    "--drop-source", is_flag=True, help="Remove what it lay in for good, once all is compared."
)
@pass_session
def migrate(session: Session, *, what: str, engine: str, dry_run: bool, drop_source: bool) -> None:
    """
    Move all records, or the memory, to ENGINE, and keep them there from now on.

    To and from a server memory and transcripts go along. All are copied and compared before
    anything changes; what they lay in is kept until --drop-source or 'store clean', but a memory
    that moves between engines of this machine is emptied there. Run it again if it was killed:
    nothing is lost at any point.
    """
    records = session.state.records
    with session.output.progress("moving", unit="rows") as tell:
        if what == "memory":
            memory = records.migrate_memory(
                engine, dry_run=dry_run, drop_source=drop_source, tell=tell
            )
        else:
            done = records.migrate(
                engine,
                dry_run=dry_run,
                drop_source=drop_source,
                records_only=what == "records",
                tell=tell,
            )
    if what == "memory":
        session.output.emit(to_wire(memory), *_memory_lines(memory))
        return
    session.output.emit(to_wire(done), *_migration_lines(done))
    if done.left:
        raise click.exceptions.Exit(1)


@store.command()
@click.argument("name")
@pass_session
def restore(session: Session, /, name: str) -> None:
    """
    Put the record NAME back, which gave way to another when records were moved.

    What has its place is kept in turn, under the same name.
    """
    found = session.state.records.restore(name)
    document = {"restored": found.name, "kind": found.kind, "key": found.key}
    session.output.emit(document, f"{one_line(found.name)} is back")


@store.command(examples=("clawstate store clean --yes",))
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def clean(session: Session, *, yes: bool) -> None:
    """
    Remove for good what records lay in before they were moved, secrets included.

    Files are unlinked; rows are deleted, and the database is rewritten without its free pages.
    Asks before, unless told not to with --yes.
    """
    records = session.state.records
    found = records.aside()
    if found and not yes:
        if session.output.as_json or not sys.stdin.isatty():
            raise click.UsageError("this removes records for good; repeat it with --yes")
        session.output.say(found.sentence.partition(";")[0])
        click.confirm("remove it for good?", abort=True, err=True)
    done = records.clean() if found else found
    document = {"removed": to_wire(done), "problems": list(done.problems)}
    removed = f"removed {number_of(done.files, 'file')} and {number_of(done.rows, 'row')}"
    told = removed if done else "nothing was set aside"
    session.output.emit(document, told, *done.problems)
    if done.problems:
        raise click.exceptions.Exit(1)


def _memory_lines(done: MemoryMigration) -> Iterator[str]:
    from clawstate.cli.printing import size  # noqa: PLC0415 - see `NOUNS`

    held = number_of(done.records, "record")
    if done.messages:
        held = f"{held} and {number_of(done.messages, 'message')}"
    if not done.done:
        yield "this was a dry run: nothing is written"
        about = f", about {size(done.bytes)}," if done.bytes else ""
        yield f"{held}{about} would move from {done.source} to {done.target}"
    elif done.records or done.messages:
        verb = "lies" if done.records == 1 and not done.messages else "lie"
        there = f", and none in {done.source}" if not done.bytes else ""
        yield f"{held} {verb} in {done.target} now{there}"
    else:
        yield f"nothing to move; the memory lies in {done.target}"


def _summary_lines(found: Summary) -> Iterator[str]:
    from clawstate.cli.printing import table_lines  # noqa: PLC0415 - see `NOUNS`

    shown: dict[str, Any] = {"engine": found.engine, "owner": found.owner}
    yield from table_lines({**shown, **found.counts})
    for each in found.left.counts:
        yield style("left behind", fg="yellow") + f"  {found.left.sentence(each)}"
    for name in found.replaced:
        told = f"{one_line(name)}; 'clawstate store restore' puts it back"
        yield style("replaced", fg="yellow") + f"  {told}"
    if found.aside:
        yield style("set aside", fg="yellow") + f"  {found.aside.sentence}"


def _migration_lines(done: Migration) -> Iterator[str]:
    from clawstate.cli.printing import table_lines  # noqa: PLC0415 - see `NOUNS`

    yield from table_lines({each.store: each.count for each in done.moved})
    for each in done.moved:
        yield from each.notes
    for why in done.left:
        yield f"{style('left', fg='yellow')}  {why}"
    total = sum(each.count for each in done.moved)
    if not done.done:
        yield "this was a dry run: nothing is written"
        yield f"{number_of(total, 'record')} would move to {done.to}"
        if done.memory is not None:
            yield from list(_memory_lines(done.memory))[1:]
        return
    if done.memory is not None:
        yield from _memory_lines(done.memory)
    moved = number_of(total, "record lies", "records lie")
    yield f"{moved} in {done.to} now" if total else f"nothing to move to {done.to}"
    if total:
        where = done.aside if done.aside.exists() else "state/records.db"
        told = f"what they lay in is kept in {where}; remove it with 'clawstate store clean'"
        yield style(told, dim=True)
