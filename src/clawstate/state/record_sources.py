"""The source of a migration: its records are read whole, and set aside once the target has them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clawstate.errors import StateError
from clawstate.files.atomic import make_private_dir
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import SESSION_INDEX
from clawstate.files.os_errors import os_errors
from clawstate.openclaw.owner import Era
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.last_good import copy_path
from clawstate.state.record_places import SESSIONS, RecordPlace
from clawstate.stores.sessions.index_format import PROFILES
from clawstate.stores.sessions.profile_files import ProfileFiles

if TYPE_CHECKING:
    from clawstate.records.contract import Collection, CollectionSpec, Revision
    from clawstate.state.context import Context
    from clawstate.state.engines import Engine


class Source(Protocol):
    """The records of one place in the engine that they leave."""

    @property
    def place(self) -> RecordPlace:
        """The place."""

    def exists(self) -> bool:
        """Tell whether there are any."""

    def refusal(self) -> str | None:
        """Return why they stay where they are, or `None`."""

    def count(self) -> int:
        """Return how many there are."""

    def read(self) -> dict[str, Any]:
        """Return them all; raises `CorruptError` rather than pass over what cannot be read."""

    def put_away(self, records: Mapping[str, Any], aside: Path) -> bool:
        """Move them out of the way, below *aside*, if these still are *records*; else False."""


class FileSource:
    """The records in a file."""

    def __init__(self, place: RecordPlace, context: Context) -> None:
        self.place = place
        self._context = context
        self._collection = JsonFilesBackend(place.root).collection(place.spec)

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self.place.file.is_file()

    def refusal(self) -> str | None:
        """Return why the file stays: OpenClaw has sessions of its own in it."""
        if self.place.store != SESSIONS or self._context.owner.era is Era.NOBODY:
            return None
        try:
            found = self._collection.scan() if self.exists() else ()
            is_ours = all(is_entry_of_ours(each.value) for each in found)
        except StateError:
            return None  # reading it will tell
        if is_ours:
            return None
        return f"{self.place.file} holds sessions of OpenClaw, which takes them over itself"

    def count(self) -> int:
        """Return how many records are in the file."""
        return self._collection.count()

    def read(self) -> dict[str, Any]:
        """Return the records; sessions with what only their profiles have."""
        if (damage := self._collection.damage()) is not None:
            raise damage
        found = {each.key: each.value for each in self._collection.scan()}
        if self.place.store != SESSIONS:
            return found
        profiles = ProfileFiles(self.place.file.parent / PROFILES, lock=SESSION_INDEX)
        for key, entry in found.items():
            profile = profiles.read(key) if isinstance(entry, dict) else None
            if profile is not None:
                found[key] = {**entry, **_without(profile.extra, entry)}
        return found

    def put_away(self, records: Mapping[str, Any], aside: Path) -> bool:
        """Move the file, its last good copy and its profiles below *aside*."""
        path = self.place.file
        with FileLock(path, options=self._context.lock) as lock:
            if path.exists() and self.read() != records:
                return False
            lock.confirm()
            for each in (path, copy_path(path), *self._profiles()):
                _move(each, self._context.paths.root, aside)
        return True

    def _profiles(self) -> tuple[Path, ...]:
        is_index = self.place.store == SESSIONS
        return (self.place.file.parent / PROFILES,) if is_index else ()


class Rows(Protocol):
    """An engine that keeps records in rows, and can set those of a kind aside."""

    def collection(self, spec: CollectionSpec) -> Collection:
        """Return the collection of *spec*."""

    def set_aside(self, kind: str, revisions: Mapping[str, Revision]) -> bool:
        """Put the records of *kind* aside if these are their *revisions*."""


class RowSource:
    """The records in rows."""

    def __init__(self, place: RecordPlace, rows: Callable[[], Rows | None]) -> None:
        self.place = place
        self._find_rows = rows
        self._revisions: dict[str, str] = {}

    @property
    def _rows(self) -> Rows:
        found = self._find_rows()
        assert found is not None  # noqa: S101 - `exists` was asked
        return found

    def exists(self) -> bool:
        """Tell whether there are rows of the kind."""
        return self._find_rows() is not None and self.count() > 0

    def refusal(self) -> str | None:
        """Return nothing: all rows are ours."""
        return None

    def count(self) -> int:
        """Return how many rows there are."""
        return self._rows.collection(self.place.spec).count()

    def read(self) -> dict[str, Any]:
        """Return the records."""
        found = list(self._rows.collection(self.place.spec).scan())
        self._revisions = {each.key: each.revision for each in found}
        return {each.key: each.value for each in found}

    def put_away(self, records: Mapping[str, Any], aside: Path) -> bool:  # noqa: ARG002 - see `Source`
        """Give the rows a kind that no collection has."""
        return self._rows.set_aside(self.place.kind, self._revisions)


def source_of(place: RecordPlace, context: Context, engine: Engine) -> Source:
    """Return the records of *place* as *engine* holds them."""
    if engine.in_files:
        return FileSource(place, context)
    backends = context.backends
    if engine.schemes:
        # Which database that is, only the choice of the state tells.
        address = backends.choice
        return RowSource(place, lambda: backends.server(address))
    return RowSource(place, lambda: backends.rows() if backends.has_rows else None)


def is_entry_of_ours(entry: object) -> bool:
    """Tell whether *entry* is one that this program put into an index that it has to itself."""
    file = entry.get("sessionFile") if isinstance(entry, dict) else None
    return isinstance(file, str) and file.startswith(f"{PROFILES}/")


def _without(extra: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in extra.items() if name not in entry}


def _move(path: Path, root: Path, aside: Path) -> None:
    inside = path.is_relative_to(root)
    target = aside / path.relative_to(root) if inside else _beside(path, aside)
    with os_errors(path, "was not moved away"):
        if not path.exists():
            return
        make_private_dir(target.parent)
        try:
            path.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            path.rename(_beside(path, aside))


def _beside(path: Path, aside: Path) -> Path:
    return path.with_name(f"{path.name}.moved-{aside.name}")
