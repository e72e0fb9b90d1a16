"""What is wrong with the memory."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.doctor.finding import Finding
from clawstate.errors import CorruptError, StateError
from clawstate.state import State

_DERIVED = ("the word index", "the vector snapshot")


def check(state: State, *, fix: bool, deep: bool) -> Iterator[Finding]:
    """Look at the database, and at the indexes that derive from it."""
    path = str(state.paths.memory_db)
    try:
        problems = state.memory.findings(deep=deep)
        waiting = state.memory.stats()["waiting"]
        slow = state.memory.needs_optimizing()
    except CorruptError as error:
        yield Finding(error.code, "error", path, str(error), "restore the newest backup")
        return
    except StateError as error:
        yield Finding(error.code, "error", path, str(error), "see the message")
        return
    derived = [each for each in problems if each.startswith(_DERIVED)]
    for problem in problems:
        if problem not in derived:
            yield Finding("memory-damage", "error", path, problem, "restore the newest backup")
    remedy = "run 'clawstate doctor --fix'"
    if fix and (derived or waiting or slow):
        state.memory.rebuild() if derived else state.memory.optimize()
        remedy = "built anew" if derived else "done"
    for problem in derived:
        yield Finding("memory-index", "warning", path, problem, remedy)
    if waiting:
        message = f"{waiting} records wait for their vectors"
        yield Finding("memory-waiting", "info", path, message, remedy)
    if slow:
        message = "the vector index is missing or far behind; searches are slower than need be"
        yield Finding("memory-slow", "info", path, message, remedy)
