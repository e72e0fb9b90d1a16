"""What is wrong with the memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from clawstate.config.settings import MEMORY_PATH
from clawstate.doctor.finding import Finding
from clawstate.errors import CorruptError, StateError
from clawstate.state import State
from clawstate.state.memory_place import left_behind, memory_db, move_memory

_DERIVED = ("the word index", "the vector snapshot")


def check(state: State, *, fix: bool, deep: bool) -> Iterator[Finding]:
    """Look at the database, and at the indexes that derive from it."""
    yield from _left_behind(state, fix=fix)
    path = str(state.paths.memory_db)
    try:
        path = str(memory_db(state.ground))
        problems = state.memory.findings(deep=deep)
        waiting = state.memory.stats()["waiting"]
        slow = state.memory.needs_optimizing()
    except CorruptError as error:
        yield Finding.of(error, path, "restore the newest backup")
        return
    except StateError as error:
        yield Finding.of(error, path, "see the message")
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


def _left_behind(state: State, *, fix: bool) -> Iterator[Finding]:
    with suppress(StateError):  # a setting that means nothing is told of elsewhere
        old, new = left_behind(state.ground), memory_db(state.ground)
        if old is None:
            return
        message = f"holds records that nobody reads: {MEMORY_PATH.path} names {new}"
        if new.exists():
            remedy = (
                "both hold records: 'clawstate memory export' them from here, import them there"
            )
        elif fix:
            remedy = f"moved to {new}; the old file is kept as {move_memory(old, new)}"
        else:
            remedy = f"run 'clawstate doctor --fix' to move it, or unset {MEMORY_PATH.path}"
        yield Finding("memory-left-behind", "warning", str(old), message, remedy)
