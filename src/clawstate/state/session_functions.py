"""The session functions by the specification's names; no opened `State` is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from clawstate.clock import Clock, system_clock
from clawstate.errors import NotFoundError
from clawstate.files.paths import as_file_path
from clawstate.state.opened import open_state
from clawstate.state.sessions import open_index
from clawstate.stores.sessions.entry import Document, SessionEntry
from clawstate.stores.sessions.service import Sessions

A = TypeVar("A")


def resolve_and_persist_session_file(
    session_key: str,
    *,
    session_id: str | None = None,
    store_path: str | os.PathLike[str] | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    clock: Clock = system_clock,
) -> SessionEntry:
    """
    Return the session of *session_key* and its file; a new one is on disk before it is returned.

    The index is the file *store_path*, by default that of the state in *state_dir*. With a
    *session_id* the session has that one from now on. Nothing is written for a session that is as
    it should be. Source: specification section 3.
    """
    with _sessions(store_path, state_dir, clock) as sessions:
        while True:
            entry = sessions.resolve(session_key)
            if session_id is None or session_id == entry.session_id:
                return entry
            with suppress(NotFoundError):  # somebody deleted it in between
                return sessions.update(session_key, {"sessionId": session_id})


def update_session_store(
    store_path: str | os.PathLike[str] | None,
    mutator: Callable[[dict[str, Document]], A],
    *,
    state_dir: str | os.PathLike[str] | None = None,
    clock: Clock = system_clock,
) -> A:
    """
    Let *mutator* alter all entries of an index in place, in one step, and return what it returns.

    The index is the file *store_path*, or with `None` that of the state in *state_dir*. The mutator
    is given the entries as in their documents, by session key, and is called again when others were
    faster. Entries that it removes go to the archive. Source: specification section 3.
    """
    with _sessions(store_path, state_dir, clock) as sessions:
        return sessions.update_store(mutator)


@contextmanager
def _sessions(
    store_path: str | os.PathLike[str] | None,
    state_dir: str | os.PathLike[str] | None,
    clock: Clock,
) -> Iterator[Sessions]:
    if store_path is not None:
        yield open_index(
            as_file_path(store_path, "store_path").expanduser().absolute(), clock=clock
        )
        return
    with open_state(state_dir, clock=clock) as state:
        yield state.sessions
