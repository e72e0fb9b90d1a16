"""`KeyStore`: the keys of one state, opened when they are first needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clawstate.encryption.ciphertext import new_key
from clawstate.encryption.keys import Keys
from clawstate.encryption.passphrase import has_present
from clawstate.encryption.sources import (
    Given,
    KeySource,
    kind_of_choice,
    new_source,
    require_choice,
)
from clawstate.errors import (
    CorruptError,
    InvalidError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from clawstate.files.atomic import sweep_temporaries, write_atomic
from clawstate.files.file_version import FileVersion, read_versioned, version_of
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.os_errors import os_errors
from clawstate.files.paths import expand_path
from clawstate.interrupts import Mutex

_LIMIT = 1 << 20
_NAME_BYTES = 4
_Keep = Callable[[Path, bytes], None]


@dataclass(frozen=True, slots=True)
class _Opened:
    """The keys of one version of the file; they are not shown."""

    stamp: FileVersion
    keys: Keys
    kek: bytes = field(repr=False)
    known: dict[str, bytes] = field(repr=False)


class KeyStore:
    """
    The keys in `state/keys.json` below the state directory *root* (decision 12). Safe for threads.

    The file holds the keys that seal the secrets, themselves sealed with one key from outside: of
    a file, a keyring or a passphrase, which *given* may know. They stay in memory until `forget`.
    *keep* is told what was written, to keep a copy.
    """

    def __init__(
        self,
        root: Path,
        *,
        given: Given = lambda: None,
        keep: _Keep = lambda _path, _raw: None,
        lock: LockOptions | None = None,
    ) -> None:
        self.path = root / "state" / "keys.json"
        self._root = root
        self._given = given
        self._keep = keep
        self._lock = lock or LockOptions()
        self._mutex = Mutex()
        self._opened: _Opened | None = None

    def __repr__(self) -> str:
        return f"KeyStore({str(self.path)!r})"

    @property
    def exists(self) -> bool:
        """Whether this state ever had keys; raises `UnavailableError` where nobody can look."""
        try:
            with os_errors(self.path, "cannot be looked at"):
                # An error of any other kind is raised: taken for "no keys", secrets would be
                # written in the clear.
                os.lstat(self.path)
        except UnavailableError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return False
            raise
        return True

    def asks_nobody(self) -> bool:
        """Tell whether the keys, if they are to be had at all, are so without asking a person."""
        with self._mutex:
            if self._opened is not None:
                return True
        try:
            source = self.source()
        except StateError:
            return True
        return source is None or source.kind != "passphrase" or has_present(self._given)

    def source(self) -> KeySource | None:
        """
        Return where the key-encryption key (KEK) comes from, or `None` without keys; asks nobody.

        Raises `CorruptError`, `UnavailableError`.
        """
        return self._read().source if self.exists else None

    def names(self) -> tuple[str, ...]:
        """Return the names of the keys, that in use last; raises `CorruptError`."""
        if not self.exists:
            return ()
        keys = self._read()
        return (*(name for name in keys.sealed if name != keys.current), keys.current)

    def current(self) -> bytes:
        """
        Return the key that seals what is new.

        Raises `UnavailableError` if the key-encryption key is not to be had, `NotFoundError` if
        there are no keys, `CorruptError`.
        """
        opened = self._open()
        return opened.known[opened.keys.current]

    def key(self, name: str) -> bytes:
        """
        Return the key *name*, which is a whole name.

        Raises what `current` does, and `UnavailableError` if there is no such key.
        """
        found = self._open().known.get(name)
        if found is None:
            problem = f"has no key {name}"
            raise UnavailableError(str(self.path), problem, "restore the file that had it")
        return found

    def prepare(self, choice: str) -> KeySource:
        """
        Make keys with a key-encryption key from *choice*, unless there are some, and open them.

        Raises `InvalidError` if they are there with a key-encryption key of another kind.
        """
        require_choice(choice)
        self._require_real_folder()
        # Looked at again under the lock: two processes that encrypt at once must end with one set
        # of keys.
        with self._mutex, FileLock(self.path, options=self._lock) as lock:
            if not self.exists:
                self._make(choice, lock)
            found = self._open().keys.source
            if not _is_meant(choice, found):
                problem = f"is already protected by another key, the {found}"
                hint = f"run 'clawstate auth rekey --key {choice}'"
                raise InvalidError(str(self.path), problem, hint)
            return found

    def rotate(self, choice: str) -> KeySource:
        """
        Seal from now on with a new key, and all keys with a new key-encryption key from *choice*.

        The old keys stay in the file, to open what they sealed. So does the old key-encryption key
        where it is: it opens older backups.
        """
        require_choice(choice)
        self._require_real_folder()
        with self._mutex, FileLock(self.path, options=self._lock) as lock:
            old = self._open()
            source, kek = self._source(choice, old.keys.state, again=True)
            # The old keys stay: another process may be about to write a value that it sealed with
            # one.
            keys = Keys.wrap(old.keys.state, source, kek, old.known, new_key())
            self._write(keys, kek, lock)
            return source

    def forget(self) -> None:
        """Drop the opened keys from memory."""
        with self._mutex:
            self._opened = None

    def _open(self) -> _Opened:
        with self._mutex:
            now = self._opened
            # By a stat: another process may have rotated the keys. A file that was just written may
            # change again within one tick of its time stamp, so it is read.
            if now is not None and now.stamp == version_of(self.path) and now.stamp.is_settled:
                return now
            raw, stamp = self._content()
            keys = Keys.read(raw, path=self.path)
            # Kept across a change of the file with the same source: nobody is asked for a
            # passphrase twice.
            kek = now.kek if now is not None and now.keys.source == keys.source else None
            if kek is None:
                kek = keys.source.key(self._given)
            known = keys.unwrap(kek, path=self.path)
            if keys.current not in known:
                raise CorruptError(str(self.path), "names a key that it does not hold")
            self._opened = _Opened(stamp, keys, kek, known)
            return self._opened

    def _read(self) -> Keys:
        return Keys.read(self._content()[0], path=self.path)

    def _content(self) -> tuple[bytes, FileVersion]:
        try:
            raw, stamp, _ = read_versioned(self.path, limit=_LIMIT)
        except NotFoundError as error:
            hint = (
                "restore it from a backup; where nothing is encrypted, run 'clawstate auth encrypt'"
            )
            raise UnavailableError(str(self.path), "is missing", hint) from error
        return raw, stamp

    def _require_real_folder(self) -> None:
        folder = self.path.parent
        with os_errors(folder, "cannot be reached"):
            is_link = folder.is_symlink()
        # Whoever shares a state could have the keys written elsewhere by a link.
        if is_link:
            raise InvalidError(str(folder), "is a link", "put a real directory in its place")

    def _make(self, choice: str, lock: FileLock) -> None:
        state = os.urandom(8).hex()
        source, kek = self._source(choice, state, again=False)
        self._write(Keys.wrap(state, source, kek, {}, new_key()), kek, lock)

    def _source(self, choice: str, state: str, *, again: bool) -> tuple[KeySource, bytes]:
        # Never an old name: the old key shall go on to open old backups.
        name = f"{state}-{os.urandom(_NAME_BYTES).hex()}" if again else state
        return new_source(choice, name, state=self._root, given=self._given, again=again)

    def _write(self, keys: Keys, kek: bytes, lock: FileLock) -> None:
        raw = keys.text().encode()
        sweep_temporaries(self.path)
        write_atomic(self.path, raw, fence=lock.confirm)
        self._keep(self.path, raw)
        # So that nobody is asked again for the passphrase that was just given.
        stamp = version_of(self.path)
        if stamp is not None:
            self._opened = _Opened(stamp, keys, kek, keys.unwrap(kek, path=self.path))


def _is_meant(choice: str, source: KeySource) -> bool:
    place = choice.partition(":")[2]
    if kind_of_choice(choice) != source.kind:
        return False
    return not place or expand_path(place) == Path(source.place)
