"""The verb of `memory` that lists records which say nearly the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.memory import NAMESPACE, memory
from clawstate.cli.options import Fraction, next_page, page_options
from clawstate.cli.printing import inline, style
from clawstate.cli.session import Session
from clawstate.cli.text_differences import mark_differences
from clawstate.quantities import number_of
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.memory.duplicates.values import DuplicateGroup
    from clawstate.memory.records import MemoryRecord

_SHOWN = 4  # records of a group


@memory.command(examples=("clawstate memory duplicates --min-similarity 0.9",))
@page_options
@click.option(
    "--min-similarity",
    type=Fraction(0.8),
    default=0.95,
    show_default=True,
    help="The least cosine of two that are alike.",
)
@NAMESPACE
@pass_session
def duplicates(
    session: Session,
    /,
    *,
    limit: int,
    after: str | None,
    min_similarity: float,
    namespace: str,
) -> None:
    """
    Print records that say nearly the same, in groups, and how to settle them.

    The oldest of a group comes first, and the others show how they differ from it.
    """
    store = session.state.memory
    page = store.duplicates(limit, after, min_similarity=min_similarity, namespace=namespace)
    shown = [each for group in page for each in group.records[:_SHOWN]]
    texts = store.get_many(shown)
    more, told = next_page(page.after)
    lines = [line for each in page for line in _lines(each, texts)]
    if lines:
        lines.append(style("settle: clawstate memory supersede OLD NEW, or forget ID", dim=True))
    document = {"groups": to_wire(page.items), **more}
    session.output.emit(document, *(lines or ["nothing is there twice"]), *told)


def _lines(group: DuplicateGroup, texts: Mapping[str, MemoryRecord]) -> Iterator[str]:
    first = texts.get(group.records[0])
    original = "" if first is None else first.text
    yield f"{style(f'{group.similarity:.2f}', bold=True)}  {inline(group.records[0])}"
    yield f"      {mark_differences(original, original)[0]}"
    pairs = zip(group.records[1:_SHOWN], group.similarities[1:_SHOWN], strict=True)
    for name, similarity in pairs:
        record = texts.get(name)
        yield f"  {similarity:.2f}  {inline(name)}"
        if record is not None and record.text == original:
            yield style("      the same text", dim=True)
        elif record is not None:
            yield f"      {mark_differences(original, record.text)[1]}"
    if others := len(group.records[_SHOWN:]) + group.more:
        yield f"      and {number_of(others, 'more record')}"
