"""
One change of a configuration on disk: patched text, judged as a whole, written durably.

The text is what is changed, never a model of it: comments, order, `${VAR}` and `$include` survive
(decision 6). Others may write at the same time, with our lock or without: a change is made to what
is there, and made again if that is another text by then.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawstate.clock import Clock
from clawstate.config.audit import Written, append_audit
from clawstate.config.backups import rotate_backups
from clawstate.config.guards import odd_changes, require_sane
from clawstate.config.history import Change, History, program
from clawstate.config.loading import Loaded
from clawstate.config.sensitive import literal_secrets
from clawstate.config.sources import Source
from clawstate.errors import ConfigError, LockLostError, StateError, UnavailableError
from clawstate.files.atomic import sweep_temporaries, write_atomic
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.refusals import translated
from clawstate.files.regular import read_regular
from clawstate.files.stamps import stamp_of

_ATTEMPTS = 100
_LIMIT = 16 << 20  # bytes: more than any file that was read
_PUBLIC = 0o644
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Planned:
    """
    What shall be written: the whole new *text* of *file*, and what the configuration then says.

    *source* is what the file held, `None` if there was none. *templates* is the whole new tree
    with its `${VAR}`; *paths* are the key paths that move.
    """

    file: Path
    source: Source | None
    text: str = field(repr=False)
    templates: Any = field(repr=False)
    paths: Sequence[str]
    undoes: int | None = None


Plan = Callable[[Loaded], Planned | None]
"""Makes a plan for the configuration as it is now; `None`: there is nothing to do. Pure."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the configuration that *load* reads; *logs* is the directory of the audit trail."""

    path: Path
    load: Callable[[], Loaded]
    logs: Path
    clock: Clock
    lock: LockOptions

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
                with self._locked(planned.file) as confirm:
                    if not loaded.is_current():  # those before us in the queue wrote
                        loaded = self.load()
                        planned = _planned_again(plan, loaded, planned.file)
                    if planned is None:
                        return None
                    return self._carried_out(loaded, planned, confirm, force=force)
            except LockLostError:
                continue  # somebody else wrote: once more, on what is there now
        raise LockLostError(str(self.path))

    @contextmanager
    def _locked(self, file: Path) -> Iterator[Callable[[], None]]:
        # The history is one for all files of a configuration, so its own lock comes first.
        own = Path(os.path.realpath(self.path))
        with (
            FileLock(own, options=self.lock) as outer,
            FileLock(file, options=self.lock) as inner,
        ):

            def confirm() -> None:
                outer.confirm()
                inner.confirm()

            yield confirm

    def _carried_out(
        self, loaded: Loaded, planned: Planned, confirm: Callable[[], None], *, force: bool
    ) -> Change:
        before = None if planned.source is None else planned.source.text.encode()
        _require_unchanged(planned)
        after = planned.text.encode()
        require_sane(loaded, planned.templates, before, after, force=force)
        mode = _mode(planned, before)

        def fence() -> None:
            confirm()
            _require_unchanged(planned)

        sweep_temporaries(planned.file)
        if before is not None:
            rotate_backups(planned.file, before)
        write_atomic(planned.file, after, mode=mode, fence=fence)
        return self._noted(loaded, planned, before, after)

    def _noted(
        self, loaded: Loaded, planned: Planned, before: bytes | None, after: bytes
    ) -> Change:
        at, by = self.clock(), program()
        odd = odd_changes(loaded, planned.templates, before, after)
        written = Written(planned.file, before, after, planned.paths, odd)
        append_audit(self.logs, written, at=at, actor=by)
        try:
            return History(self.path).add(
                before,
                after,
                paths=planned.paths,
                at=at,
                by=by,
                file=planned.file,
                undoes=planned.undoes,
            )
        except StateError as error:
            problem = f"was changed, but its history was not ({error})"
            raise UnavailableError(str(planned.file), problem, "do not repeat it") from error


def _planned_again(plan: Plan, loaded: Loaded, file: Path) -> Planned | None:
    planned = plan(loaded)
    if planned is not None and planned.file != file:
        raise LockLostError(str(file))  # another lock is needed
    return planned


def _require_unchanged(planned: Planned) -> None:
    source = planned.source
    if stamp_of(planned.file) != (None if source is None else source.file.stamp):
        raise LockLostError(str(planned.file))
    # Within a tick of the clock of files a change leaves no trace but itself.
    if source is None or source.file.settled:
        return
    if read_regular(planned.file, limit=_LIMIT) != source.text.encode():
        raise LockLostError(str(planned.file))


def _mode(planned: Planned, before: bytes | None) -> int:
    """Return the mode of the new file (decision 4), never wider than that of the old one."""
    wanted = _PRIVATE if literal_secrets(planned.templates) else _PUBLIC
    if before is None:
        return wanted
    with translated(planned.file, "cannot be reached"):
        found = stat.S_IMODE(os.lstat(planned.file).st_mode)
    if not found & stat.S_IWUSR:
        hint = f"chmod u+w {planned.file}"
        raise ConfigError(str(planned.file), "is read-only", hint)
    return wanted & (found | stat.S_IRUSR | stat.S_IWUSR)
