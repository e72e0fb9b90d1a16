"""The ids of records as people type them: a beginning is enough where it names one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.errors import InvalidError

if TYPE_CHECKING:
    from clawstate.memory.service import Memory

_SHORTEST = 4
_SHOWN = 5
_HINT = "write more of it"


def find_id(memory: Memory, text: str) -> str:
    """
    Return the id of the record that *text* means: its id, or a beginning of that id alone.

    A beginning has 4 characters or more, and may be in capitals. Where there is no such record,
    *text* comes back. Raises `InvalidError` for the beginning of several.
    """
    spellings = dict.fromkeys((text, text.lower()))
    for each in spellings:
        if memory.get(each) is not None:
            return each
    if len(text) < _SHORTEST or not text.isprintable():
        return text
    found = dict.fromkeys(id_ for each in spellings for id_ in _matching_ids(memory, each))
    if len(found) > 1:
        shown = ", ".join(list(found)[:_SHOWN])
        more = ", ..." if len(found) > _SHOWN else ""
        raise InvalidError("id", f"{text!r} begins those of several records: {shown}{more}", _HINT)
    return next(iter(found), text)


def _matching_ids(memory: Memory, text: str) -> list[str]:
    """Return the ids that begin with *text*, a few more than are shown at most."""
    # Ids are in order, so all that begin with it follow it.
    page = memory.records(namespace=None, after=text, limit=_SHOWN + 1)
    return [each.id for each in page if each.id.startswith(text)]
