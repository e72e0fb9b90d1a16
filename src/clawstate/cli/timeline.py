"""The noun `diff`: what changed between two moments, in all parts."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.options import Day, next_page, page_options
from clawstate.cli.printing import inline, one_line, printable, style
from clawstate.cli.session import Session
from clawstate.clock import to_iso
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.state.timeline import TimelineChange

_PARTS = ("config", "memory", "sessions", "transcripts")
_COLOURS = {"+": "green", "-": "red"}
_MOST_LINES = 12  # of a text that is shown


@click.command(
    cls=Command,
    examples=(
        "clawstate diff",
        "clawstate diff --since 2026-03-01 --until 2026-03-07 --part memory",
    ),
)
@click.option(
    "--since",
    type=Day(),
    metavar="TIME",
    default="24h",
    show_default=True,
    help="A day means its end.",
)
@click.option("--until", type=Day(), metavar="TIME", help="By then [now].")
@click.option("--part", "parts", multiple=True, type=click.Choice(_PARTS), help="Only this part.")
@page_options
@pass_session
def diff(
    session: Session,
    *,
    since: float,
    until: float | None,
    parts: tuple[str, ...],
    limit: int,
    after: str | None,
) -> None:
    """
    Print what changed since a TIME [24 hours ago], the last change first.

    Of what was forgotten nothing is told but that something was. 'restore --as-of' of memory,
    sessions and config makes one thing what it was.
    """
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    page = session.state.timeline.changes(
        since,
        until,
        parts=parts or None,  # type: ignore[arg-type]
        limit=limit,
        after=after,
    )
    more, told = next_page(page.after)
    lines = [line for each in page for line in _lines(each)] or ["nothing changed"]
    session.output.emit({"changes": to_wire(page.items), **more}, *lines, *told)


def _lines(change: TimelineChange) -> Iterator[str]:
    what = f"{change.part} {change.kind}"
    name = style(one_line(change.name), fg="cyan") if change.name else ""
    told = [to_iso(change.at), what, name, *_more(change)]
    yield "  ".join(each for each in told if each)
    if change.part in {"memory", "sessions"}:
        for line in _text_lines(change.before or "", change.after or ""):
            yield f"    {style(line, fg=_COLOURS[line[0]])}"


def _more(change: TimelineChange) -> Iterator[str]:
    if change.kind == "forgotten":
        yield number_of(change.count, "record")
    if change.kind == "said":
        yield number_of(change.count, "message")
    if change.part == "config":
        yield inline(", ".join(change.changed))
        yield style(f"(change {change.number})", dim=True)
    if change.kind == "superseded" and change.changed:
        yield f"by {', '.join(change.changed)}"
    if change.by:
        yield style(inline(change.by), dim=True)


def _text_lines(before: str, after: str) -> list[str]:
    """Return the lines that went and came."""
    pair = printable(before).splitlines(), printable(after).splitlines()
    found = [each for each in difflib.ndiff(*pair) if each[:1] in _COLOURS]
    more = len(found) - _MOST_LINES
    return [*found[:_MOST_LINES], f"+ ... {more} more"] if more > 0 else found
