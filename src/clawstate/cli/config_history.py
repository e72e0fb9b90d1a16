"""The verbs of `config` that look at its changes, and take them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawstate.cli.command import pass_session
from clawstate.cli.config import FORCE, PATH, config
from clawstate.cli.options import Day
from clawstate.cli.printing import inline, style
from clawstate.cli.session import Session
from clawstate.clock import to_iso
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.config.history import Change

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_MOST_PATHS = 5

NUMBER = click.argument("number", required=False, type=click.IntRange(min=1))


@config.command()
@pass_session
def history(session: Session) -> None:
    """
    Print the changes that are remembered, the newest last.

    With --agent they are those of the file of this agent, which has its own history.
    """
    changes = session.state.config.history(agent_id=session.agent)
    lines = [_line(each) for each in changes]
    root = session.state.paths.root
    document = {"changes": to_wire(changes, root=root)}
    session.output.emit(document, *(lines or ["nothing was changed yet"]))


@config.command()
@NUMBER
@pass_session
def diff(session: Session, /, number: int | None) -> None:
    """Print what the change NUMBER [the last] did, secrets left out."""
    text = session.state.config.diff(number, agent_id=session.agent)
    lines = [_colour_line(line) for line in text.removesuffix("\n").split("\n")]
    session.output.emit({"diff": text}, *(lines if text else ["only secrets differ"]))


@config.command()
@NUMBER
@FORCE
@pass_session
def undo(session: Session, /, number: int | None, *, force: bool) -> None:
    """
    Put back what was there before the change NUMBER [the last that stands].

    Refused if the file was changed since, unless you --force it. Undoing is a change as well, and
    can be undone by its number.
    """
    change = session.state.config.undo(number=number, force=force, agent_id=session.agent)
    undone = "" if change.undoes is None else f" {change.undoes}"
    line = f"took change{undone} back: {_paths(change)}"
    number_line = style(f"(change {change.number})", dim=True)
    session.output.emit({"change": to_wire(change)}, f"{line}  {number_line}")


@config.command()
@PATH
@click.option("--as-of", type=Day(), metavar="TIME", required=True, help="A day means its end.")
@FORCE
@pass_session
def restore(session: Session, /, path: str, *, as_of: float, force: bool) -> None:
    """
    Make what is at PATH what was written there --as-of a time.

    That is a change as any other, and can be undone. What was not there is removed.
    """
    change = session.state.config.put_back(path, as_of, force=force, agent_id=session.agent)
    told = "it is that already" if change is None else f"restored {_paths(change)}"
    session.output.emit({"change": None if change is None else to_wire(change)}, told)


def _line(change: Change) -> str:
    number = style(f"{change.number:>4}", fg="cyan")
    undone = "" if change.undoes is None else f"  takes {change.undoes} back"
    by = style(inline(f"{change.by}{undone}"), dim=True)
    return f"{number}  {to_iso(change.at)}  {_paths(change)}  {by}"


def _paths(change: Change) -> str:
    named = ", ".join(change.paths[:_MOST_PATHS])
    more = len(change.paths) - _MOST_PATHS
    return inline(f"{named} and {more} more" if more > 0 else named)


def _colour_line(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    return style(inline(line), fg=colour) if colour else inline(line)
