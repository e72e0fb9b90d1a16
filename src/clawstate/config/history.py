"""
What a configuration was before each change, so that a change can be looked at and undone.

Each text is kept once, under its digest, beside the configuration; the order of the changes is a
file of JSON Lines. Both are private: an old text may hold a secret that has moved since. The
trail for the operator, without any value, is that of `writing`. Files are noted relative to the
directory of the configuration, so that a state that is moved or copied keeps its history.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from clawstate.errors import (
    ConflictError,
    CorruptError,
    InvalidError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from clawstate.files.atomic import make_private_dir, write_atomic
from clawstate.files.file_version import version_of
from clawstate.files.regular import read_regular
from clawstate.json5.key_path import KeyPath
from clawstate.json5.parse import Node, parse_document
from clawstate.secret_rules import without_secrets
from clawstate.secrets.redaction import SENTINEL, literal_secrets

HISTORY = ".config-history"
"""The directory of the histories, beside the configuration."""

_INDEX = "changes.jsonl"
_KEPT = 100
_LIMIT = 16 << 20
_UNKNOWN = 30 * 86_400.0  # seconds before the first change: nobody knows what was there
_HINT = "'clawstate config history' shows them"


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a change did to one *file*; *before* and *after* name texts, `None` for no file."""

    file: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change of a configuration; *at* in seconds since the epoch.

    *before* and *after* name texts, `None` where there was no file; *paths* are the key paths that
    moved in *file*, *by* is the program that did it, *undoes* the number of the change that it took
    back. *also* are the other files that belong to the same change.
    """

    number: int
    at: float
    before: str | None
    after: str
    paths: tuple[str, ...]
    by: str
    file: str
    undoes: int | None = None
    also: tuple[FileChange, ...] = ()

    @property
    def files(self) -> tuple[FileChange, ...]:
        """Every file of the change, in the order in which they were written."""
        return (FileChange(self.file, self.before, self.after), *self.also)


Noted: TypeAlias = Callable[[str, Mapping[int, str], Sequence[int]], object]
"""
Is told that a change begins to be written, or that it is done: its number with its digest, and the
numbers of those that leave.
"""


class History:
    """The changes of the configuration *path*, the last hundred of them at least."""

    def __init__(self, path: Path) -> None:
        self._base = Path(os.path.normpath(path.parent.absolute()))
        self._name = path.name
        self._folder = path.parent / HISTORY / path.name

    def changes(self) -> tuple[Change, ...]:
        """Return the changes, the oldest first; damaged lines are left out."""
        try:
            raw = read_regular(self._folder / _INDEX, limit=_LIMIT)
        except UnavailableError:
            raise  # an empty history in its place would take the old texts away
        except StateError:
            return ()
        found = (self._parse(line) for line in raw.splitlines())
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
        """Raise `ConflictError` if a file of *change* is not any longer what that made it."""
        for each in change.files:
            try:
                now = Path(each.file).read_bytes()
            except OSError:
                now = b""
            if now != self.text(each.after):
                hint = "look at it with 'config diff', or use --force"
                raise ConflictError("configuration", each.file, hint)

    def text(self, name: str) -> bytes:
        """Return the text called *name*; raises `NotFoundError`."""
        with contextlib.suppress(NotFoundError):
            content = read_regular(self._folder / name, limit=_LIMIT)
            if text_name(content) == name:
                return content
        raise NotFoundError("text of the configuration", name, "it is too old, or was removed")

    def add(
        self,
        files: Sequence[tuple[Path, bytes | None, bytes]],
        *,
        paths: Sequence[str],
        at: float,
        by: str,
        undoes: int | None = None,
        keep_for: float = 0.0,
        note: Noted = lambda *_: None,
    ) -> Change:
        """
        Note a change of *files*, each with its text before and after; for the holder of the lock.

        The last hundred are kept, and all of the last *keep_for* seconds. *note* is told before
        and after it is written; see `Noted`. Raises `UnavailableError`.
        """
        # Texts before the index: a kill leaves a text that no line names, never the other way.
        make_private_dir(self._folder)
        earlier = self.changes()
        first, *others = [self._store_texts(*each) for each in files]
        change = Change(
            number=earlier[-1].number + 1 if earlier else 1,
            at=at,
            before=first.before,
            after=first.after,
            paths=tuple(paths),
            by=by,
            file=first.file,
            undoes=undoes,
            also=tuple(others),
        )
        every = (*earlier, change)
        oldest = at - keep_for
        last = every[-_KEPT:]
        kept = [each for each in every if each in last or each.at > oldest]
        gone = [each.number for each in every if each not in kept]
        note("begin", self.digests([change]), gone)
        lines = [json.dumps(self._document(each), ensure_ascii=False) for each in kept]
        write_atomic(self._folder / _INDEX, "".join(f"{line}\n" for line in lines).encode())
        moved = (file for each in kept for file in each.files)
        self._forget({name for file in moved for name in (file.before, file.after)})
        note("done", self.digests([change]), gone)
        return change

    def digests(self, changes: Iterable[Change]) -> dict[int, str]:
        """Return what vouches for each of *changes*, by number: its texts and all told of it."""
        lines = {each.number: json.dumps(self._document(each)) for each in changes}
        return {number: text_name(line.encode()) for number, line in lines.items()}

    def text_at(self, file: Path, moment: float) -> str:
        """Return the text of *file* as it was at *moment*, empty without one; `NotFoundError`."""
        name = os.path.normpath(file.absolute())
        found = [
            (each.at, part) for each in self.changes() for part in each.files if part.file == name
        ]
        before = [part for at, part in found if at <= moment]
        after = [part for at, part in found if at > moment]
        first = next((at for at, _ in found if at > moment), moment)
        # By hand it may have been changed since the last change of ours.
        present, stamp = _present(file)
        if not after and (not before or stamp <= moment):
            return present.decode("utf-8", "replace")
        if not before and moment < first - _UNKNOWN:
            problem = "lies more than 30 days before the first change that is known"
            raise InvalidError("as_of", problem, "'clawstate config history' lists the changes")
        text = before[-1].after if before else after[0].before
        return "" if text is None else self.text(text).decode("utf-8", "replace")

    def _store_texts(self, file: Path, before: bytes | None, after: bytes) -> FileChange:
        if before is not None:
            self._keep(before)
        self._keep(after)
        return FileChange(
            str(file), None if before is None else text_name(before), text_name(after)
        )

    def _keep(self, content: bytes) -> None:
        path = self._folder / text_name(content)
        if version_of(path) is None:
            write_atomic(path, content)

    def _forget(self, named: set[str | None]) -> None:
        with contextlib.suppress(OSError):  # the next change sweeps again
            for path in self._folder.iterdir():
                if path.name not in named and path.name != _INDEX:
                    path.unlink(missing_ok=True)

    def _document(self, change: Change) -> dict[str, object]:
        document: dict[str, object] = {
            "number": change.number,
            "at": change.at,
            "before": change.before,
            "after": change.after,
            "paths": list(change.paths),
            "by": change.by,
            "file": self.name_of(change.file),
            "undoes": change.undoes,
        }
        if change.also:
            document["also"] = [
                {"file": self.name_of(each.file), "before": each.before, "after": each.after}
                for each in change.also
            ]
        return document

    def _parse(self, line: bytes) -> Change | None:
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
                also=tuple(
                    FileChange(each["file"], each["before"], each["after"])
                    for each in found.get("also", ())
                ),
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        texts = [
            text for each in change.files for text in (each.file, each.before or "", each.after)
        ]
        if not all(isinstance(text, str) for text in (*texts, change.by, *change.paths)):
            return None
        also = tuple(replace(each, file=self._locate(each.file)) for each in change.also)
        return replace(change, file=self._locate(change.file), also=also)

    def name_of(self, file: str) -> str:
        """Return *file* relative to the directory of the configuration, if it lies below that."""
        path = Path(file)
        return path.relative_to(self._base).as_posix() if self._holds(path) else file

    def _locate(self, text: str) -> str:
        """
        Return the absolute path of the file that the history calls *text*.

        Older histories hold absolute paths, of where the state was then, and without links.
        """
        path = Path(text)
        own = self._base / self._name
        if not path.is_absolute():
            return os.path.normpath(self._base / path)
        if self._holds(path):
            return text
        if text == os.path.realpath(own):
            return str(own)
        real = Path(os.path.realpath(self._base))
        if path.is_relative_to(real):
            return str(self._base / path.relative_to(real))
        ends = (self._base.joinpath(*path.parts[start:]) for start in range(1, len(path.parts)))
        # Where the state was then is no place to write to, nor to show.
        return str(next(filter(os.path.lexists, ends), self._base / path.name))

    def _holds(self, path: Path) -> bool:
        return path.is_relative_to(self._base)


def _present(file: Path) -> tuple[bytes, float]:
    """Return the content of *file*, and when it was changed last (s)."""
    try:
        return file.read_bytes(), file.stat().st_mtime
    except OSError:
        return b"", 0.0


def _last_standing(changes: Sequence[Change]) -> Change | None:
    # An undo of an undo brings the first change back: so each line tells what stood before it.
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


_HIDDEN = "(a text that is not JSON5, and is not shown)\n"


def diff_texts(before: bytes | None, after: bytes, *, old: str, new: str) -> str:
    """Return what changed from *before* to *after* as a unified diff; *old*, *new* name them."""
    lines = (
        hide_literal_secrets(before or b"").splitlines(keepends=True),
        hide_literal_secrets(after).splitlines(keepends=True),
    )
    return "".join(_end_line(line) for line in difflib.unified_diff(*lines, old, new))


def _end_line(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n"


def hide_literal_secrets(raw: bytes) -> str:
    """Return *raw* with its literal secrets replaced; nothing of a text that cannot be read."""
    text = raw.decode("utf-8", "replace")
    if not text.strip():
        return text
    try:
        document = parse_document(text, path=Path("configuration"))
    except CorruptError:
        return _HIDDEN
    # A lone text that is included may stand for anything, also for a secret.
    is_tree = isinstance(document.value, dict | list)
    secret: set[KeyPath] = set(literal_secrets(document.value)) if is_tree else {()}
    spans = sorted(_spans(document, (), secret), reverse=True)
    for start, end in spans:
        text = f'{text[:start]}"{SENTINEL}"{text[end:]}'
    return without_secrets(text, SENTINEL)  # comments, and keys, may hold one as well


def _spans(node: Node, path: KeyPath, secret: set[KeyPath]) -> Iterator[tuple[int, int]]:
    if path in secret:
        yield node.start, node.end
        return
    for index, item in enumerate(node.items):
        step = index if item.key is None else item.key
        if item.key is not None and item.node.value is not node.value[item.key]:
            yield item.node.start, item.node.end  # a later one counts; this may be a secret
            continue
        yield from _spans(item.node, (*path, step), secret)
