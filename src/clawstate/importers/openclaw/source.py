"""`Source`: the directory that is imported, which is only ever read."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from clawstate.errors import CorruptError, LimitError, NotFoundError, StateError, UnavailableError
from clawstate.files.json_text import parse_json_file
from clawstate.importers.regular_file import open_regular, unreadable
from clawstate.json5.parse import parse_json5

MOST_BYTES = 256 << 20
"""A document larger than this is reported instead of read."""

MOST_NAMES = 20_000
"""So many names are looked at below one top folder that is not known to hold what is imported."""

_LOOKS, _MOST_LOOKS = 2, 50  # what stays as it is for so many looks is broken
_PAUSE = 0.02  # seconds between them
_YOUNG = 0.25  # seconds for which the system may hold up a writer
_WALKED_WHOLE = frozenset({"agents", "sessions", "credentials", "devices", "identity"})
_NEVER_ENTERED = frozenset({"node_modules", ".git", "lancedb"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A name below the source: its *path* with `/`, relative to the source, and what it is."""

    path: str
    is_folder: bool
    is_link: bool
    size: int


class Source:
    """
    The directory *root* of another program's state.

    Nothing in it is created, locked, changed or removed, and no link is followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.documents: dict[str, Any] = {}
        """What rows of its databases say, by the places that messages name them by."""
        self._refused: dict[str, str] = {}

    @classmethod
    def at(cls, path: Path) -> Source:
        """
        Return the source at *path*, which may itself be a link.

        Raises `NotFoundError` when it is no directory, `UnavailableError` when it cannot be read.
        """
        root = Path(os.path.realpath(path))
        try:
            is_folder = stat.S_ISDIR(root.stat().st_mode)
        except FileNotFoundError:
            is_folder = False
        except OSError as error:
            raise unreadable(path, error) from error
        if not is_folder:
            raise NotFoundError("directory", str(path), "name the directory that OpenClaw uses")
        return cls(root)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All names below the root by path, folders before what is in them, sorted."""
        return {each.path: each for each in self._walk()}

    def closed(self) -> dict[str, str]:
        """Return the folders that could not be looked into, with the reason."""
        _ = self.entries
        return self._refused

    def file(self, path: str) -> Path:
        """Return where the entry *path* lies."""
        return self.root / path

    def open(self, path: str) -> BinaryIO:
        """Return the file *path* opened for reading; raises `UnavailableError`, also for a link."""
        entry = self.entries.get(path)
        if entry is not None and entry.is_link:
            raise UnavailableError(path, "is a link, which is not followed", "put a copy there")
        return open_regular(self.file(path))

    def read(self, path: str) -> bytes:
        """Return what is in the file *path*; raises `UnavailableError`, `LimitError`."""
        with self.open(path) as stream:
            try:
                data = stream.read(MOST_BYTES + 1)
            except OSError as error:
                raise unreadable(Path(path), error) from error
        if len(data) > MOST_BYTES:
            raise LimitError(f"bytes in {path}", MOST_BYTES)
        return data

    def json(self, path: str) -> Any:
        """Return the JSON document *path*; raises `CorruptError`, `UnavailableError`."""
        if path in self.documents:
            return self.documents[path]
        return self._parsed(path, lambda raw: parse_json_file(raw, path=Path(path)))

    def json5(self, path: str) -> Any:
        """Return the JSON5 document *path*; raises `CorruptError`, `UnavailableError`."""
        if path in self.documents:
            return self.documents[path]
        return self._parsed(path, lambda raw: parse_json5(raw, path=Path(path)))

    def object(self, path: str, *, json5: bool = False) -> dict[str, Any]:
        """Return the object in *path*; raises `CorruptError`, `UnavailableError`."""
        value = self.json5(path) if json5 else self.json(path)
        if not isinstance(value, dict):
            raise CorruptError(path, "is no JSON object", "mend or remove it, then import again")
        return value

    def is_same_file(self, path: str, other: Path) -> bool:
        """Tell whether the entry *path* and *other* are one and the same file or folder."""
        try:
            return self.file(path).samefile(other)
        except OSError:
            return False

    def holds(self, path: Path) -> bool:
        """Tell whether *path*, its links followed, lies in the source."""
        return Path(os.path.realpath(path)).is_relative_to(self.root)

    def _parsed(self, path: str, parse: Callable[[bytes], Any]) -> Any:
        # OpenClaw writes some of its files in place, so half of one may be there for a moment.
        before, same = self.read(path), 0
        for _ in range(_MOST_LOOKS):
            try:
                return parse(before)
            except CorruptError:
                if same >= _LOOKS and not self._is_young(path):
                    raise
            time.sleep(_PAUSE)
            raw = self.read(path)
            before, same = raw, same + 1 if raw == before else 0
        return parse(before)

    def _is_young(self, path: str) -> bool:
        """Tell whether it was written just now, so that its writer may only have been held up."""
        try:
            return abs(time.time() - self.file(path).stat().st_mtime) < _YOUNG
        except OSError:
            return False

    def _walk(self) -> Iterator[Entry]:
        waiting = [""]
        met: Counter[str] = Counter()
        while waiting:
            folder = waiting.pop()
            top = folder.partition("/")[0]
            if met[top] > MOST_NAMES and top not in _WALKED_WHOLE:
                continue
            children = list(self._children(folder))
            met[top] += len(children)
            yield from children
            waiting.extend(each.path for each in reversed(children) if _is_entered(each))

    def _children(self, folder: str) -> Iterator[Entry]:
        try:
            with os.scandir(self.root / folder) as found:
                for child in sorted(found, key=lambda each: each.name):
                    yield _entry(child, f"{folder}/{child.name}" if folder else child.name)
        except OSError as error:
            self._refused[folder] = os.strerror(error.errno or 0)


def reason_of(error: StateError) -> str:
    """Return what *error* says without the path, which stands beside it."""
    problem = getattr(error, "problem", None)
    hint = getattr(error, "hint", "")
    if not isinstance(problem, str):
        return str(error)
    return f"{problem}; {hint}" if hint else problem


def _is_entered(entry: Entry) -> bool:
    return entry.is_folder and entry.path.rpartition("/")[2] not in _NEVER_ENTERED


def _entry(child: os.DirEntry[str], path: str) -> Entry:
    try:
        status = child.stat(follow_symlinks=False)
    except OSError:
        return Entry(path, is_folder=False, is_link=False, size=0)
    is_folder = stat.S_ISDIR(status.st_mode)
    is_link = stat.S_ISLNK(status.st_mode)
    return Entry(path, is_folder=is_folder, is_link=is_link, size=status.st_size)
