"""Backups that come by themselves: made when they are due, verified, and pruned by a policy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clawstate import systemd
from clawstate.backup.creating import create
from clawstate.backup.keeping import choose_surplus, policy
from clawstate.backup.listing import backups_in, note_verified
from clawstate.backup.manifest import Backup
from clawstate.backup.verifying import Verification, verify
from clawstate.encryption.sources import require_choice
from clawstate.errors import InvalidError, LockTimeoutError, NotFoundError
from clawstate.files.atomic import make_private_dir
from clawstate.files.paths import effective_home
from clawstate.state import State
from clawstate.state.backup_notes import BackupNote, Schedule

_HOUR: Final = 3600.0
_LEAST: Final = 300.0  # seconds between two backups
_HINT: Final = "--by gateway lets the gateway make them, or cron 'clawstate backup run' each hour"
_LEASE: Final = "backup"
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_NAME = re.compile(r"clawstate-\d{8}T\d{6}Z(-\d+)?\.backup")

Tell = Callable[[int, int, str], object]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a schedule did: nothing, where no backup was due."""

    made: Backup | None = None
    proven: Verification | None = None
    removed: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """
    Whether backups of a state come by themselves, and the *last* one that was verified.

    They go to *folder*, which is not known before there is a first one. *by_timer*: systemd makes
    them, else a gateway that runs. *age* is that of *last*, in seconds; *next* when one is due.
    """

    schedule: Schedule | None
    folder: Path | None
    by_timer: bool
    last: BackupNote | None
    age: float | None
    next: float | None


class Timer:
    """The units of systemd that make backups of the state in *root*; *env* as of the process."""

    def __init__(self, root: Path, env: Mapping[str, str] = os.environ) -> None:
        self.name = systemd.unit_name("backup", root, env)
        folder = systemd.unit_folder(env)
        self.service = folder / f"{self.name}.service"
        self.timer = folder / f"{self.name}.timer"
        self._root = root

    @property
    def is_installed(self) -> bool:
        """Whether the timer is there."""
        return self.timer.is_file()

    def units(self, schedule: Schedule) -> dict[Path, str]:
        """Return what the units say, by their paths."""
        command = systemd.command_line(self._root, "backup", "run")
        # It looks often and makes one when that is due: so a machine that slept through a night
        # makes it in the morning.
        often = int(min(schedule.every, _HOUR))
        service = (
            "[Unit]\n"
            "Description=A backup of clawstate, where one is due\n"
            "\n"
            "[Service]\n"
            "Type=oneshot\n"
            f"ExecStart={command}\n"
            "UMask=0077\n"
            "Nice=10\n"
            "IOSchedulingClass=idle\n"
            "NoNewPrivileges=yes\n"
        )
        timer = (
            "[Unit]\n"
            "Description=Backups of clawstate\n"
            "\n"
            "[Timer]\n"
            "OnStartupSec=5min\n"
            f"OnUnitActiveSec={often}s\n"
            "\n"
            "[Install]\n"
            "WantedBy=timers.target\n"
        )
        return {self.service: service, self.timer: timer}

    def install(self, schedule: Schedule) -> None:
        """Write the units, and start the timer; raises `UnavailableError`."""
        systemd.install(self.units(schedule), self.timer.name, hint=_HINT)

    def uninstall(self) -> bool:
        """Stop and remove them; False if there were none. Raises `UnavailableError`."""
        if not self.is_installed:
            return False
        systemd.uninstall([self.timer, self.service], self.timer.name, hint=_HINT)
        return True


def default_folder(state: State, env: Mapping[str, str] = os.environ) -> Path:
    """Return where backups of *state* go by themselves: below `$XDG_STATE_HOME`."""
    home = env.get("XDG_STATE_HOME", "").strip()
    folder = Path(home) if home else effective_home(env) / ".local" / "state"
    return folder / "clawstate" / "backups" / state.backup_notes.state_id()


def schedule_for(
    state: State,
    *,
    every: float,
    keep: str,
    to: Path | None = None,
    key: str | None = None,
    secrets: bool = True,
) -> Schedule:
    """Return a schedule that can be carried out; raises `InvalidError`."""
    policy(keep)
    if key is not None:
        require_choice(key)
    if every < _LEAST:
        raise InvalidError("every", "is too often", "take five minutes or more")
    folder = default_folder(state) if to is None else to.absolute()
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(state.paths.root)):
        hint = "name a directory elsewhere, best on another disk"
        raise InvalidError("to", "lies inside of the state, and would be lost with it", hint)
    return Schedule(every, keep, str(folder), key, secrets)


def run_due(state: State, *, now: bool = False, tell: Tell = lambda *_: None) -> Run:
    """
    Make a backup if one is due, or *now*, verify it, and remove what the policy does not keep.

    Only files that are backups of this state are removed, never the newest, nor the newest that was
    verified; and nothing while the new one is not proven. Of processes that come together one does
    it, and for the others none is due. Raises `NotFoundError` without a schedule,
    `LockTimeoutError` where *now* another process does it, and what `create` and `verify` raise.
    """
    notes = state.backup_notes
    schedule = notes.schedule()
    if schedule is None:
        raise NotFoundError("schedule", "of backups", "run 'clawstate backup enable'")
    if not now and not _is_due(state):
        return Run()
    try:
        lease = state.records.lease(_LEASE, _HOUR)
    except LockTimeoutError:  # another process makes it
        if now:
            raise
        return Run()
    with lease:
        # Whoever had the lease until now may have made it.
        if not now and not _is_due(state):
            return Run()

        def tell_alive(done: int, total: int, what: str) -> None:
            lease.keep_alive()
            tell(done, total, what)

        return _run(state, schedule, tell_alive)


def next_due(state: State) -> float | None:
    """Return when the next backup is due, in seconds since the epoch; `None`: none ever."""
    schedule = state.backup_notes.schedule()
    if schedule is None:
        return None
    folder = Path(schedule.to)
    made = backups_made(state, folder) if folder.is_dir() else []
    # A moment of slack: the timer must not miss each second time by a second.
    slack = min(60.0, schedule.every / 10)
    return made[-1].created + schedule.every - slack if made else state.clock()


def backup_status(state: State) -> BackupStatus:
    """Return whether backups come by themselves, and what there is; raises `CorruptError`."""
    notes = state.backup_notes
    schedule, last = notes.schedule(), notes.last_verified()
    return BackupStatus(
        schedule=schedule,
        folder=None if schedule is None and notes.known_state() is None else folder_of(state),
        by_timer=schedule is not None and Timer(state.paths.root).is_installed,
        last=last,
        age=None if last is None else max(0.0, state.clock() - last.created),
        next=next_due(state),
    )


def folder_of(state: State) -> Path:
    """Return the directory of backups: of the schedule, or else the usual one."""
    schedule = state.backup_notes.schedule()
    return default_folder(state) if schedule is None else Path(schedule.to)


def path_in(folder: Path, name: str | None, moment: float) -> Path:
    """Return the path of a backup in *folder*, without a *name* one of its time that is free."""
    if name is None:
        return _free(folder, moment)
    if not _PLAIN.fullmatch(name):
        hint = "take letters, digits, '.', '-' and '_', at most 200"
        raise InvalidError("name", "is no name of a file", hint)
    return folder / name


def _is_due(state: State) -> bool:
    due = next_due(state)
    return due is not None and due <= state.clock()


def _run(state: State, schedule: Schedule, tell: Tell) -> Run:
    notes, folder, moment = state.backup_notes, Path(schedule.to), state.clock()
    make_private_dir(folder)
    new = create(
        state, _free(folder, moment), secrets=schedule.secrets, key=schedule.key, tell=tell
    )
    found = verify(new.path, tell=tell)
    note_verified(state, found)
    removed = []
    for each in choose_surplus(backups_made(state, folder), schedule.keep):
        with suppress(FileNotFoundError):
            each.path.unlink()
        notes.forget(each.path)
        removed.append(each.path)
    return Run(replace(new, verified=state.clock()), found, tuple(removed))


def backups_made(state: State, folder: Path) -> list[Backup]:
    """Return the backups in *folder* that a schedule of *state* made, the oldest first."""
    noted = {each.path: each for each in state.backup_notes.backups()}
    mine = state.backup_notes.known_state()
    found = []
    for each in backups_in(folder):
        note = noted.get(str(each.path))
        # An encrypted one does not tell whose it is.
        if not _NAME.fullmatch(each.path.name) or (note is None and each.state != mine):
            continue
        if note is not None:
            each = replace(each, created=note.created, digest=note.digest, verified=note.verified)  # noqa: PLW2901
        found.append(each)
    return sorted(found, key=lambda each: each.created)


def _free(folder: Path, moment: float) -> Path:
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%SZ")
    number, path = 1, folder / f"clawstate-{stamp}.backup"
    while path.exists():
        number += 1
        path = folder / f"clawstate-{stamp}-{number}.backup"
    return path
