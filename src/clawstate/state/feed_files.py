"""The files of a state as the feed sees them: which there are, and whether one is another now."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum, auto
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from clawstate.errors import StateError
from clawstate.files.file_version import read_versioned, version_of
from clawstate.files.unchanged import Numbers, Unchanged
from clawstate.openclaw.owner import Era
from clawstate.state.catalogue import own_kinds
from clawstate.state.context import split_root
from clawstate.state.pairing import requests_place
from clawstate.state.record_places import (
    ARCHIVE,
    PAST,
    SESSIONS,
    archive_spec,
    index_spec,
    record_places,
)
from clawstate.state.sessions import session_indexes
from clawstate.stores.device_auth import HELD, OPENCLAW_HELD
from clawstate.stores.identity import IDENTITY
from clawstate.stores.pairing import REQUESTS

if TYPE_CHECKING:
    from clawstate.records.contract import Collection, CollectionSpec
    from clawstate.state.context import Context

CONFIG = "config"
"""The part of the configuration, and of the files of agents that belong to it."""

Tokens: TypeAlias = dict[str, dict[str, str]]
"""By part, by the name of a file: a text that is another one once the file is."""

_LARGE = 1 << 20  # bytes: a larger file is neither read to see whether it changed, nor for its keys
_ATTEMPTS = 3
_DIGEST = 16  # bytes, as the cursors of the engine of files have it: so a token is such a cursor


class Whose(Enum):
    """Whose a file is that a cursor names."""

    OURS = auto()
    """Of a part that is known here: it has moved if it is not there any longer."""
    OTHERS = auto()
    """Of a collection that only whoever made the cursor may know."""
    NOBODYS = auto()
    """Of none: the cursor is not one of the feed."""


class WatchedFile:
    """
    One file that may be there, of the part *part*, called *name* in cursors.

    It is told from another by its content, because a stamp that is younger than a tick of the clock
    may be that of two contents, and because a file that is written again as it was has not changed.
    A large one is told by its stamp.
    """

    def __init__(self, part: str, name: str, path: Path, collection: Collection | None) -> None:
        self.part = part
        self.name = name
        self.path = path
        self._text = str(path)
        self._collection = collection
        self._known: tuple[Numbers, str] | None = None
        self._seen: str | None = None

    def token(self) -> str | None:
        """Return a text that is another one once the file is; `None` if there is none."""
        try:
            now = os.lstat(self._text)
        except OSError:
            return None
        # As in `FileVersion`, but several times faster: this is done ten times a second for
        # each file.
        numbers = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        known = self._known
        if known is not None and known[0] == numbers:
            return known[1]
        return self._read()

    def keys(self, before: str | None) -> tuple[str, ...] | None:
        """Return which records moved since the token *before*, if that is known."""
        if self._collection is None or self._collection.spec.secret_keys or _is_large(self.path):
            return None
        with suppress(StateError):
            if before is None:
                return tuple(each.key for each in self._collection.scan())
            found = self._collection.changes(before)
            return tuple(sorted(found.keys)) if found.complete else None
        return None

    def _read(self) -> str | None:
        token = None
        for _ in range(_ATTEMPTS):
            try:
                token = self._read_once()
            except StateError as error:
                return type(error).__name__  # what cannot be read is another state of it
            if token is None or self._is_known_to_collection(token):
                break  # else it was changed in between, or is damaged
        return token

    def _read_once(self) -> str | None:
        stamp = version_of(self.path)
        if stamp is None:
            return None
        if stamp.size > _LARGE:
            # A young stamp has another token than the same one later: told twice, missed never.
            settled = stamp.is_settled
            token = _digest(repr((stamp, settled)).encode())
        else:
            raw, stamp, settled = read_versioned(self.path, limit=_LARGE << 1)
            token = _digest(raw)
        if settled:
            numbers = (stamp.device, stamp.inode, stamp.size, stamp.modified, stamp.changed)
            self._known = numbers, token
        return token

    def _is_known_to_collection(self, token: str) -> bool:
        """Let the collection see what *token* is of, to know later what moved since."""
        if token == self._seen or self._collection is None or _is_large(self.path):
            return True
        with suppress(StateError):
            if self._collection.changes().cursor == token:
                self._seen = token
        return self._seen == token


class WatchedFiles:
    """The files that the parts of a state lie in. Safe for threads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._files: dict[str, WatchedFile] = {}
        self._folders: list[str] = []
        self._unchanged: Unchanged | None = None
        self._others = 0
        self._config: tuple[dict[str, str], tuple[Path, ...]] = {}, ()

    def tokens(self) -> Tokens:
        """Return a token of each file that is there."""
        folders = self._unchanged
        others = len(self._context.specs)
        if folders is None or others != self._others or not folders.is_certain():
            self._list()
            self._others = others
        found = self._look()
        if found.get(CONFIG, {}) != self._config[0]:
            # Which files there are may have changed with the settings.
            self._list()
            found = self._look()
            self._config = found.get(CONFIG, {}), self._config[1]
        return found

    def keys(self, name: str, before: str | None) -> tuple[str, ...] | None:
        """Return which records of the file *name* moved since its token *before*, if known."""
        file = self._files.get(name)
        return None if file is None else file.keys(before)

    def whose(self, part: str, name: str) -> Whose:
        """Return whose the file *name* of *part* is, which a cursor names and which is not seen."""
        file = self._files.get(name)
        if (file is not None and file.part == part) or _is_own(part):
            return Whose.OURS
        path = PurePosixPath(name)
        is_place = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
        # No collection has such a place.
        return Whose.OTHERS if is_place and (part + name).isprintable() else Whose.NOBODYS

    def _look(self) -> Tokens:
        found: Tokens = {}
        for file in self._files.values():
            token = file.token()
            if token is not None:
                found.setdefault(file.part, {})[file.name] = token
        return found

    def _list(self) -> None:
        """Look which files there may be, and in which folders others could appear."""
        while True:
            # Looked at before: what appears while the files are listed is found by the next look.
            folders = Unchanged(self._folders)
            files = self._list_files()
            above = (folder for file in files.values() for folder in file.path.parents)
            # Where a folder is missing, the nearest one above it tells when it appears.
            there = {_nearest(file.path.parent) for file in files.values()}
            there.update(each for each in above if each.is_relative_to(self._context.paths.root))
            found = sorted(str(each) for each in there if each.is_dir())
            # The stamps are older than this listing: whatever appeared since they were taken is in
            # it, or shows in them at the next look.
            if found == self._folders:
                self._files, self._unchanged = files, folders
                return
            self._folders = found

    def _list_files(self) -> dict[str, WatchedFile]:
        """Return the files that there may be: those of before keep what is known of them."""
        root, known = self._context.paths.root, self._files
        files = {}
        for path in self._config_files():
            name = _name(path, root)
            files[name] = known.get(name) or WatchedFile(CONFIG, name, path, None)
        for base, spec in _record_files(self._context):
            path = base / spec.path
            name = _name(path, root)
            file = known.get(name)
            if file is None:
                engine = self._context.backends.files(base)
                file = WatchedFile(spec.kind, name, path, engine.collection(spec))
            files[name] = file
        return files

    def _config_files(self) -> tuple[Path, ...]:
        config = self._context.config
        with suppress(StateError):  # else those of before: a broken file may be mended
            views = [config.view(), *map(config.agent_view, config.agents())]
            files = (file for view in views for file in view.loaded.files)
            self._config = self._config[0], tuple(dict.fromkeys(file.real for file in files))
        return self._config[1] or (config.path, config.overlay_path)


def _record_files(context: Context) -> Iterator[tuple[Path, CollectionSpec]]:
    """Yield where records lie in files: the directory of an engine, and the spec."""
    root = context.paths.root
    if context.backends.engine.in_files:
        for place in record_places(context):
            if place.store not in {SESSIONS, ARCHIVE, PAST} and place.spec.kind != REQUESTS.kind:
                yield place.root, place.spec
        with suppress(StateError):
            yield requests_place(context)
        yield from ((root, spec) for spec in context.specs.values())
    if context.owner.era is not Era.SQLITE:
        yield from ((root, spec) for spec in (IDENTITY, HELD, OPENCLAW_HELD))
    with suppress(StateError):
        for path in session_indexes(context):
            base, inside = split_root(path, root)
            yield base, index_spec(inside)
            yield base, archive_spec(inside)


def _is_own(part: str) -> bool:
    """Tell whether *part* is one of a state, not a collection of somebody else's."""
    return part.isprintable() and (
        part == CONFIG or any(fnmatchcase(part, each) for each in own_kinds())
    )


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _nearest(folder: Path) -> Path:
    """Return *folder*, or what is above it where it is not there."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), folder)


def _is_large(path: Path) -> bool:
    try:
        return path.stat().st_size > _LARGE
    except OSError:
        return False


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST).hexdigest()
