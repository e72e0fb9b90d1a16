"""`BackupRuns`: the gateway makes the backups that are due, whoever else may do so as well."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from anyio import to_thread

from clawstate.errors import ConflictError, StateError
from clawstate.gateway.jobs import CancelledError, Job, Jobs, Tell
from clawstate.gateway.journal import Journal
from clawstate.interrupts import load_modules
from clawstate.state import State
from clawstate.wire import to_wire

KIND: Final = "backups.run"

_OFTEN: Final = 60.0  # seconds between two looks: a schedule is in hours
_REST: Final = 3600.0  # seconds after a run that failed, as on a full disk


class BackupRuns:
    """
    The runs of the schedule of *state*, each one of *jobs*.

    Where a timer of systemd makes them too, or cron, whoever comes first does it: see `run_due`.
    """

    def __init__(self, state: State, jobs: Jobs, journal: Journal) -> None:
        self._state = state
        self._jobs = jobs
        self._journal = journal
        self._rests_until = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on; called in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._watch())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """Look now, as after the schedule was changed; safe for threads."""
        self._rests_until = 0.0
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wanted.set)

    def begin(self, *, now: bool = False) -> Job:
        """Begin a run, also one that is not due *now*; raises `ConflictError` while one goes on."""

        def work(tell: Tell) -> Any:
            load_modules("clawstate.backup.schedule")
            from clawstate.backup.schedule import run_due  # noqa: PLC0415 - see `_begin_due`

            try:
                done = run_due(self._state, now=now, tell=lambda a, b, _: tell(a, b, ""))
            except CancelledError:
                self._rests_until = self._state.clock() + _REST
                raise
            except StateError as error:
                self._rests_until = self._state.clock() + _REST
                self._journal.note_failure("backup", error.code)
                raise
            return {
                "backup": to_wire(done.made),
                "verification": to_wire(done.proven),
                "removed": [str(each) for each in done.removed],
            }

        return self._jobs.begin(KIND, work)

    async def _watch(self) -> None:
        while True:
            await to_thread.run_sync(self._begin_due)
            self._wanted.clear()
            try:
                async with asyncio.timeout(_OFTEN):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    def _begin_due(self) -> None:
        try:
            if self._state.backup_notes.schedule() is None:
                return
            # Loaded here: most gateways have no schedule, and start faster without.
            load_modules("clawstate.backup.schedule")
            from clawstate.backup.schedule import next_due  # noqa: PLC0415

            due, now = next_due(self._state), self._state.clock()
            if due is None or now < due or 0 < self._rests_until - now < _REST:
                return
            self.begin()
        except ConflictError:  # one goes on
            return
        except StateError as error:  # notes that cannot be read, which doctor tells of
            self._journal.note_failure("backup", error.code)
