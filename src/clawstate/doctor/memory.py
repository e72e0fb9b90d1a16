"""What is wrong with the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from clawstate.config.settings import MEMORY_PATH
from clawstate.errors import CorruptError, StateError
from clawstate.health import FIX, Finding
from clawstate.state import State


def check(state: State, *, deep: bool) -> Iterator[Finding]:
    """Look at the database, and at the indexes that derive from it."""
    yield from _left_behind(state)
    path = str(state.paths.memory_db)
    try:
        path = str(state.places.memory_db())
        yield from state.memory.check(deep=deep)
    except CorruptError as error:
        yield Finding.of(error, path, "restore the newest backup")
    except StateError as error:
        yield Finding.of(error, path, "see the message")


def _left_behind(state: State) -> Iterator[Finding]:
    with suppress(StateError):  # a setting that means nothing is told of elsewhere
        old, new = state.places.memory_left_behind(), state.places.memory_db()
        if old is None:
            return
        message = f"holds records that nobody reads: {MEMORY_PATH.path} names {new}"
        remedy = f"{FIX} to move it, or unset {MEMORY_PATH.path}"
        repair: Callable[[], str] | None = partial(_moved, state, old, new)
        if new.exists():
            remedy = (
                "both hold records: 'clawstate memory export' them from here, import them there"
            )
            repair = None
        yield Finding("memory-left-behind", "warning", str(old), message, remedy, repair=repair)


def _moved(state: State, old: Path, new: Path) -> str:
    return f"moved to {new}; the old file is kept as {state.places.move_memory(old, new)}"
