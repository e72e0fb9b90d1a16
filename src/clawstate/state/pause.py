"""One moment in which nobody writes: all writers of a state wait while something short is done."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from clawstate.errors import LockTimeoutError, StateError
from clawstate.files.descriptors import Descriptor
from clawstate.files.lock import FileLocks
from clawstate.sqlite import Part
from clawstate.state.agents import agent_dirs, auth_profiles
from clawstate.state.catalogue import specs
from clawstate.state.context import Context
from clawstate.state.memory_place import memory_db, memory_place

T = TypeVar("T")

_TRIES = 5
_PATIENCE = 3.0  # seconds for the locks of all documents
_GATE = "memories.gate"
_LOOK = 0.01


def pause_writers(context: Context, work: Callable[[], T]) -> T:
    """
    Return what *work* returns, called while no program of ours writes in the state.

    Records, configuration, memory, transcripts and the table of LanceDB stand still; readers go on.
    *work* must not write there, and be short. Raises `LockTimeoutError`.
    """
    for left in reversed(range(_TRIES)):
        try:
            # New changes of records wait for the mover; those that have begun hold the lock of
            # their file.
            with context.backends.moving():
                return _hold_files(context, work)
        except LockTimeoutError:
            # Somebody may wait for a lock of ours while he holds another: let him pass.
            if not left:
                raise
    raise AssertionError("the last try returns or raises")


def _hold_files(context: Context, work: Callable[[], T]) -> T:
    options = replace(context.lock, timeout=_PATIENCE)
    with FileLocks(documents(context), options=options):
        return _hold_databases(_parts(context), lambda: _hold_table(context, work))


def documents(context: Context) -> list[Path]:
    """Return the JSON documents of the state that are there and have a lock."""
    root, config = context.paths.root, context.config
    found = [config.path, config.overlay_path]
    with suppress(StateError):  # a broken configuration names no more files
        found += sorted(each.path for each in config.view().loaded.files)
    others = [path for spec in specs() for path in root.glob(str(spec.path))]
    others += [auth_profiles(context, agent) for agent in agent_dirs(context)]
    others += [root / "state" / "keys.json", root / "sessions" / "profile"]
    return [each for each in dict.fromkeys((*found, *sorted(others))) if os.path.lexists(each)]


def databases(context: Context) -> list[Path]:
    """Return our own databases that are there: memory, transcripts, records."""
    found = [memory_db(context), memory_place(context).database, context.paths.records_db]
    return [each for each in dict.fromkeys(found) if each.is_file()]


def _parts(context: Context) -> list[Part]:
    return [context.backends.database(path).part("pause", ()) for path in databases(context)]


def _hold_databases(parts: Sequence[Part], work: Callable[[], T]) -> T:
    if not parts:
        return work()
    with parts[0].alone():
        return _hold_databases(parts[1:], work)


def _hold_table(context: Context, work: Callable[[], T]) -> T:
    place = memory_place(context)
    if not place.in_directory or not (place.path / _GATE).exists():
        return work()
    descriptor = Descriptor()
    descriptor.open(place.path / _GATE, os.O_RDWR | os.O_CLOEXEC)
    with descriptor as number:
        end = time.monotonic() + context.locks().patience()
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise LockTimeoutError(str(place.path), 0.0, "a program writes it") from None
                time.sleep(_LOOK)
        return work()
