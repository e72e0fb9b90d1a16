"""The noun `watch`: what moves in the state, by any process, as it does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.options import Duration
from clawstate.cli.session import Session
from clawstate.errors import UnavailableError

if TYPE_CHECKING:
    from clawstate.state.feed import Changes


@click.command(
    cls=Command,
    examples=("clawstate watch --once", "clawstate watch sessions transcripts --once --json"),
)
@click.argument("parts", metavar="[PART]...", nargs=-1)
@click.option("--since", metavar="CURSOR", help="Begin with what moved after this cursor [now].")
@click.option(
    "--interval",
    metavar="TIME",
    type=Duration(),
    default=0.2,
    help="How long to wait between two looks [0.2s].",
)
@click.option(
    "--once", is_flag=True, help="Look once: with --since print what moved, else the cursor."
)
@pass_session
def watch(
    session: Session, *, parts: tuple[str, ...], since: str | None, interval: float, once: bool
) -> None:
    """
    Print a line for each part that moves, until interrupted; with --once, what moved so far.

    A PART is config, sessions, transcripts, memory, pairing, devices, or the kind of any records,
    such as auth:main; by default all. With --json each line is a document with the keys that moved,
    null if it is not known which, and the cursor to go on from. Part and keys are null after a
    cursor that is too old: then anything may have moved.
    """
    state = session.state
    cursor = state.changes().cursor if since is None else since
    if once and since is None:
        _print(session, {"part": None, "keys": [], "complete": True, "cursor": cursor}, cursor)
    while True:
        try:
            found = state.changes(cursor)
        except UnavailableError as error:
            if once:
                raise
            session.output.warn(str(error))  # a later look may find the disk again
        else:
            cursor = found.cursor
            for line, document in _lines(found, parts):
                _print(session, document, line)
        if once:
            return
        time.sleep(interval)


def _lines(found: Changes, parts: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    if not found.complete:
        document = {"part": None, "keys": None, "complete": False, "cursor": found.cursor}
        yield "anything may have moved: the cursor is too old", document
    for each in found.items:
        if not parts or each.part in parts:
            what = "" if each.keys is None else "  " + ", ".join(each.keys)
            yield (
                each.part + what,
                {"part": each.part, "keys": each.keys, "complete": True, "cursor": found.cursor},
            )


def _print(session: Session, document: dict[str, Any], line: str) -> None:
    if session.output.as_json:
        session.output.json(json.dumps(document, ensure_ascii=False))
    else:
        session.output.emit(document, line)
