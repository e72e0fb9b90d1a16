"""The verbs of `memory` that show conflicts, and settle those with files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import NAMESPACE, memory
from clawstate.cli.printing import inline
from clawstate.cli.session import Session
from clawstate.memory.service.conflicts import CONFLICT_SIDES
from clawstate.quantities import number_of
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawstate.memory.service.conflicts import ConflictSide
    from clawstate.memory.versions import Conflict

_SHOWN = 3


@memory.command(examples=("clawstate memory conflicts",))
@NAMESPACE
@pass_session
def conflicts(session: Session, /, *, namespace: str) -> None:
    """
    Print records that contradict each other, or the files they came from, and what to do.

    'memory resolve' settles those with files.
    """
    found = session.state.memory.conflicts(namespace=namespace)
    lines = [line for each in found for line in _lines(each)]
    session.output.emit({"conflicts": to_wire(found)}, *(lines or ["nothing contradicts itself"]))


@memory.command(
    examples=("clawstate memory resolve a.md --keep file || true    # 3 without a conflict",)
)
@click.argument("about", metavar="ID|FILE")
@click.option(
    "--keep",
    type=click.Choice(CONFLICT_SIDES),
    required=True,
    help="What stays: the memory's, what the file says, or both.",
)
@pass_session
def resolve(session: Session, /, about: str, *, keep: ConflictSide) -> None:
    """
    Settle a conflict between the memory and a file: of the record ID, or of a FILE that is gone.

    Where one of two records gives way, 'memory history' of the other tells what it was. With
    "--keep file", what the file does not say is forgotten.
    """
    from clawstate.cli.record_ids import find_id  # noqa: PLC0415 - see `NOUNS`

    store = session.state.memory
    found = find_id(store, about)
    # Links are kept in what files are known by.
    path = os.path.abspath(Path(about).expanduser())  # noqa: PTH100
    if any(each.about == path for each in store.conflicts(namespace=None)):
        found = path
    gone = store.resolve(found, keep=keep)
    went = f"; {number_of(gone, 'record')} gave way" if gone else ""
    session.output.emit({"kept": keep, "gone": gone}, f"settled{went}")


def _lines(conflict: Conflict) -> Iterator[str]:
    named = conflict.records[:_SHOWN] if conflict.kind == "gone" else conflict.records
    others = len(conflict.records) + conflict.more - len(named)
    also = f" and {others:,} more" if others else ""
    yield f"{conflict.kind} of {inline(conflict.about)}: {', '.join(map(inline, named))}{also}"
    yield f"  {conflict.advice}"
