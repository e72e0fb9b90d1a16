"""The profiles: a file for each session, derived from the index, with members of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clawstate.errors import CorruptError, InvalidError, LimitError, NotFoundError
from clawstate.files.atomic import is_temporary, make_private_dir, write_atomic
from clawstate.files.descriptors import Descriptor
from clawstate.files.file_version import FileVersion, read_versioned, version_of
from clawstate.files.json_text import dump_pretty, parse_json_file
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.os_errors import os_errors
from clawstate.files.ownership import give_to_owner
from clawstate.files.safe_names import encode_name
from clawstate.stores.sessions.entry import Document, is_session_id

FROM_INDEX: Final = "fromIndex"
"""The member of a profile that names those which the index gave it."""

_MOST_BYTES = 64 << 20
_QUARANTINE = ".quarantine"

_FEW = 16  # files, up to which each is rather synced by itself than all that the machine wrote
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class ProfileDocument:
    """The file of one session: what the index gave it, and what others put beside that."""

    entry: Document
    extra: Document
    stamp: FileVersion | None = field(default=None, compare=False)
    settled: bool = field(default=False, compare=False)

    @property
    def key(self) -> str | None:
        """The session key, if the file names one and a usable session id."""
        key = self.entry.get("sessionKey")
        return key if isinstance(key, str) and is_session_id(self.entry.get("sessionId")) else None


class ProfileFiles:
    """The files in *folder*, one for each session key; changed under one lock."""

    def __init__(self, folder: Path, *, lock: LockOptions) -> None:
        self.folder = folder
        self._options = lock

    def path(self, key: str) -> Path:
        """Return the file of *key*; no two keys share one, none leads out of the directory."""
        return self.folder / f"{encode_name(key)}.json"

    def lock(self, *, patient: bool) -> FileLock:
        """Return the lock on all of them; without patience it is taken now or not at all."""
        # One for all files, since writes are short: a lock file for each would double their number.
        return FileLock(self.folder, options=self._options if patient else LockOptions(timeout=0.0))

    def stamp(self, key: str) -> FileVersion | None:
        """Return what changes whenever the file of *key* does, or `None` if there is none."""
        return version_of(self.path(key))

    def read(self, key: str) -> ProfileDocument | None:
        """
        Return the profile of *key*, or `None` if there is none.

        Raises `CorruptError` for what is no JSON object, `InvalidError` for a link, and
        `UnavailableError`.
        """
        return self.read_file(self.path(key))

    def read_file(self, path: Path) -> ProfileDocument | None:
        """Return the profile in the file *path*, as `read` does."""
        self._require_real_folder()
        try:
            raw, stamp, settled = read_versioned(path, limit=_MOST_BYTES)
        except NotFoundError:
            return None
        except LimitError as error:
            raise CorruptError(str(path), str(error)) from error
        document = parse_json_file(raw, path=path)
        if not isinstance(document, dict):
            raise CorruptError(str(path), "holds no object")
        return _decode(document, stamp, settled=settled)

    def write(self, key: str, profile: ProfileDocument, *, fence: Callable[[], object]) -> None:
        """Replace the profile of *key*, durably; for the holder of the lock."""
        self.write_all({key: profile}, fence=fence)

    def write_all(
        self, profiles: Mapping[str, ProfileDocument], *, fence: Callable[[], object]
    ) -> None:
        """Replace *profiles* by key, each in one step; for the holder of the lock."""
        self._require_real_folder()
        files = {self.path(key): _encode(each) for key, each in profiles.items()}
        write_batch(self.folder, files, fence=fence)

    def remove(self, key: str, *, fence: Callable[[], object]) -> None:
        """Remove the profile of *key*; for the holder of the lock."""
        self._require_real_folder()
        path = self.path(key)
        fence()
        with os_errors(path, "was not removed"):
            path.unlink(missing_ok=True)

    def files(self) -> Iterator[Path]:
        """Give the files that look like profiles, in no order."""
        with os_errors(self.folder, "cannot be read"):
            try:
                found = list(self.folder.iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return
        yield from (each for each in found if each.suffix == ".json")

    def sweep(self) -> None:
        """Remove what killed writers left; for the holder of the lock."""
        self._require_real_folder()
        with os_errors(self.folder, "cannot be swept"):
            if self.folder.is_dir():
                for each in self.folder.iterdir():
                    if is_temporary(each):
                        each.unlink(missing_ok=True)

    def quarantine(self, path: Path, *, fence: Callable[[], object]) -> Path:
        """Move the damaged file *path* aside, and return where; for the holder of the lock."""
        self._require_real_folder()
        aside = self.folder / _QUARANTINE
        _require_real(aside)
        make_private_dir(aside)
        with os_errors(path, "was not moved aside"):
            # A name of its own for each damaged file: an earlier one in quarantine is never
            # overwritten.
            moment = path.lstat().st_mtime_ns
            fence()
            return path.rename(aside / f"{path.name}.{moment}")

    def _require_real_folder(self) -> None:
        _require_real(self.folder)


def _require_real(folder: Path) -> None:
    with os_errors(folder, "cannot be reached"):
        is_link = folder.is_symlink()
    # Whoever restores a backup or shares a state could have files written elsewhere (decision 10).
    if is_link:
        raise InvalidError(str(folder), "is a link", "put a real directory in its place")


def _encode(profile: ProfileDocument) -> bytes:
    # One flat object, as the specification has it; the list tells later which members are whose.
    document = {**profile.entry, **profile.extra, FROM_INDEX: list(profile.entry)}
    return dump_pretty(document).encode()


def _decode(document: Document, stamp: FileVersion, *, settled: bool) -> ProfileDocument:
    names = document.pop(FROM_INDEX, None)
    # Not written here: all of it counts as the entry.
    if not isinstance(names, list):
        return ProfileDocument(document, {}, stamp, settled)
    derived = {name for name in names if isinstance(name, str)}
    entry = {name: each for name, each in document.items() if name in derived}
    extra = {name: each for name, each in document.items() if name not in derived}
    return ProfileDocument(entry, extra, stamp, settled)


def write_batch(folder: Path, files: Mapping[Path, bytes], *, fence: Callable[[], object]) -> None:
    """
    Replace all of *files* in *folder*, each by its bytes; for the holder of the lock.

    As with `write_atomic` each file is the old or the new one whenever the power fails, and a
    killed writer leaves temporary files only. *fence* is called before each takes its name. Unlike
    there, a disk that fails while it writes in the background is not noticed: this is for copies.
    """
    if len(files) <= _FEW or not hasattr(os, "sync"):
        for path, data in files.items():
            write_atomic(path, data, fence=fence)
        return
    make_private_dir(folder)
    staged: dict[Path, Path] = {}
    try:
        with os_errors(folder, "was not written to"):
            for path, data in files.items():
                staged[path] = _stage(folder, data)
            # One wait for all files, before the first takes its name: none of them can come back
            # empty after a power cut.
            os.sync()
            for path in files:
                # Before each: a lock may be lost while many files take their names.
                fence()
                staged[path].replace(path)
                del staged[path]
            # The names themselves; until then a power cut may leave old files, which are whole too.
            _sync(folder)
    finally:
        for each in staged.values():
            with contextlib.suppress(OSError):
                each.unlink()


def _stage(folder: Path, data: bytes) -> Path:
    path = folder / f"batch.{secrets.token_hex(8)}.tmp"
    descriptor = Descriptor()
    descriptor.open(path, _CREATE, 0o600)
    with descriptor as number, os.fdopen(number, "wb", closefd=False) as file:
        give_to_owner(number, folder)
        file.write(data)
    return path


def _sync(folder: Path) -> None:
    descriptor = Descriptor()
    descriptor.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    with descriptor as number:
        os.fsync(number)
