"""`Jobs`: work that outlasts its request: begun, looked at, told of as it goes, and cancelled."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from typing_extensions import TypedDict

from clawstate.clock import Clock, to_ms
from clawstate.errors import ConflictError, NotFoundError, StateError, UnavailableError
from clawstate.gateway.answers import ErrorDetail
from clawstate.interrupts import Mutex
from clawstate.wire import to_wire

_REMEMBERED: Final = 64  # jobs that are over
_PAUSE: Final = 0.1  # seconds between two messages about one job
_GRACE: Final = 3.0  # seconds that a job has at the end of the gateway

Stage = Literal["running", "done", "failed", "cancelled"]

Tell = Callable[[int, int, str], None]
"""Is told how much is done, of how much, and what is next."""

Work = Callable[[Tell], Any]
"""Does the work of a job, and tells how far it is; what it returns is sent in its JSON form."""


class JobForm(TypedDict):
    """
    Work that goes on, or is over: how much of it is `done` of `total`, and what came of it.

    `kind` is the operation that began it. Only one that is `running` has no `endedMs`. A `failed`
    one has an `error`, as errors are, and a `done` one a `result`, as the noun tells of it.
    """

    id: str
    kind: str
    state: Stage
    done: int
    total: int
    step: str
    startedMs: int
    endedMs: int | None
    result: Any
    error: ErrorDetail | None


class CancelledError(StateError):
    """Somebody asked that a job ends."""

    code = "cancelled"

    def __str__(self) -> str:
        return "it was cancelled; begin it again to go on"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now; times in seconds since the epoch."""

    id: str
    kind: str
    started: float
    state: Stage = "running"
    done: int = 0
    total: int = 0
    step: str = ""
    ended: float | None = None
    result: Any = None
    error: StateError | None = None

    @property
    def form(self) -> JobForm:
        """What is sent of it."""
        error = self.error
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "step": self.step,
            "startedMs": to_ms(self.started),
            "endedMs": None if self.ended is None else to_ms(self.ended),
            "result": self.result,
            "error": None if error is None else {"type": error.code, "message": str(error)},
        }


class Jobs:
    """
    The jobs of one gateway, each in a thread of its own; they end with it. Safe for threads.

    *note_defect* is given what no job may raise. A bounded number that are over is remembered.
    """

    def __init__(
        self,
        clock: Clock,
        note_defect: Callable[[BaseException], object],
    ) -> None:
        self._clock = clock
        self._tell: Callable[[Job], object] = lambda _: None
        self._note_defect = note_defect
        self._mutex = Mutex()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._cancelled: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._is_over = False

    def follow(self, tell: Callable[[Job], object]) -> None:
        """Let *tell* be given each job whose state or progress changed, in place of who was."""
        self._tell = tell

    @property
    def is_busy(self) -> bool:
        """Whether one runs."""
        with self._mutex:
            return any(each.state == "running" for each in self._jobs.values())

    def begin(self, kind: str, work: Work) -> Job:
        """
        Begin *work*, and return its job; raises `ConflictError` while one of this *kind* runs.

        To cancel it, what it tells its progress raises `CancelledError`: *work* lets go of what it
        has, and leaves the state usable, as after any other error.
        """
        job = Job(secrets.token_hex(8), kind, self._clock())
        thread = threading.Thread(
            target=self._run, args=(job.id, work), name=f"clawstate-{kind}", daemon=True
        )
        with self._mutex:
            if self._is_over:
                raise UnavailableError("gateway", "is about to end", "try again in a moment")
            for each in self._jobs.values():
                if each.kind == kind and each.state == "running":
                    raise ConflictError("job", each.id, f"one of {kind} runs; wait, or cancel it")
            self._jobs[job.id] = job
            self._cancelled[job.id] = threading.Event()
            self._threads[job.id] = thread
            self._forget_old()
        thread.start()
        return job

    def all(self) -> list[Job]:
        """Return the jobs, the newest first."""
        with self._mutex:
            return list(reversed(self._jobs.values()))

    def require(self, job_id: str) -> Job:
        """Return a job; raises `NotFoundError`."""
        with self._mutex:
            found = self._jobs.get(job_id)
        if found is None:
            raise NotFoundError("job", job_id, "a gateway forgets its jobs when it ends")
        return found

    def running(self, kind: str) -> Job | None:
        """Return the job of *kind* that runs now, if there is one."""
        found = (each for each in self.all() if each.kind == kind and each.state == "running")
        return next(found, None)

    def cancel(self, job_id: str) -> Job:
        """Ask that a job ends, and return it as it is; nothing for one that is over."""
        found = self.require(job_id)
        with self._mutex:
            asked = self._cancelled.get(job_id)
        if asked is not None:
            asked.set()
        return found

    def close(self) -> None:
        """Cancel all, and wait a moment for them: each leaves what it works on usable."""
        with self._mutex:
            self._is_over = True
            asked, threads = list(self._cancelled.values()), list(self._threads.values())
        for each in asked:
            each.set()
        for thread in threads:
            thread.join(_GRACE)

    def _run(self, job_id: str, work: Work) -> None:
        with self._mutex:
            cancelled = self._cancelled[job_id]
        last = 0.0

        def tell(done: int, total: int, step: str) -> None:
            nonlocal last
            if cancelled.is_set():
                raise CancelledError
            now = self._clock()
            is_due = not 0 <= now - last < _PAUSE
            self._put(job_id, told=is_due, done=done, total=total, step=step)
            last = now if is_due else last

        try:
            result = to_wire(work(tell))
        except CancelledError as error:
            self._end(job_id, "cancelled", error=error)
        except StateError as error:
            self._end(job_id, "failed", error=error)
        except Exception as error:  # noqa: BLE001 - as the server does it of a request
            told = UnavailableError("gateway", "met a defect of clawstate", "its log tells more")
            self._end(job_id, "failed", error=told)
            self._note_defect(error)
        else:
            self._end(job_id, "done", result=result)

    def _end(self, job_id: str, state: Stage, **members: Any) -> None:
        with self._mutex:
            self._cancelled.pop(job_id)
            self._threads.pop(job_id)
        self._put(job_id, told=True, state=state, ended=self._clock(), **members)

    def _put(self, job_id: str, *, told: bool, **members: Any) -> None:
        with self._mutex:
            job = self._jobs[job_id] = replace(self._jobs[job_id], **members)
        if told:
            with suppress(RuntimeError):  # the loop of the gateway has ended
                self._tell(job)

    def _forget_old(self) -> None:
        over = [each.id for each in self._jobs.values() if each.state != "running"]
        for each in over[: max(0, len(over) - _REMEMBERED)]:
            del self._jobs[each]
