"""The verbs of `memory` by which records take the place of others, and tell what they were."""

from __future__ import annotations

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import memory, text_of
from clawstate.cli.session import Session
from clawstate.quantities import number_of
from clawstate.wire import to_wire


@memory.command()
@click.argument("old_id", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--tag", "-t", "tags", multiple=True, metavar="TAG", help="All tags anew.")
@pass_session
def supersede(session: Session, /, old_id: str, new: str, *, tags: tuple[str, ...]) -> None:
    """
    Put NEW in the place of the record OLD, and print its id.

    NEW is a text ('-' reads it from stdin), or the id of a record that is kept. Searches and lists
    show OLD no more; 'memory history' does.
    """
    from clawstate.cli.record_ids import find_id  # noqa: PLC0415 - see `NOUNS`

    store = session.state.memory
    changes = {"tags": tags} if tags else {}
    record = store.supersede(find_id(store, old_id), text_of(new), **changes)
    session.output.emit(to_wire(record), record.id)


@memory.command()
@click.argument("record_id", metavar="ID")
@click.option("--clear", is_flag=True, help="Forget what it was; the record stays.")
@pass_session
def history(session: Session, /, record_id: str, *, clear: bool) -> None:
    """Print what the record ID was and is, oldest first, and what took its place."""
    from clawstate.cli.record_ids import find_id  # noqa: PLC0415 - see `NOUNS`
    from clawstate.cli.records_view import version_lines  # noqa: PLC0415 - see `NOUNS`

    store = session.state.memory
    record_id = find_id(store, record_id)
    if clear:
        forgotten = store.forget_history(record_id)
        what = number_of(forgotten, "earlier version")
        session.output.emit({"forgotten": forgotten}, f"forgot {what}")
        return
    versions = store.history(record_id)
    lines = [line for each in versions for line in version_lines(each)]
    session.output.emit({"versions": to_wire(versions)}, *lines)
