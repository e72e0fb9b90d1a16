"""What may be added to a session: the rules of turns and of imports, the same on every engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from clawstate.errors import ConflictError, InvalidError, NotFoundError
from clawstate.files.json_text import is_same_json
from clawstate.health import FIX, Finding
from clawstate.quantities import number_of
from clawstate.records.contract import Json, Mark
from clawstate.stores.transcripts import tool_calls
from clawstate.stores.transcripts.contract import Batch, BatchResult, Turn
from clawstate.stores.transcripts.entries import Entry, new_id
from clawstate.stores.transcripts.values import CONTRADICTION

_LOOKED_BACK = 1_000  # entries in which a result finds its call


class Session(Protocol):
    """What a turn is checked against: a session inside the transaction that changes it."""

    @property
    def session_id(self) -> str:
        """The id of the session."""

    @property
    def leaf(self) -> str | None:
        """The id of the newest entry before the turn."""

    def holds(self, entry_id: str) -> bool:
        """Tell whether an entry has this id, those that the turn added among them."""

    def line(self, entry_id: str) -> str | None:
        """Return the line of an entry."""

    def newest(self, limit: int) -> Iterable[Mapping[str, Json]]:
        """Give the newest entries."""

    def turn(self, name: str) -> tuple[bytes, list[str]] | None:
        """Return the digest of the turn *name* and the ids of its entries."""


def find_repeated(session: Session, turn: Turn) -> list[str] | None:
    """Return the ids of *turn* if it is kept already; `ConflictError` for another of its name."""
    found = None if turn.name is None else session.turn(turn.name)
    if found is None:
        return None
    digest, ids = found
    # Answering with the ids of another turn would make the caller believe that his was kept.
    if digest != turn.digest:
        hint = "another turn has this name; give each turn a name of its own"
        raise ConflictError("turn", str(turn.name), hint)
    return ids


def place(session: Session, turn: Turn) -> Iterator[Entry]:
    """
    Give the entries of *turn* with ids and parents; each is added before the next is asked for.

    Raises `ConflictError` where the session has another newest entry than expected, `InvalidError`
    for an id that is taken and for results without calls, `NotFoundError` for unknown parents.
    """
    wanted = None if isinstance(turn.expect_leaf, Mark) else turn.expect_leaf
    if turn.expect_leaf is not Mark.ANY and session.leaf != wanted:
        hint = "read its newest messages, then append again"
        raise ConflictError("transcript", session.session_id, hint)
    if turn.parent is not None:
        _require_known(session, turn.parent)
    # Before the first entry is added, so a refused turn costs no writes to be rolled back.
    if turn.strict:
        _require_paired(session, turn)
    previous = turn.parent or session.leaf
    for entry in turn.entries:
        # The one before was inserted by now, so its id is taken and may be a parent.
        placed = entry.with_place(_free_id(session, entry.id), previous)
        if not entry.loose and placed.parent is not None:
            _require_known(session, placed.parent)
        yield placed
        previous = placed.id


def merge(session: Session, batch: Batch, insert: Callable[[Entry], object]) -> BatchResult:
    """
    Add with *insert* what is new of an import; an entry that is there already stays.

    One that contradicts an entry of its id, or that *insert* refuses, is a problem of its line.
    """
    added, kept = 0, 0
    problems: list[tuple[int, str]] = []
    for number, entry in batch:
        try:
            # Line by line, so that a wrong one is told and passed over while the rest of its batch
            # is kept.
            old = session.line(str(entry.id))
            if old is None:
                insert(entry)
                added += 1
            elif same_line(old, entry):
                kept += 1
            else:
                problems.append((number, f"{CONTRADICTION} {entry.id!r}"))
        except InvalidError as error:
            problems.append((number, error.problem))
    return BatchResult(added, kept, tuple(problems))


def same_line(old: str, entry: Entry) -> bool:
    """Tell whether the line *old* says what *entry* says, however it is laid out."""
    new = entry.line
    return old == new or is_same_json(json.loads(old), json.loads(new))


def unknown_message(session_id: str, entry_id: str) -> NotFoundError:
    """Return the error about an entry that the session does not have."""
    return NotFoundError("message", entry_id, f"{session_id} has no message of this id")


def unknown_session(session_id: str) -> NotFoundError:
    """Return the error about a session without a transcript."""
    hint = "'clawstate transcripts stats' tells what is kept"
    return NotFoundError("transcript", session_id, hint)


def session_exists(session_id: str) -> InvalidError:
    """Return the error about a new session that has a transcript."""
    return InvalidError("session id", f"{session_id!r} has a transcript already")


DAMAGE, INDEX, ORPHAN = "transcript-damage", "transcript-index", "transcript-orphan"
"""Codes of findings: what only a backup restores, what is made anew, what came as it is."""


def finding(
    code: str, path: Path, sentence: str, *, rebuild: Callable[[], str] | None = None
) -> Finding:
    """Return what an engine found at *path*; *rebuild* makes the word index anew."""
    if code == DAMAGE:
        return Finding(code, "error", str(path), sentence, "restore the newest backup")
    if code == INDEX:
        return Finding(code, "warning", str(path), sentence, FIX, repair=rebuild)
    # Not mended: what was said stays as it was said.
    told = "kept as it was given; leave it out when you replay the session"
    return Finding(code, "warning", str(path), sentence, told)


def broken_chain(session_id: str, count: int) -> str:
    """Return the sentence about entries whose parents are not before them."""
    told = number_of(count, f"message of {session_id} follows", f"messages of {session_id} follow")
    return f"{told} one that is not before"


def orphan_results(session_id: str, orphans: Sequence[str]) -> str:
    """Return the sentence about results of tools that answer no call."""
    first = orphans[0]
    one, many = f"tool result of {session_id} answers", f"tool results of {session_id} answer"
    return f"{number_of(len(orphans), one, many)} no call, the first of them {first}"


def _require_known(session: Session, entry_id: str) -> None:
    if not session.holds(entry_id):
        raise unknown_message(session.session_id, entry_id)


def _free_id(session: Session, given: str | None) -> str:
    if given is not None:
        if session.holds(given):
            hint = "leave the id out, or give another one"
            raise InvalidError("id", f"{given!r} is taken in this session", hint)
        return given
    while True:
        made = new_id()
        if not session.holds(made):
            return made


def _require_paired(session: Session, turn: Turn) -> None:
    entries = [entry.value for entry in turn.entries]
    outside = {result for entry in entries for result in tool_calls.results(entry)}
    outside -= {call for entry in entries for call in tool_calls.calls(entry)}
    before: dict[str, int] = {}
    # Most turns bring calls and results together, and need no look at what was there before.
    if outside:
        earlier = list(session.newest(_LOOKED_BACK))
        before = {call: 0 for entry in earlier for call in tool_calls.calls(entry)}
        for entry in earlier:
            for result in tool_calls.results(entry):
                before[result] = before.get(result, 0) + 1
    tool_calls.require_paired(entries, before)
