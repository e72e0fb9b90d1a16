"""`ProfileStore`: the profiles of one agent alone, and a cache of what was read and resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from clawstate.clock import Clock
from clawstate.errors import ConflictError, InvalidError, StateError
from clawstate.health import Finding
from clawstate.interrupts import Mutex
from clawstate.records.cached_view import CachedView
from clawstate.records.contract import Collection, Json, Revision, Versioned
from clawstate.records.layouts import SEPARATOR, SectionsLayout
from clawstate.stores.auth.codec import CredentialCodec, is_in_seconds
from clawstate.stores.auth.credentials import TYPES, AuthProblem, Credential, OAuth
from clawstate.stores.auth.legacy import AuthImport, Legacy
from clawstate.stores.auth.names import normalise_provider
from clawstate.stores.auth.refresh_marks import failure_of
from clawstate.stores.auth.usage import Usage, read_usage, write_usage

A = TypeVar("A")

SECTIONS: Final[Mapping[str, str]] = {
    "profile": "profiles",
    "order": "order",
    "lastGood": "lastGood",
    "usage": "usageStats",
}
LAYOUT: Final = SectionsLayout(SECTIONS, version=1, always=frozenset({"profile"}))
"""How the records of an agent lie in `auth-profiles.json`."""

_LEGACY = "legacy"  # the revision of a record that lies in a file of an older release


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A profile as it was found; without a *credential*, the *reason* tells why."""

    record: Json = field(repr=False)
    revision: Revision
    credential: Credential | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoredProfiles:
    """All that the document of one agent says, at one moment; shared, and never changed."""

    profiles: Mapping[str, StoredProfile] = field(default_factory=dict)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    last_good: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, Usage] = field(default_factory=dict)
    problems: tuple[AuthProblem, ...] = ()
    records: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def credentials(self) -> dict[str, Credential]:
        """The credentials that can be understood, by id."""
        found = ((each, row.credential) for each, row in self.profiles.items())
        return {each: credential for each, credential in found if credential is not None}


def record_key(section: str, name: str) -> str:
    """Return the key of the record *name* in *section*."""
    return f"{section}{SEPARATOR}{name}"


def read_profiles(
    records: Iterable[Versioned], codec: CredentialCodec, before: StoredProfiles
) -> StoredProfiles:
    """Return what *records* say; a credential that is the same as *before* is the same object."""
    profiles: dict[str, StoredProfile] = {}
    orders: dict[str, tuple[str, ...]] = {}
    last_good: dict[str, str] = {}
    usage: dict[str, Usage] = {}
    problems: list[AuthProblem] = []
    all_records: dict[str, Json] = {}
    for record in records:
        all_records[record.key] = record.value
        section, separator, name = record.key.partition(SEPARATOR)
        problem = ""
        if not separator:
            problem = "is no object; it is kept as it is"
        elif section == "profile":
            profiles[name] = _read_profile(name, record, codec, before.profiles.get(name))
            problem = profiles[name].reason
        elif section == "order":
            if ids := read_order(record.value):
                orders[name] = ids
            elif not isinstance(record.value, list):
                problem = "is no list of profiles"
        elif section == "usage":
            usage[name] = read_usage(record.value)
            problem = "" if isinstance(record.value, dict) else "is no object"
        elif isinstance(record.value, str):
            last_good[name] = record.value
        else:
            problem = "is no text"
        if problem:
            problems.append(AuthProblem(SECTIONS[section], name, problem))
    return StoredProfiles(profiles, orders, last_good, usage, tuple(problems), all_records)


def read_order(value: Json) -> tuple[str, ...]:
    """Return the ids that *value* lists; what is no text is left out."""
    if not isinstance(value, list):
        return ()
    ids = (each.strip() for each in value if isinstance(each, str))
    return tuple(each for each in ids if each)


def _read_profile(
    name: str, record: Versioned, codec: CredentialCodec, before: StoredProfile | None
) -> StoredProfile:
    if before is not None and before.revision == record.revision:
        return before
    try:
        credential = codec.read(name, record.value)
    except InvalidError as error:
        return StoredProfile(record.value, record.revision, reason=error.problem)
    return StoredProfile(record.value, record.revision, credential)


class ProfileStore:
    """
    The credentials of the agent *name*, without those of any other. Safe for threads.

    Values and resolved secrets are cached until the record changes that they came from; `forget`
    drops them. Before the first change the profiles of *legacy* are migrated. Before every change
    *require_writable* is called, which may refuse it.
    """

    def __init__(
        self,
        name: str,
        collection: Collection,
        codec: CredentialCodec,
        *,
        legacy: Legacy,
        clock: Clock,
        require_writable: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self.collection = collection
        self.codec = codec
        self._legacy = legacy
        self._clock = clock
        self._require_writable = require_writable
        self._mutex = Mutex()
        self._view = CachedView(collection, lambda record: record)
        self._known: tuple[Mapping[str, Versioned], StoredProfiles] | None = None
        self._secrets: dict[str, tuple[str, str]] = {}
        self._forgotten = 0

    def read(self) -> StoredProfiles:
        """Return what is stored now; from the cache while nobody changed it."""
        records = self._view.values()
        known = self._known
        if known is not None and known[0] is records:
            return known[1]
        before = StoredProfiles() if known is None else known[1]
        rows = read_profiles(records.values(), self.codec, before)
        with self._mutex:
            self._known = records, rows
            for each in self._secrets.keys() - rows.profiles.keys():
                del self._secrets[each]
        return rows

    def legacy_profiles(self, rows: StoredProfiles) -> Mapping[str, StoredProfile]:
        """Return the profiles of older releases, if *rows* has none and none were imported."""
        if rows.profiles:
            return {}
        found = self._legacy.profiles()
        records = (Versioned(record_key("profile", each), found[each], _LEGACY) for each in found)
        return read_profiles(records, self.codec, StoredProfiles()).profiles

    def problems(self) -> tuple[AuthProblem, ...]:
        """Return the entries that cannot be used, also of older releases that are not migrated."""
        stored = self.read()
        legacy = (
            AuthProblem(source.name, each, reason)
            for source in (() if stored.profiles else self._legacy.pending_sources())
            for each, record in source.profiles().items()
            if (reason := self._legacy.reason_against(each, record)) is not None
        )
        return (*stored.problems, *legacy)

    def check(self) -> Iterator[Finding]:
        """Yield entries that cannot be used, times in a wrong unit, and refused logins."""
        path, stored = str(self.collection.spec.path), self.read()
        for each in self.problems():
            message = f"{each.place}: {each.key} {each.reason}"
            yield Finding("profile", "warning", path, message, "store it again, or remove it")
        for name, credential in stored.credentials.items():
            end = TYPES[credential.type].expiry
            if end is not None and is_in_seconds(stored.profiles[name].record.get(end.name)):
                message = f"{name}: {end.name} is in seconds, which other programs take for 1970"
                yield Finding("seconds", "info", path, message, "goes with the next change of it")
            failed = failure_of(credential.extra) if isinstance(credential, OAuth) else None
            try:
                # Here the token is opened: a mark that another token left behind is no problem.
                is_refused = (
                    isinstance(credential, OAuth) and failed and failed.bars(credential.refresh)
                )
            except StateError as error:
                yield Finding(error.code, "error", path, f"{name}: {error}", "see the message")
                continue
            if failed is not None and is_refused:
                message = f"{name} needs a login: {failed.problem}"
                yield Finding("needs-login", "warning", path, message, "log in again")

    def secret(self, profile_id: str, row: StoredProfile, credential: Credential) -> str:
        """Return what requests are made with; from memory while the record is the same."""
        with self._mutex:
            revision, known = self._secrets.get(profile_id, ("", ""))
            forgotten = self._forgotten
        if revision == row.revision and revision != _LEGACY:
            return known
        secret = self.codec.secret(profile_id, credential)
        with self._mutex:
            if forgotten == self._forgotten:  # what was resolved before `forget` is not cached
                self._secrets[profile_id] = (row.revision, secret)
        return secret

    def forget(self) -> None:
        """Drop all that was read and resolved."""
        self._view.forget()
        with self._mutex:
            self._known = None
            self._secrets.clear()
            self._forgotten += 1

    def put(self, profile_id: str, change: Callable[[Json | None], Json]) -> Json:
        """Put what *change* makes of the record of *profile_id*, and return it."""
        self.migrate_legacy()
        found = self.collection.update(record_key("profile", profile_id), change)
        return None if found is None else found.value

    def require_expected(
        self, profile_id: str, record: Json | None, expect: Credential | None
    ) -> None:
        """Raise `ConflictError` unless *record* is the credential that the caller saw, if any."""
        if expect is not None and (record is None or self.codec.read(profile_id, record) != expect):
            raise ConflictError("profile", profile_id)

    def remove(self, profile_id: str, expect: Credential | None = None) -> bool:
        """Remove a profile with its usage and its places in orders; False if it was not there."""
        self.migrate_legacy()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], bool]:
            key = record_key("profile", profile_id)
            self.require_expected(profile_id, records.get(key), expect)
            if key not in records:
                return records, False
            gone = {key, record_key("usage", profile_id)}
            left = {each: value for each, value in records.items() if each not in gone}
            return _without_mentions(left, profile_id), True

        return self.collection.change_all(change)

    def use(self, profile_id: str, change: Callable[[Usage], Usage]) -> Usage:
        """Put what *change* makes of the usage of a profile, and return it."""
        self.migrate_legacy()

        def write(old: Json | None) -> Json:
            return write_usage(change(read_usage(old)), old=old)

        found = self.collection.update(record_key("usage", profile_id), write)
        return read_usage(None if found is None else found.value)

    def set_good(self, provider: str, profile_id: str) -> None:
        """Keep which profile of *provider* worked last."""
        self.migrate_legacy()
        self.collection.put(record_key("lastGood", provider), profile_id)

    def order_of(self, provider: str) -> tuple[str, ...] | None:
        """Return the order of *provider* that lies here, or `None`."""
        wanted = normalise_provider(provider)
        found = (ids for name, ids in self.read().orders.items() if _is_named(name, wanted))
        return next(found, None)

    def set_order(
        self, provider: str, ids: tuple[str, ...], expect: tuple[str, ...] | None = None
    ) -> None:
        """Keep *ids* as the order of *provider*, where *expect* lies; none of them removes it."""
        self.migrate_legacy()
        wanted = normalise_provider(provider)

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], None]:
            found = [read_order(each) for key, each in records.items() if _is_order_of(key, wanted)]
            if expect is not None and expect not in (found or [()]):
                raise ConflictError("order", provider)
            left = {
                key: value
                for key, value in records.items()
                if not _is_order_of(key, wanted) or (ids and key == record_key("order", wanted))
            }
            return ({**left, record_key("order", wanted): [*ids]} if ids else left), None

        self.collection.change_all(change)

    def change_all(self, change: Callable[[dict[str, Json]], tuple[Mapping[str, Json], A]]) -> A:
        """Replace all records by what *change* makes of them."""
        self.migrate_legacy()
        return self.collection.change_all(change)

    def migrate_legacy(self) -> None:
        """
        Copy the profiles of older releases, if there are none yet, and record that.

        It is recorded before anything can be removed, so that nothing removed comes back.
        """
        self._require_writable()
        fresh = self._legacy.pending_sources()
        if not fresh:
            return
        found = self._legacy.usable(fresh)
        present = self._add(found, only_first=True) if found else frozenset()
        for source in fresh:
            self._legacy.record_import(source, present & source.profiles().keys(), self._clock)

    def import_legacy(self) -> AuthImport:
        """Copy the profiles that are not here and were never imported, beside those that are."""
        self._require_writable()
        counts = [0, 0, 0]
        for source in self._legacy.all():
            profiles = source.profiles()
            sound = self._legacy.usable((source,))
            handled = self._legacy.imported_ids(source)
            before = self.read().profiles.keys()
            wanted = {each: sound[each] for each in sound.keys() - handled}
            present = self._add(wanted, only_first=False) if wanted else frozenset()
            self._legacy.record_import(source, present, self._clock)
            new = len(present - before)
            counts = [counts[0] + new, counts[1] + len(sound) - new, counts[2]]
            counts[2] += len(profiles) - len(sound)
        return AuthImport(*counts)

    def _add(self, found: Mapping[str, Json], *, only_first: bool) -> frozenset[str]:
        """Add those of *found* that are not there, and return which of them are there then."""
        # Once before the lock is taken, since a person may have to be asked for the key.
        self._write_records(found)

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], frozenset[str]]:
            # Again: encryption may have been turned on while this waited for the lock.
            wanted = self._write_records(found)
            has_some = any(key.startswith(record_key("profile", "")) for key in records)
            merged = records if only_first and has_some else {**wanted, **records}
            there = (each for each in found if record_key("profile", each) in merged)
            return merged, frozenset(there)

        return self.collection.change_all(change)

    def _write_records(self, found: Mapping[str, Json]) -> dict[str, Json]:
        return {
            record_key("profile", each): self.codec.write(
                each, self.codec.read(each, record), old=record
            )
            for each, record in found.items()
        }


def _is_order_of(key: str, provider: str) -> bool:
    section, _, name = key.partition("/")
    return section == "order" and _is_named(name, provider)


def _is_named(name: str, provider: str) -> bool:
    return normalise_provider(name) == provider


def _without_mentions(records: Mapping[str, Json], profile_id: str) -> dict[str, Json]:
    left: dict[str, Json] = {}
    for key, value in records.items():
        section = key.partition("/")[0]
        if section == "lastGood" and value == profile_id:
            continue
        if section == "order" and profile_id in read_order(value):
            ids = [each for each in read_order(value) if each != profile_id]
            if ids:
                left[key] = ids
            continue
        left[key] = value
    return left
