"""Of the two engines that a memory may lie in, one takes records: whoever comes first claims it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.errors import UnavailableError

if TYPE_CHECKING:
    from clawstate.sqlite import Part

_MOVED = "memory_moved"

# A program that has the memory open from before would go on writing where nobody looks.
CLOSE = f"""
CREATE TRIGGER {_MOVED} BEFORE INSERT ON memories BEGIN
    SELECT RAISE(ABORT, 'the memory was moved to another engine; open the state again');
END
"""
"""Refuses records from now on, also those of programs that have the memory open."""

OPEN = f"DROP TRIGGER IF EXISTS {_MOVED}"
"""Takes records again."""


def is_moved(part: Part) -> bool:
    """Tell whether the memory *part* was moved away, and refuses records."""
    sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = ?"
    with part.reading() as connection:
        return bool(connection.execute(sql, (_MOVED,)).get)


def claim(own: Part, other: Part, remedy: str) -> None:
    """
    Have the memory *own*, which may be new, take records, and *other*, which has none, refuse them.

    Two programs may do so at once, each with its engine. Each makes its own memory before it looks
    at the other one, so one of them finds that. Raises `UnavailableError` with *remedy* where the
    other one was faster; then nothing is lost, and this can be called again.
    """
    with own.writing() as connection:
        connection.execute(OPEN)
    if not _is_made(other) or is_moved(other):
        return
    with other.writing() as connection:
        if not connection.execute("SELECT EXISTS (SELECT 1 FROM memories)").get:
            connection.execute(OPEN)
            connection.execute(CLOSE)
        else:
            problem = "another program has just begun to remember there"
            raise UnavailableError(str(other.path), problem, remedy)
    if is_moved(own):
        problem = "another program chose another engine for the memory at this moment"
        raise UnavailableError(str(own.path), problem, "try again")


def _is_made(part: Part) -> bool:
    """Tell whether there is a memory in the database of *part*, and not transcripts alone."""
    if not part.exists():
        return False
    sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'memories'"
    with part.reading() as connection:
        return bool(connection.execute(sql).get)
