"""
One change of a configuration on disk: patched text, checked as a whole, written durably.

The text is what is changed, never a model of it: comments, order, `${VAR}` and `$include` survive
(decision 11). Others may write at the same time, with our lock or without: a change is made to what
is there, and made again if that is another text by then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from clawstate.clock import Clock, to_iso
from clawstate.config.history import Change, History, Noted, program
from clawstate.config.loading import Loaded
from clawstate.config.rewrite import EditPlan, Rewrite
from clawstate.config.settings import HISTORY_FOR
from clawstate.config.view import View
from clawstate.config.write_checks import check_write, suspicious_changes
from clawstate.errors import ConfigError, LockLostError, StateError, UnavailableError
from clawstate.files.atomic import create_private_file, sweep_temporaries, write_atomic
from clawstate.files.descriptors import Descriptor
from clawstate.files.file_version import version_of
from clawstate.files.lock import FileLocks
from clawstate.files.lock_options import LockOptions
from clawstate.files.os_errors import os_errors
from clawstate.files.regular import read_regular
from clawstate.openclaw.accepted import Accepted
from clawstate.secret_rules import without_secrets
from clawstate.secrets.redaction import literal_secrets

_ATTEMPTS = 100  # against writers without our lock, such as OpenClaw: each may come in between
_LIMIT = 16 << 20  # bytes: more than any file that was read
_PUBLIC = 0o644
_PRIVATE = 0o600


Plan = Callable[[Loaded], EditPlan | None]
"""Makes a plan for the configuration as it is now; `None`: there is nothing to do. Pure."""


@dataclass(frozen=True, slots=True)
class Writer:
    """
    Writes the configuration that *load* reads; *trail* is the file of the audit trail.

    It is checked as the file of one *agent*, or as what all of them share. What is *accepted* by
    the OpenClaw of the directory is right. *note* is told of each change, see `History.add`.
    """

    path: Path
    load: Callable[[], Loaded]
    trail: Path
    clock: Clock
    lock: LockOptions
    agent: str | None = None
    accepted: Accepted | None = None
    note: Noted = lambda *_: None

    def write(self, plan: Plan, *, force: bool) -> Change | None:
        """
        Carry out *plan*, and return the change; `None` if it changes nothing.

        Raises `ConfigError` for what would be invalid, unless that is what it was before, and for
        what looks like an accident, unless *force*; `CorruptError` if the text cannot be read;
        `LockTimeoutError`, `UnavailableError`. Then nothing was written.
        """
        for _ in range(_ATTEMPTS):
            loaded = self.load()
            planned = plan(loaded)
            if planned is None:
                return None
            try:
                with self._locks(planned.files) as locks:
                    if not loaded.is_current():  # those before us in the queue wrote
                        loaded = self.load()
                        planned = _plan_again(plan, loaded, planned.files)
                    if planned is None:
                        return None
                    return self._carry_out(loaded, planned, locks.confirm, force=force)
            except LockLostError:
                continue  # somebody else wrote: once more, on what is there now
        raise LockLostError(str(self.path))

    def _locks(self, files: Sequence[Path]) -> FileLocks:
        # The history is one for all files of a configuration, so its own lock comes first. Locks
        # lie beside the name that the configuration has for a file: what a link leads to may be a
        # directory of other things, such as a repository.
        named = dict.fromkeys((self.path, *sorted(files)))
        return FileLocks(named, options=self.lock)

    def _carry_out(
        self, loaded: Loaded, planned: EditPlan, confirm: Callable[[], None], *, force: bool
    ) -> Change:
        rewrites = planned.rewrites
        for rewrite in rewrites:
            _require_unchanged(rewrite)
        check_write(loaded, planned, force=force, agent=self.agent, accepted=self.accepted)
        modes = [_mode(rewrite) for rewrite in rewrites]
        done: list[tuple[Rewrite, int]] = []
        try:
            for rewrite, mode in zip(rewrites, modes, strict=True):
                waiting = rewrites[len(done) :]

                def fence(waiting: tuple[Rewrite, ...] = waiting) -> None:
                    confirm()
                    for each in waiting:
                        _require_unchanged(each)

                _replace(rewrite, mode, fence)
                done.append((rewrite, mode))
        except BaseException:
            for rewrite, mode in reversed(done):
                _put_back(rewrite, mode)
            raise
        return self._record(loaded, planned)

    def _record(self, loaded: Loaded, planned: EditPlan) -> Change:
        # The trail comes first: it never fails, and tells of the change where the history cannot.
        at, by = self.clock(), program()
        odd = suspicious_changes(loaded, planned)
        for rewrite in planned.rewrites:
            written = Written(rewrite.file, rewrite.before, rewrite.after, planned.paths, odd)
            append_audit(self.trail, written, at=at, actor=by)
        try:
            return History(self.path).add(
                [(each.file, each.before, each.after) for each in planned.rewrites],
                paths=planned.paths,
                at=at,
                by=by,
                undoes=planned.undoes,
                keep_for=_keep_for(loaded),
                note=self.note,
            )
        except StateError as error:
            problem = f"was changed, but its history was not ({error})"
            name = str(planned.files[0])
            raise UnavailableError(name, problem, "do not repeat it") from error


def _keep_for(loaded: Loaded) -> float:
    # Of what was read for the change: a change may mend what nobody else can read, or is warned of.
    with suppress(StateError):
        return HISTORY_FOR.of(View(loaded))
    return 0.0


def _plan_again(plan: Plan, loaded: Loaded, files: Sequence[Path]) -> EditPlan | None:
    planned = plan(loaded)
    if planned is not None and planned.files != files:
        raise LockLostError(str(planned.files[0]))  # another lock is needed
    return planned


def _replace(rewrite: Rewrite, mode: int, fence: Callable[[], None]) -> None:
    real, before = rewrite.real, rewrite.before
    aside = rewrite.file.parent
    # Beside what a link leads to nothing is left, and what was left there goes.
    for folder in {aside, real.parent}:
        sweep_temporaries(folder / real.name)
    # Before the new text: a kill in between leaves one generation twice, never one too few.
    if before is not None:
        rotate_backups(rewrite.file, before)
    write_atomic(
        real,
        rewrite.after,
        mode=mode,
        fence=fence,
        aside=None if aside == real.parent else aside,
    )


def _put_back(rewrite: Rewrite, mode: int) -> None:
    """Take *rewrite* back, as one that belongs to it was not made."""
    with suppress(StateError, OSError):  # what went wrong there is what is told
        if rewrite.before is None:
            rewrite.real.unlink()
        else:
            write_atomic(rewrite.real, rewrite.before, mode=mode)


def _require_unchanged(rewrite: Rewrite) -> None:
    source, real = rewrite.source, rewrite.real
    is_elsewhere = source is not None and Path(os.path.realpath(rewrite.file)) != real
    if is_elsewhere or version_of(real) != (None if source is None else source.file.stamp):
        raise LockLostError(str(rewrite.file))
    # Within a tick of the clock of files a change leaves no trace but itself.
    if source is None or source.file.settled:
        return
    if read_regular(real, limit=_LIMIT) != rewrite.before:
        raise LockLostError(str(rewrite.file))


def _mode(rewrite: Rewrite) -> int:
    """Return the mode of the new file (decision 30), never wider than that of the old one."""
    widest = _PUBLIC
    if rewrite.source is not None:
        with os_errors(rewrite.file, "cannot be reached"):
            widest = stat.S_IMODE(os.lstat(rewrite.real).st_mode)
        if not widest & stat.S_IWUSR:
            hint = f"chmod u+w {rewrite.file}"
            raise ConfigError(str(rewrite.file), "is read-only", hint)
    # Secrets are looked for only where it matters: that takes long in a large file.
    is_private = not widest & ~_PRIVATE or bool(literal_secrets(rewrite.value))
    return (_PRIVATE if is_private else _PUBLIC) & (widest | stat.S_IRUSR | stat.S_IWUSR)


GENERATIONS = 5


def backup_paths(path: Path) -> tuple[Path, ...]:
    """Return where the generations of *path* lie, the newest first."""
    names = ["bak", *(f"bak.{number}" for number in range(1, GENERATIONS))]
    return tuple(path.with_name(f"{path.name}.{name}") for name in names)


def rotate_backups(path: Path, content: bytes) -> None:
    """
    Keep *content*, what *path* held so far, as its newest generation; the oldest one goes.

    Private, whatever the mode of *path*: an old one may hold what was moved out of it since. Raises
    `UnavailableError`; a kill in between loses no generation but the oldest. What is the newest
    already is not kept twice, so that a write that is made again costs no generation.
    """
    generations = backup_paths(path)
    with contextlib.suppress(StateError):
        if read_regular(generations[0], limit=len(content) + 1) == content:
            return
    for newer, older in reversed(list(pairwise(generations))):
        with os_errors(newer, "was not kept"), contextlib.suppress(FileNotFoundError):
            newer.replace(older)
    write_atomic(generations[0], content)


_LONGEST = 1 << 20  # bytes of a trail that is still appended to
_MASK = "[redacted]"
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Written:
    """What there is to say of one write of a configuration."""

    path: Path
    before: bytes | None
    after: bytes
    changed_paths: Sequence[str]
    suspicious: Sequence[str] = ()
    result: str = "rename"
    error: str | None = None


def trail_in(logs: Path, *, beside_openclaw: bool) -> Path:
    """
    Return the trail in the directory *logs*.

    `config-audit.jsonl` is OpenClaw's own file: the one of the file era writes it too, and a later
    one takes it away into its database. So beside an OpenClaw ours has another name.
    """
    return logs / ("clawstate-config-audit.jsonl" if beside_openclaw else "config-audit.jsonl")


def append_audit(path: Path, written: Written, *, at: float, actor: str) -> None:
    """
    Append one line to the trail *path*; *at* in seconds since the epoch.

    A trail that has grown beyond a megabyte becomes `.1`, in the place of the one before it.
    Never raises: a full disk must not undo a change that is already in effect.
    """
    line = json.dumps(_document(written, at, actor), ensure_ascii=False) + "\n"
    with contextlib.suppress(OSError, StateError):
        if os.path.lexists(path) and path.lstat().st_size > _LONGEST:
            path.replace(path.with_name(f"{path.name}.1"))
        create_private_file(path)
        descriptor = Descriptor()
        descriptor.open(path, _APPEND)
        with descriptor as number:
            os.write(number, line.encode())


def _document(written: Written, at: float, actor: str) -> dict[str, Any]:
    before = written.before
    return {
        "ts": to_iso(at),
        "source": "config-io",
        "event": "config.write",
        "configPath": str(written.path),
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "actor": actor,
        "existsBefore": before is not None,
        "previousHash": _hash(before or b""),
        "nextHash": _hash(written.after),
        "previousBytes": None if before is None else len(before),
        "nextBytes": len(written.after),
        "changedPathCount": len(written.changed_paths),
        "changedPaths": [without_secrets(each, _MASK) for each in written.changed_paths],
        "suspicious": list(written.suspicious),
        "result": written.result,
        **({} if written.error is None else {"errorCode": written.error}),
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
