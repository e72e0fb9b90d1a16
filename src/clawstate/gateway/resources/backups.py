"""The operations of the noun `backups`: made, proven, and made by themselves; never restored."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NamedTuple

from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.errors import InvalidError, NotFoundError
from clawstate.files.atomic import make_private_dir
from clawstate.gateway.backup_runs import BackupRuns
from clawstate.gateway.bodies import PAGE_SIZE, Body, Limit
from clawstate.gateway.jobs import JobForm, Tell
from clawstate.gateway.resources.jobs import jobs_of
from clawstate.gateway.routing import Opened, Routes
from clawstate.interrupts import load_modules
from clawstate.wire import to_wire
from clawstate.wire.schemas import records as forms

routes = Routes("backups")

_DAY = 86_400.0
_TOOLS = ("clawstate.backup", "clawstate.backup.listing", "clawstate.backup.schedule")
Key = Annotated[
    str | None,
    Field(max_length=4096, description="keyring, file, file:/path, or passphrase; none: as it is."),
]


class NewBackup(Body):
    """A backup into the directory of backups; without a name it gets one of its time."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    encrypt: Key = None
    secrets: bool = Field(default=True, description="Credentials and keys as well.")
    exclude: tuple[str, ...] = ()


class OneBackup(Body):
    """The path of a backup, one of those that are listed."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]


class NewSchedule(Body):
    """Backups that come by themselves, into the directory of backups."""

    every: float = Field(default=_DAY, description="Seconds; at least 300.")
    keep: Annotated[str, Field(max_length=200, description="Such as `7d,4w`.")] = "7d,4w"
    encrypt: Key = None
    secrets: bool = Field(default=True, description="Credentials and keys as well.")


class Backups(TypedDict):
    """The backups of this state, the newest first."""

    backups: list[forms.Backup]


@routes.read("", forms.BackupStatus)
def overview(state: Opened) -> Any:
    """Return whether backups come by themselves, and how old the last one is that was proven."""
    return _tools().schedule.backup_status(state)


@routes.read("/files", Backups)
def files(state: Opened, *, limit: Limit = PAGE_SIZE) -> Any:
    """Return the backups of this state that are there, the newest first."""
    return {"backups": _tools().listing.backups_of(state)[::-1][:limit]}


@routes.write("/files", JobForm, scope="admin", status=202)
def make(request: Request, state: Opened, body: NewBackup) -> Any:
    """
    Begin to make a backup and to prove it by restoring it once; the job has both as its result.

    `result` is `{"backup": ..., "verification": ...}`.
    """
    tools = _tools()
    folder = tools.schedule.folder_of(state)
    path = tools.schedule.path_in(folder, body.name, state.clock())
    _require_no_question(body.encrypt)

    def work(tell: Tell) -> Any:
        make_private_dir(folder)
        made = tools.backup.create(
            state,
            path,
            secrets=body.secrets,
            key=body.encrypt,
            exclude=body.exclude,
            tell=lambda done, total, _: tell(done, 2 * total, "copying"),
        )
        found = _prove(state, path, lambda done, total: tell(done + total, 2 * total, "proving"))
        return {"backup": to_wire(made), "verification": to_wire(found)}

    return jobs_of(request).begin("backups.make", work).form


@routes.write("/verify", JobForm, scope="admin", status=202)
def prove(request: Request, state: Opened, body: OneBackup) -> Any:
    """Begin to prove a backup by restoring it into a scratch directory; `result` is what held."""
    path = Path(body.path)
    if path not in {each.path for each in _tools().listing.backups_of(state)}:
        raise NotFoundError("backup", body.path, "GET /api/v1/backups/files lists them")

    def work(tell: Tell) -> Any:
        return _prove(state, path, lambda done, total: tell(done, total, "proving"))

    return jobs_of(request).begin("backups.prove", work).form


@routes.write("/run", JobForm, scope="admin", status=202)
def run(request: Request, state: Opened) -> Any:
    """Begin to make the backup that comes by itself now, due or not, as the schedule says."""
    if state.backup_notes.schedule() is None:
        raise NotFoundError("schedule", "of backups", "PUT one to /api/v1/backups/schedule")
    return _runs_of(request).begin(now=True).form


@routes.write("/schedule", forms.BackupStatus, method="PUT", scope="admin")
def set_schedule(request: Request, state: Opened, body: NewSchedule) -> Any:
    """
    Let backups come by themselves while this gateway runs, each proven before older ones go.

    They go to the directory that `clawstate backup enable --to` named, or to the usual one.
    """
    before = state.backup_notes.schedule()
    to = None if before is None else Path(before.to)
    _require_no_question(body.encrypt)
    tools = _tools()
    schedule = tools.schedule.schedule_for(
        state, every=body.every, keep=body.keep, to=to, key=body.encrypt, secrets=body.secrets
    )
    state.backup_notes.set_schedule(schedule)
    _runs_of(request).look()
    return tools.schedule.backup_status(state)


@routes.write("/schedule", forms.BackupStatus, method="DELETE", scope="admin")
def unset_schedule(state: Opened) -> Any:
    """Make no more backups by themselves; those that are there stay."""
    state.backup_notes.set_schedule(None)
    return _tools().schedule.backup_status(state)


class _Tools(NamedTuple):
    """What makes backups: a gateway that makes none starts in two thirds of the time without."""

    backup: ModuleType
    listing: ModuleType
    schedule: ModuleType


def _tools() -> _Tools:
    load_modules(*_TOOLS)
    return _Tools(*map(import_module, _TOOLS))


def _prove(state: Opened, path: Path, tell: Callable[[int, int], object]) -> Any:
    tools = _tools()
    found = tools.backup.verify(path, tell=lambda done, total, _: tell(done, total))
    tools.listing.note_verified(state, found)
    return found


def _require_no_question(key: str | None) -> None:
    """Raise `InvalidError` where a person would be asked for a passphrase: here nobody is."""
    if key != "passphrase":
        return
    from clawstate.encryption.passphrase import has_present  # noqa: PLC0415 - seldom asked for

    if not has_present(lambda: None):
        hint = "name a file with it in CLAWSTATE_PASSPHRASE_FILE, or take keyring or file:/path"
        raise InvalidError("encrypt", "needs a passphrase, and a gateway asks nobody", hint)


def _runs_of(request: Request) -> BackupRuns:
    runs: BackupRuns = request.app.state.backup_runs
    return runs
