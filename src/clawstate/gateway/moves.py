"""`MoveWatch`: records that were moved to another engine are asked for where they lie now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from anyio import to_thread

from clawstate.errors import StateError
from clawstate.gateway.jobs import Jobs
from clawstate.state import State

_OFTEN: Final = 1.0  # seconds between two looks, of some microseconds each


class MoveWatch:
    """
    Looks where records and memory of *state* lie, and calls *moved* once that is elsewhere.

    A state that is open refuses to write where nobody looks any more, so it has to be opened anew;
    not while one of *jobs* works on it.
    """

    def __init__(self, state: State, jobs: Jobs) -> None:
        self._state = state
        self._jobs = jobs
        self._seen = self._places()
        self._task: asyncio.Task[None] | None = None

    def start(self, moved: Callable[[], object]) -> None:
        """Look from now on; called in the event loop, as *moved* is."""
        self._task = asyncio.get_running_loop().create_task(self._watch(moved))

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, moved: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(_OFTEN)
            if not self._jobs.is_busy and await to_thread.run_sync(self._has_moved):
                break
        moved()

    def _has_moved(self) -> bool:
        now = self._places()
        # What cannot be read just now, such as a broken setting, is told to whoever asks.
        return now is not None and self._seen is not None and now != self._seen

    def _places(self) -> tuple[str, str] | None:
        with suppress(StateError):
            return self._state.engine, str(self._state.places.memory())
        return None
