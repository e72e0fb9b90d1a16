"""`FileSync`: files of sessions, such as profiles, in line with the index (decision 13)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from clawstate.caches.ttl import TTLCache
from clawstate.errors import CorruptWarning, FallbackWarning, StateError, warn
from clawstate.files.file_version import FileVersion
from clawstate.files.json_text import is_same_json
from clawstate.records.rules import is_key
from clawstate.stores.sessions.archive import Archive
from clawstate.stores.sessions.entry import NOTHING, Document, updated_ms
from clawstate.stores.sessions.index import Index, IndexedEntry, is_usable
from clawstate.stores.sessions.profile_files import ProfileDocument, ProfileFiles

_REMEMBERED = 10_000
_BATCH = 1_000  # profiles that are in memory at once


class FileSync(Protocol):
    """Keeps a file for each session in line with the index."""

    has_profiles: bool
    """Whether the index can be told from here when it is lost."""

    def own_members(self, found: IndexedEntry) -> Mapping[str, Any]:
        """Return the members that only the profile of *found* has."""

    def peek(self, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Return such members by key, and change nothing."""

    def sync(self, keys: Iterable[str], extra: Mapping[str, Any] = NOTHING) -> None:
        """
        Make the profiles of *keys* say what the index says, and have *extra* members of their own.

        A failure is only a warning.
        """

    def find_unindexed(self, key: str) -> Document | None:
        """Return the entry in the profile of *key*, which has none in the index."""

    def scan_unindexed(self) -> Iterator[tuple[str, Document]]:
        """Give all profiles whose entries the index lost, by session key."""

    def size(self, key: str) -> int:
        """Return the bytes of the profile of *key*."""


class NoFileSync:
    """The index alone, as on engines without files, and where OpenClaw shares it."""

    has_profiles = False

    def own_members(self, found: IndexedEntry) -> Mapping[str, Any]:  # noqa: ARG002 - see `FileSync`
        """Return nothing."""
        return NOTHING

    def peek(self, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def sync(self, keys: Iterable[str], extra: Mapping[str, Any] = NOTHING) -> None:
        """Do nothing."""

    def find_unindexed(self, key: str) -> Document | None:  # noqa: ARG002
        """Return nothing."""
        return None

    def scan_unindexed(self) -> Iterator[tuple[str, Document]]:
        """Give nothing."""
        return iter(())

    def size(self, key: str) -> int:  # noqa: ARG002
        """Return 0."""
        return 0


class ProfileSync:
    """
    The profiles in *files*.

    The index is durable before a profile is touched, and a profile is written under its lock from
    what the index says then: so profiles never go backwards, whoever writes them, and none comes
    back after its session was deleted. A profile without an entry is one of two things. If its
    session is in the *archive*, a delete was killed before it was done; otherwise the index was
    lost, and the profile is how to get it back.
    """

    has_profiles = True

    def __init__(self, files: ProfileFiles, index: Index, archive: Archive) -> None:
        self.files = files
        self._index = index
        self._archive = archive
        self._seen: TTLCache[str, tuple[FileVersion, str, Mapping[str, Any]]] = TTLCache(
            _REMEMBERED
        )

    def own_members(self, found: IndexedEntry) -> Mapping[str, Any]:
        """Return what only the profile has; one that is missing or stale is written anew."""
        try:
            known = self._seen.get(found.key)
            # Unchanged on both sides: a stat in place of reading and comparing, for each repeated
            # `get`.
            if known is not None and known[:2] == (self.files.stamp(found.key), found.revision):
                return known[2]
            profile = self.files.read(found.key)
        except StateError as error:
            warn(CorruptWarning(f"{error}; going on with the index"), stacklevel=4)
            return NOTHING
        if profile is None or self.is_stale(profile, found):
            with contextlib.suppress(StateError):  # a reader may not be allowed to write
                self._sync_under_lock([found.key], patient=False)
            return NOTHING if profile is None else profile.extra
        # A file that was just written may change again within one tick of its time stamp.
        if profile.settled and profile.stamp is not None:
            self._seen.put(found.key, (profile.stamp, found.revision, profile.extra))
        return profile.extra

    def peek(self, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Return by key what only the profiles have."""
        found: dict[str, Mapping[str, Any]] = {}
        for key in keys:
            # What cannot be read is told by `check`; here it adds no members.
            with contextlib.suppress(StateError):
                if (profile := self.files.read(key)) is not None:
                    found[key] = profile.extra
        return found

    def sync(self, keys: Iterable[str], extra: Mapping[str, Any] = NOTHING) -> None:
        """Make the profiles of *keys* say what the index says; a failure is only a warning."""
        try:
            self._sync_under_lock(keys, patient=True, extra=extra)
        except StateError as error:
            message = f"{error}; the index has the change, the profile gets it with the next read"
            warn(FallbackWarning(message), stacklevel=4)

    def find_unindexed(self, key: str) -> Document | None:
        """Return the entry in the profile of *key*, which has none in the index."""
        if not is_key(key):
            return None
        try:
            profile = self.files.read(key)
        except StateError:
            return None
        # Archived and not changed since: deleted on purpose, so the profile brings nothing back.
        if profile is None or profile.key != key or self._archive.holds(key, profile.entry):
            return None
        return profile.entry

    def scan_unindexed(self) -> Iterator[tuple[str, Document]]:
        """Give all profiles whose entries the index lost, by session key."""
        for path in self.files.files():
            with contextlib.suppress(StateError):
                profile = self.files.read_file(path)
                key = None if profile is None else profile.key
                if profile is None or key is None or self.files.path(key) != path:
                    continue
                if self._index.find(key) is None and not self._archive.holds(key, profile.entry):
                    yield key, profile.entry

    def size(self, key: str) -> int:
        """Return the bytes of the profile of *key*."""
        with contextlib.suppress(StateError):
            if (stamp := self.files.stamp(key)) is not None:
                return stamp.size
        return 0

    def is_stale(self, profile: ProfileDocument, found: IndexedEntry) -> bool:
        """Tell whether *profile* differs from the entry *found* without being newer."""
        if not is_usable(found):
            return False
        expected = self._index.form.add_identity(found.key, found.document)
        is_same = is_same_json(profile.entry, expected)
        return not is_same and not is_ahead(profile, found.document)

    def _sync_under_lock(
        self, keys: Iterable[str], *, patient: bool, extra: Mapping[str, Any] = NOTHING
    ) -> None:
        with self.files.lock(patient=patient) as lock:
            self.sync_locked(keys, fence=lock.confirm, given=extra)

    def sync_locked(
        self,
        keys: Iterable[str],
        *,
        fence: Callable[[], object],
        given: Mapping[str, Any] = NOTHING,
    ) -> None:
        """Make the profiles of *keys* say what the index says; for the holder of the lock."""
        wanted: dict[str, ProfileDocument] = {}
        for key in keys:
            if (profile := self._profile_to_write(key, fence=fence, given=given)) is not None:
                wanted[key] = profile
            # A bound for memory; each batch is durable by itself.
            if len(wanted) == _BATCH:
                self.files.write_all(wanted, fence=fence)
                wanted.clear()
        if wanted:
            self.files.write_all(wanted, fence=fence)

    def _profile_to_write(
        self, key: str, *, fence: Callable[[], object], given: Mapping[str, Any]
    ) -> ProfileDocument | None:
        """Return the profile of *key* as it has to be written, if it has to."""
        # Read under the lock of the profiles: another writer may have been newer than who asked.
        found, profile = self._index.find(key), self.files.read(key)
        if found is None:
            # Without an archive the index may have lost the entry, and this file is all there is of
            # it.
            if profile is not None and self._archive.holds(key, profile.entry):
                self.files.remove(key, fence=fence)
            return None
        if not is_usable(found):
            return None
        entry = self._index.form.add_identity(key, found.document)
        # What the file has counts over what a restore brings: it was written later.
        extra = {**given, **({} if profile is None else profile.extra)}
        wanted = ProfileDocument(
            entry, {name: each for name, each in extra.items() if name not in entry}
        )
        if profile is not None and is_same_json(profile.entry, wanted.entry):
            return None if is_same_json(profile.extra, wanted.extra) else wanted
        return wanted


def is_ahead(profile: ProfileDocument, document: Document) -> bool:
    """Tell whether *profile* is of the same session as *document*, and newer."""
    same = profile.entry.get("sessionId") == document.get("sessionId")
    return same and updated_ms(profile.entry) > updated_ms(document)
