"""The noun `store`: in which engine the records lie, and moving them to the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.printing import style
from clawstate.cli.session import Session

if TYPE_CHECKING:
    from clawstate.state.record_moves import Migration
    from clawstate.state.record_summary import Summary


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
    from clawstate.state.record_summary import summarise  # noqa: PLC0415 - see `NOUNS`

    found = summarise(session.state.ground)
    document = {
        "engine": found.engine,
        "owner": found.owner,
        "records": dict(found.counts),
        "leftBehind": {"engine": found.left.engine, "records": dict(found.left.counts)},
    }
    session.output.emit(document, *_summary_lines(found))


@store.command()
@click.option(
    "--to",
    "engine",
    metavar="ENGINE",
    required=True,
    type=click.Choice(["file", "sqlite"]),
    help="Where the records shall be: file or sqlite.",
)
@pass_session
def migrate(session: Session, *, engine: str) -> None:
    """
    Move all records to ENGINE, and keep them there from now on.

    All are copied and compared before the setting changes; what they lay in is kept aside. Run it
    again if it was killed: nothing is lost at any point.
    """
    from clawstate.state.record_moves import migrate as move  # noqa: PLC0415 - see `NOUNS`

    with session.output.progress("moving", unit="kinds") as tell:
        done = move(session.state.ground, engine, tell=tell)
    document = {
        "to": done.to,
        "records": {each.store: each.count for each in done.moved},
        "kept": {each.store: list(each.kept) for each in done.moved if each.kept},
        "replaced": {each.store: list(each.replaced) for each in done.moved if each.replaced},
        "aside": str(done.aside) if done.aside.exists() else None,
        "left": list(done.left),
    }
    session.output.emit(document, *_migration_lines(done))
    if done.left:
        raise click.exceptions.Exit(1)


def _summary_lines(found: Summary) -> Iterator[str]:
    from clawstate.cli.tables import aligned  # noqa: PLC0415 - see `NOUNS`

    shown: dict[str, Any] = {"engine": found.engine, "owner": found.owner}
    yield from aligned({**shown, **found.counts})
    for each in found.left.counts:
        yield style("left behind", fg="yellow") + f"  {found.left.sentence(each)}"


def _migration_lines(done: Migration) -> Iterator[str]:
    from clawstate.cli.tables import aligned, counted  # noqa: PLC0415 - see `NOUNS`

    yield from aligned({each.store: each.count for each in done.moved})
    for each in done.moved:
        yield from (f"{each.store}: {key} is there already, and stays" for key in each.kept)
        yield from (f"{each.store}: {key} replaced another there" for key in each.replaced)
    for why in done.left:
        yield f"{style('left', fg='yellow')}  {why}"
    total = sum(each.count for each in done.moved)
    moved = f"{counted(total, 'record')} {'lies' if total == 1 else 'lie'}"
    yield f"{moved} in {done.to} now" if total else f"nothing to move to {done.to}"
    if done.aside.exists():
        yield style(
            f"what they lay in is kept in {done.aside}; remove it when all is well", dim=True
        )
