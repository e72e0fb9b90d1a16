"""The verbs of `memory` that show conflicts, and settle those with files."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import NAMESPACE, memory
from clawstate.cli.printing import inline, style
from clawstate.cli.session import Session
from clawstate.cli.text_differences import mark_differences
from clawstate.memory.service.conflicts import CONFLICT_SIDES
from clawstate.quantities import number_of
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clawstate.memory.records import MemoryRecord
    from clawstate.memory.service.conflicts import ConflictSide
    from clawstate.memory.versions import Conflict

_SHOWN = 3
_SIDES = "  yours", "  what the file says"


@memory.command(examples=("clawstate memory conflicts",))
@NAMESPACE
@pass_session
def conflicts(session: Session, /, *, namespace: str) -> None:
    """
    Print records that contradict each other, or the files they came from, and what to do.

    'memory resolve' settles those with files.
    """
    store = session.state.memory
    found = store.conflicts(namespace=namespace)
    texts = {}
    if not session.output.as_json:
        texts = store.get_many([each for told in found for each in told.records[:_SHOWN]])
    lines = [line for each in found for line in _lines(each, texts)]
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


def _lines(conflict: Conflict, texts: Mapping[str, MemoryRecord]) -> Iterator[str]:
    named = conflict.records[:_SHOWN]
    others = len(conflict.records) + conflict.more - len(named)
    yield style(f"{conflict.kind} of {inline(conflict.about)}", bold=True)
    kept = [texts[each].text if each in texts else "" for each in named]
    # Each with the first: of two records that is each with the other.
    pairs = [mark_differences(kept[0], each) for each in kept[1:]]
    shown = [pairs[0][0] if len(pairs) == 1 else mark_differences(kept[0], kept[0])[0]]
    shown += [second for _, second in pairs]
    for place, (name, text) in enumerate(zip(named, shown, strict=True)):
        side = _SIDES[min(place, 1)] if conflict.kind == "edited" else ""
        yield f"  {style(inline(name), fg='cyan')}{side}"
        yield f"      {text}"
    if others:
        yield f"  and {others:,} more"
    yield f"  {conflict.advice}"
    about = conflict.about if conflict.kind == "gone" else named[0]
    if conflict.kind in ("edited", "left", "gone"):
        sides = "mine|file|both" if conflict.kind == "edited" else "mine|file"
        yield style(f"  clawstate memory resolve {quote(about)} --keep {sides}", dim=True)
    else:
        told = f"  clawstate memory supersede {quote(named[1])} {quote(named[0])}"
        yield style(f"{told}    # the first one stays", dim=True)
