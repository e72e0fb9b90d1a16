"""
What a configuration was before each change, so that a change can be looked at and undone.

Each text is kept once, under its digest, beside the configuration; the order of the changes is a
file of JSON Lines. Both are private: an old text may hold a secret that has moved since. The
trail for the operator, without any value, is `audit`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clawstate.errors import ConflictError, NotFoundError, StateError, UnavailableError
from clawstate.files.atomic import make_private_dir, write_atomic
from clawstate.files.regular import read_regular
from clawstate.files.stamps import stamp_of

_FOLDER = ".config-history"
_INDEX = "changes.jsonl"
_KEPT = 100
_LIMIT = 16 << 20
_HINT = "'clawstate config history' shows them"


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change of a configuration; *at* in seconds since the epoch.

    *before* and *after* name texts, `None` where there was no file; *paths* are the key paths that
    moved in *file*, *by* is the program that did it, *undoes* the number of the change that it took
    back.
    """

    number: int
    at: float
    before: str | None
    after: str
    paths: tuple[str, ...]
    by: str
    file: str
    undoes: int | None = None


class History:
    """The changes of the configuration *path*, the last hundred of them."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent / _FOLDER / path.name

    def changes(self) -> tuple[Change, ...]:
        """Return the changes, the oldest first; damaged lines are left out."""
        try:
            raw = read_regular(self._folder / _INDEX, limit=_LIMIT)
        except UnavailableError:
            raise  # an empty history in its place would take the old texts away
        except StateError:
            return ()
        found = (_parsed(line) for line in raw.splitlines())
        return tuple(change for change in found if change is not None)

    def require(self, number: int | None = None) -> Change:
        """Return change *number*, by default the last one; raises `NotFoundError`."""
        found = [each for each in self.changes() if number in {None, each.number}]
        if not found:
            raise NotFoundError("change", str(number or "of the configuration"), _HINT)
        return found[-1]

    def last_standing(self) -> Change:
        """Return the last change that is no undo and not undone; raises `NotFoundError`."""
        change = _last_standing(self.changes())
        if change is None:
            raise NotFoundError("change to undo in", self._folder.name, _HINT)
        return change

    def require_last(self, change: Change) -> None:
        """Raise `ConflictError` if the file of *change* is not any longer what that made it."""
        try:
            now = Path(change.file).read_bytes()
        except OSError:
            now = b""
        if now != self.text(change.after):
            hint = "look at it with 'config diff', or use --force"
            raise ConflictError("configuration", change.file, hint)

    def text(self, name: str) -> bytes:
        """Return the text called *name*; raises `NotFoundError`."""
        with contextlib.suppress(NotFoundError):
            content = read_regular(self._folder / name, limit=_LIMIT)
            if text_name(content) == name:
                return content
        raise NotFoundError("text of the configuration", name, "it is too old, or was removed")

    def add(
        self,
        before: bytes | None,
        after: bytes,
        *,
        paths: Sequence[str],
        at: float,
        by: str,
        file: Path,
        undoes: int | None = None,
    ) -> Change:
        """Note a change; for the holder of the lock. Raises `UnavailableError`."""
        make_private_dir(self._folder)
        earlier = self.changes()
        if before is not None:
            self._keep(before)
        self._keep(after)
        change = Change(
            number=earlier[-1].number + 1 if earlier else 1,
            at=at,
            before=None if before is None else text_name(before),
            after=text_name(after),
            paths=tuple(paths),
            by=by,
            file=str(file),
            undoes=undoes,
        )
        kept = (*earlier, change)[-_KEPT:]
        lines = "".join(f"{json.dumps(_document(each), ensure_ascii=False)}\n" for each in kept)
        write_atomic(self._folder / _INDEX, lines.encode())
        self._forget({name for each in kept for name in (each.before, each.after)})
        return change

    def _keep(self, content: bytes) -> None:
        path = self._folder / text_name(content)
        if stamp_of(path) is None:
            write_atomic(path, content)

    def _forget(self, named: set[str | None]) -> None:
        with contextlib.suppress(OSError):  # the next change sweeps again
            for path in self._folder.iterdir():
                if path.name not in named and path.name != _INDEX:
                    path.unlink(missing_ok=True)


def _last_standing(changes: Sequence[Change]) -> Change | None:
    standing: list[Change] = []
    stood: dict[int, list[Change]] = {}  # before each change
    for change in changes:
        stood[change.number] = standing
        taken_back = change.undoes is not None
        standing = stood.get(change.undoes or 0, []) if taken_back else [*standing, change]
    return standing[-1] if standing else None


def text_name(content: bytes) -> str:
    """Return what the history calls the text *content*."""
    return hashlib.sha256(content).hexdigest()[:32]


def program() -> str:
    """Return what this program is called in a history: its name and process, not its arguments."""
    import sys  # noqa: PLC0415 - arguments may hold anything; only the name is taken

    return f"{os.path.basename(sys.argv[0] or 'python')}:{os.getpid()}"  # noqa: PTH119


def _document(change: Change) -> dict[str, object]:
    return {
        "number": change.number,
        "at": change.at,
        "before": change.before,
        "after": change.after,
        "paths": list(change.paths),
        "by": change.by,
        "file": change.file,
        "undoes": change.undoes,
    }


def _parsed(line: bytes) -> Change | None:
    try:
        found = json.loads(line)
        change = Change(
            number=int(found["number"]),
            at=float(found["at"]),
            before=found["before"],
            after=found["after"],
            paths=tuple(found["paths"]),
            by=found["by"],
            file=found["file"],
            undoes=found.get("undoes"),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    before = "" if change.before is None else change.before
    texts = (before, change.after, change.by, change.file, *change.paths)
    return change if all(isinstance(text, str) for text in texts) else None
