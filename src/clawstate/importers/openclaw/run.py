"""`import_openclaw`: everything that OpenClaw keeps in files, and since 2026.7 in databases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as replace_in
from pathlib import Path

from clawstate.config.agents import MAIN_AGENT, default_agent
from clawstate.errors import ElsewhereWarning, InvalidError, StateError, silent
from clawstate.files.paths import normalise_agent_id
from clawstate.importers.openclaw.channels import take_channels
from clawstate.importers.openclaw.configuration import read_values, take_configuration
from clawstate.importers.openclaw.credentials import take_credentials
from clawstate.importers.openclaw.databases import Databases, documents
from clawstate.importers.openclaw.devices import (
    take_device_auth,
    take_devices,
    take_identity,
    take_marks,
)
from clawstate.importers.openclaw.job import Job, Progress, Settings
from clawstate.importers.openclaw.memories import take_memories
from clawstate.importers.openclaw.report import KINDS, LEFT, OF_AGENTS, SECRETS, Report
from clawstate.importers.openclaw.secrets import take_secrets
from clawstate.importers.openclaw.sessions import take_sessions
from clawstate.importers.openclaw.skipped import count_skipped
from clawstate.importers.openclaw.source import Role, Source, discover, reason_of
from clawstate.importers.openclaw.transcript_rows import take_media
from clawstate.importers.openclaw.transcripts import take_transcripts
from clawstate.importers.openclaw.workspace import find_workspaces, take_workspaces
from clawstate.records.contract import Lease
from clawstate.state.opened import State

_LEASE = "import:openclaw"
_TTL = 600.0  # seconds that one file takes at most; a holder that died is not waited for


def import_openclaw(
    state: State,
    path: Path,
    *,
    kinds: Collection[str] = (),
    agents: Iterable[str] = (),
    dry_run: bool = False,
    replace: bool = False,
    archives: bool = False,
    secrets: bool = False,
    progress: Progress | None = None,
) -> Report:
    """
    Take over what the directory *path* of OpenClaw holds, and return what became of it.

    *path* is only read, and no lock of it is taken; OpenClaw may run. An import can be repeated,
    and resumed after it was killed: what is here already is not taken again. Where both sides have
    something, the session that was updated last stays, and otherwise ours, unless *replace*; the
    configuration and the key pair of this device stay in any case. Where OpenClaw has something in
    a database and in a file, the database counts. Only *kinds* are taken, or what belongs to
    *agents*, all by default; with *archives* also the transcripts of sessions that were reset or
    deleted, and with *secrets* those of OpenClaw's store of secrets. A *dry_run* writes nothing and
    returns the same counts.

    Raises `NotFoundError`, `UnavailableError` for *path*, `InvalidError` for a kind that does not
    exist, and `LockTimeoutError` or `LeaseLostError` when another such import is at work. Whatever
    else is wrong is a remark in the report.
    """
    named = frozenset(normalise_agent_id(each) for each in agents)
    wanted = _choose_kinds(kinds, of_agents=bool(named))
    source = Source.at(path)
    report = Report(str(source.root), dry_run)
    settings = Settings(
        dry_run=dry_run,
        agents=named,
        replace=replace,
        archives=archives,
        secrets=secrets or SECRETS in kinds,
    )
    # Before anything is taken, so that all kinds see the same moment of each database.
    databases = Databases.of(source)
    lease = None
    try:
        rows = documents(source, databases, report, now=state.clock(), wanted=wanted)
        job = _job(Job(source, state, rows, report, settings, databases=databases), progress)
        if job.files and not dry_run:  # a look writes nothing, not even a lease
            lease = state.records.lease(_LEASE, _TTL, wait=_TTL)
            job = replace_in(job, advance=_renew_and(lease, job.advance))
        report.is_home = job.is_home()
        # OpenClaw's records are taken over just now: the warning that they lie elsewhere would be
        # wrong.
        if report.is_home:
            _open_silently(state)
        for kind, take in _steps(job).items():
            if kind in wanted:
                take()
        # A part of an import says nothing about what it was not asked for.
        if not kinds and not named:
            count_skipped(job)
        job.advance(sum(each.entry.size for each in job.files), "")
    finally:
        databases.close()
        if lease is not None:
            lease.release()
    for place, error in databases.failures:
        report.fail(LEFT, place, reason_of(error))
    return report


def _choose_kinds(kinds: Collection[str], *, of_agents: bool) -> frozenset[str]:
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidError("kind", f"there is no {kind!r}", f"choose from {', '.join(KINDS)}")
    return frozenset(kinds or (OF_AGENTS if of_agents else KINDS))


def _job(found: Job, progress: Progress | None) -> Job:
    """Return *found*, which knows the databases alone, with all files of the source."""
    plain = replace_in(found, files=(*found.files, *discover(found.source)))
    values = read_values(plain)
    agent = default_agent(values)
    # The default agent is known from the configuration only, and files of older releases belong to
    # it.
    files = plain.files
    if agent != MAIN_AGENT:
        files = (*found.files, *discover(found.source, default_agent=agent))
    total = sum(each.entry.size for each in files if each.role is not Role.OTHER)
    advance = _Meter(total, progress).advance
    return replace_in(plain, files=files, default_agent=agent, values=values, advance=advance)


def _steps(job: Job) -> Mapping[str, Callable[[], None]]:
    workspaces = find_workspaces(job)
    return {
        "config": lambda: take_configuration(job),
        "auth": lambda: take_credentials(job),
        "sessions": lambda: take_sessions(job),
        "transcripts": lambda: take_transcripts(job),
        "media": lambda: take_media(job),
        "channels": lambda: take_channels(job),
        "identity": lambda: take_identity(job),
        "device-auth": lambda: take_device_auth(job),
        "devices": lambda: take_devices(job),
        "memory": lambda: take_memories(job, workspaces),
        "workspace": lambda: take_workspaces(job, workspaces),
        "dedupe": lambda: take_marks(job),
        SECRETS: lambda: take_secrets(job),
    }


def _open_silently(state: State) -> None:
    """Open the stores whose records lie in OpenClaw's databases: they are taken over just now."""
    with silent(ElsewhereWarning):
        for name in ("auth", "sessions", "device_auth", "devices"):
            with suppress(StateError):  # told of the kind that needs it
                getattr(state, name)


def _renew_and(lease: Lease, advance: Callable[[int, str], None]) -> Callable[[int, str], None]:
    def renew(size: int, path: str) -> None:
        lease.keep_alive()
        advance(size, path)

    return renew


@dataclass(slots=True)
class _Meter:
    total: int
    progress: Progress | None
    done: int = 0

    def advance(self, size: int, path: str) -> None:
        """Tell that *size* more bytes are done, at *path*."""
        self.done = min(self.done + size, self.total)
        if self.progress is not None:
            self.progress(self.done, self.total, path)
