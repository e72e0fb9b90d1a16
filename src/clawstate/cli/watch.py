"""The noun `watch`: what moves in the state, by any process, as it does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.options import Duration
from clawstate.cli.printing import inline, one_line
from clawstate.cli.session import Session
from clawstate.errors import InvalidError, UnavailableError
from clawstate.records.contract import CollectionSpec
from clawstate.records.layouts import MapLayout
from clawstate.state.opened import part_names

if TYPE_CHECKING:
    from clawstate.state import State
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
    null if it is not known which, and the cursor to go on from: of the lines of one look only the
    last one has a new one, so whoever stops before it is told all of them again. Part and keys are
    null after a cursor that is too old: then anything may have moved. It ends with an error once
    another directory is where the state was.
    """
    state = session.state
    _require_parts(state, parts)
    cursor = state.changes().cursor if since is None else since
    if once and since is None:
        _print(session, {"part": None, "keys": [], "complete": True, "cursor": cursor}, cursor)
    while True:
        try:
            found = state.changes(cursor)
        except UnavailableError as error:
            # Another directory stays one, while a disk that is gone may come back.
            if once or (error.what == str(state.paths.root) and state.paths.root.is_dir()):
                raise
            session.output.warn(str(error))  # a later look may find the disk again
        else:
            lines = list(_lines(found, parts))
            for number, (line, document) in enumerate(lines, 1):
                document["cursor"] = found.cursor if number == len(lines) else cursor
                _print(session, document, line)
            cursor = found.cursor
        if once:
            return
        time.sleep(interval)


def _require_parts(state: State, parts: tuple[str, ...]) -> None:
    """Raise `InvalidError` for a name that is no part: a watch of it would wait for ever."""
    known = part_names() if parts else ()
    for part in parts:
        if any(fnmatchcase(part, each) for each in known) or _is_collection(state, part):
            continue
        names = ", ".join(sorted(each.replace("*", "NAME") for each in known))
        raise InvalidError("PART", f"has no {inline(part)!r}", f"the parts are {names}")


def _is_collection(state: State, kind: str) -> bool:
    """Tell whether a program keeps records of its own as *kind*; where those are files, no."""
    if state.records.keeps_files() or not kind.isprintable():
        return False  # only whoever made a file knows that it holds records
    found = state.collection(CollectionSpec(kind, PurePosixPath("rows-only.json"), MapLayout()))
    return next(iter(found.scan()), None) is not None


def _lines(found: Changes, parts: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a line and its document, which lacks the cursor, for each of *parts* that moved."""
    if not found.complete:
        document = {"part": None, "keys": None, "complete": False}
        yield "anything may have moved: the cursor is too old", document
    for each in found.items:
        if not parts or each.part in parts:
            what = "" if each.keys is None else "  " + ", ".join(map(one_line, each.keys))
            yield inline(each.part) + what, {"part": each.part, "keys": each.keys, "complete": True}


def _print(session: Session, document: dict[str, Any], line: str) -> None:
    if session.output.as_json:
        session.output.json(json.dumps(document, ensure_ascii=False))
    else:
        session.output.emit(document, line)
