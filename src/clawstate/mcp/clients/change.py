"""`EntryChange`: what becomes of the settings of a client, told before it is done, and undone."""

from __future__ import annotations

import difflib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clawstate.errors import ConflictError, CorruptError, NotFoundError
from clawstate.files.atomic import write_atomic
from clawstate.files.lock import FileLock
from clawstate.files.os_errors import os_errors
from clawstate.files.regular import read_regular
from clawstate.mcp.clients.entry import NAME, Entry
from clawstate.mcp.clients.formats import entry_of, without_entry
from clawstate.mcp.clients.known import Client
from clawstate.secret_rules import without_secrets

_LIMIT: Final = 64 << 20  # bytes; Claude Code keeps its history in the same file
_ABSENT: Final = "\0"  # which no text of settings has
_BACKUP: Final = ".clawstate-backup"


@dataclass(frozen=True, slots=True)
class EntryChange:
    """
    The texts of *path* before and after; None where there is no file.

    *backup* is the file that keeps the text from before our entry, or that there was no file.
    """

    client: Client
    path: Path
    before: str | None
    after: str | None
    backup: Path
    is_undo: bool = False

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return self.before != self.after

    def diff(self) -> list[str]:
        """Return the lines that differ, as `diff -u` has them, without secrets."""
        before, after = ((each or "").splitlines() for each in (self.before, self.after))
        name = str(self.path)
        lines = difflib.unified_diff(before, after, name, name, n=1, lineterm="")
        return [without_secrets(each, "[redacted]") for each in lines]

    def carry_out(self) -> None:
        """
        Write the file, the backup first; an undo removes the backup.

        Raises `ConflictError` if somebody changed the file meanwhile.
        """
        if self.client.locked:
            with FileLock(self.path):
                self._write()
        else:
            self._write()

    def _write(self) -> None:
        if not self.is_undo and not os.path.lexists(self.backup):
            write_atomic(self.backup, (_ABSENT if self.before is None else self.before).encode())
        if self.after is None:
            self._require_unchanged()
            with os_errors(self.path, "was not removed"):
                self.path.unlink()
        else:
            data, mode = self.after.encode(), _mode_of(self.path)
            write_atomic(self.path, data, mode=mode, fence=self._require_unchanged)
        if self.is_undo:
            with suppress(FileNotFoundError):
                self.backup.unlink()

    def _require_unchanged(self) -> None:
        if _read(self.path) != self.before:
            raise ConflictError("file", str(self.path), "repeat the command")


def plan_entry(client: Client, entry: Entry, *, project: Path | None = None) -> EntryChange:
    """Return the change that puts *entry* into the settings of *client*."""
    path = client.place(project).expanduser().resolve()
    before = _read(path)
    value = entry.document(typed=client.typed)
    found = entry_of(client.format.parse(before or "", path), client.table, NAME)
    after = before
    # What a person added to the entry, such as `env` or a time limit, stays.
    if not isinstance(found, dict) or {**found, **value} != found:
        kept = found if isinstance(found, dict) else {}
        after = client.format.put(before or "", client.table, NAME, {**kept, **value}, path)
    return EntryChange(client, path, before, after, _backup_of(path))


def plan_undo(client: Client, *, project: Path | None = None) -> EntryChange:
    """
    Return the change that takes our entry out of the settings of *client*.

    Where nothing else was changed since, the file becomes what it was, to the byte, and goes if
    there was none; else only the entry goes, or becomes what it was before.
    """
    path = client.place(project).expanduser().resolve()
    before, backup = _read(path), _backup_of(path)
    kept = _read(backup)
    earlier = None if kept == _ABSENT else kept
    if before is None:
        return EntryChange(client, path, None, None, backup, is_undo=True)
    now = client.format.parse(before, path)
    then = client.format.parse(earlier or "", path)
    after: str | None = before
    if kept is not None and _others(client, now) == _others(client, then):
        after = earlier
    elif entry_of(now, client.table, NAME) is not None:
        old = entry_of(then, client.table, NAME)
        after = (
            client.format.remove(before, client.table, NAME, path)
            if old is None
            else client.format.put(before, client.table, NAME, old, path)
        )
    return EntryChange(client, path, before, after, backup, is_undo=True)


def _others(client: Client, document: dict[str, object]) -> dict[str, object]:
    return without_entry(document, client.table, NAME)


def _backup_of(path: Path) -> Path:
    return path.with_name(path.name + _BACKUP)


def _read(path: Path) -> str | None:
    try:
        return read_regular(path, limit=_LIMIT).decode()
    except NotFoundError:
        return None
    except UnicodeDecodeError:
        raise CorruptError(str(path), "is no UTF-8", "mend it with its own program") from None


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o600
