"""Ids as people type them: a beginning is enough where it names one alone; and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import EXIT_NOT_FOUND
from clawstate.errors import InvalidError, NotFoundError, StateError

if TYPE_CHECKING:
    from clawstate.cli.session import Session
    from clawstate.memory.service import Memory

_SHORTEST = 4
_SHOWN = 5
_HINT = "write more of it"


def find_id(memory: Memory, text: str) -> str:
    """
    Return the id of the record that *text* means: its id, or a beginning of that id alone.

    The ids of archived and superseded records count, too. A beginning has 4 characters or more, and
    may be in capitals. Where there is no such record, *text* comes back. Raises `InvalidError` for
    the beginning of several.
    """
    return choose_id(text, lambda beginning: memory.find_ids(beginning, limit=_SHOWN + 1))


def find_archived_id(memory: Memory, text: str) -> str:
    """Return the id of the archived record that *text* means, as `find_id` does."""
    return choose_id(
        text, lambda beginning: memory.find_ids(beginning, limit=_SHOWN + 1, among="archived")
    )


def find_item_id(memory: Memory, text: str) -> str:
    """Return the id of the item of the inbox that *text* means, as `find_id` does."""
    ids = list(waiting_ids(memory))
    return choose_id(text, lambda beginning: [each for each in ids if each.startswith(beginning)])


def waiting_ids(memory: Memory) -> Iterable[str]:
    """Return the ids of the items of the inbox."""
    after: str | None = None
    while True:
        page = memory.inbox(1000, after)
        yield from (each.id for each in page)
        if (after := page.after) is None:
            return


def find_ids(texts: Sequence[str], find: Callable[[str], str]) -> list[str]:
    """Return what *find* finds for *texts*, each once; nothing is done before all are found."""
    return list(dict.fromkeys(map(find, texts)))


def missing_error(memory: Memory, record_id: str) -> StateError:
    """Return the error for the record *record_id*, which is not kept."""
    try:
        memory.require(record_id)
    except NotFoundError as error:
        return error
    # It came between two looks.
    return NotFoundError("memory", record_id, "try again")


def emit_done(
    session: Session, document: dict[str, Any], lines: Sequence[str], missing: Sequence[StateError]
) -> None:
    """
    Tell what was done to several records, and which of them are not there.

    Where none was, it raises the first of *missing*; where some are, the exit code tells.
    """
    if missing and not any(document.values()):
        raise missing[0]
    if missing:
        document["missing"] = [each.args[1] for each in missing]
    session.output.emit(document, *lines)
    end_with(session, missing)


def end_with(session: Session, missing: Sequence[StateError]) -> None:
    """End with the exit code of what is not there, if anything is *missing*, and name it."""
    for each in missing:
        session.output.remark(each)
    if missing:
        raise click.exceptions.Exit(EXIT_NOT_FOUND)


def choose_id(text: str, find: Callable[[str], list[str]], what: str = "records") -> str:
    """Return the one of what *find* gives for *text* that is meant; raises `InvalidError`."""
    spellings = dict.fromkeys((text, text.lower()))
    is_beginning = len(text) >= _SHORTEST and text.isprintable()
    found = dict.fromkeys(each for spelling in spellings for each in find(spelling))
    for each in spellings:
        if each in found:
            return each
    if not is_beginning:
        return text
    if len(found) > 1:
        shown = ", ".join(list(found)[:_SHOWN])
        more = ", ..." if len(found) > _SHOWN else ""
        raise InvalidError("id", f"{text!r} begins those of several {what}: {shown}{more}", _HINT)
    return next(iter(found), text)
