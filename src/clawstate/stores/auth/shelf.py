"""`Shelf`: what one agent keeps itself, with a memory of what was read and resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from clawstate.clock import Clock
from clawstate.interrupts import Mutex
from clawstate.records.contract import Collection, Json, Versioned
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import Credential, Problem
from clawstate.stores.auth.legacy import Imported, Legacy
from clawstate.stores.auth.names import normalise_provider
from clawstate.stores.auth.rows import Row, Rows, place, read_order, read_rows
from clawstate.stores.auth.usage import Usage, read_usage, write_usage

A = TypeVar("A")

_LEGACY = "legacy"
_NO_ROWS = Rows()


class Shelf:
    """
    The credentials of the agent *name*, without those of any other. Safe for threads.

    Values and resolved secrets are kept in memory until the record changes they came from;
    `forget` drops them. Before its first change, what *legacy* holds is taken over. Before every
    change *require_writable* is called, which may refuse it.
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
        self._rows: Rows | None = None
        self._cursor: str | None = None
        self._secrets: dict[str, tuple[str, str]] = {}
        self._forgotten = 0

    def rows(self) -> Rows:
        """Return what is kept now."""
        changes = self.collection.changes(self._cursor)
        with self._mutex:
            known = self._rows
            if known is not None and self._cursor == changes.cursor and changes.complete:
                return known
        rows = read_rows(self.collection.scan(), self.codec, known or _NO_ROWS)
        with self._mutex:
            self._rows, self._cursor = rows, changes.cursor
            for each in self._secrets.keys() - rows.profiles.keys():
                del self._secrets[each]
        return rows

    def legacy_rows(self, rows: Rows) -> Mapping[str, Row]:
        """Return the profiles of older releases, if *rows* has none and none were imported."""
        if rows.profiles:
            return {}
        found = self._legacy.visible()
        records = (Versioned(place("profile", each), found[each], _LEGACY) for each in found)
        return read_rows(records, self.codec, _NO_ROWS).profiles

    def legacy_problems(self) -> tuple[Problem, ...]:
        """Return what cannot be used of the files of older releases that were not imported yet."""
        if self.rows().profiles:
            return ()
        return tuple(
            Problem(source.name, each, reason)
            for source in self._legacy.fresh()
            for each, record in source.profiles().items()
            if (reason := self._legacy.reason_against(each, record)) is not None
        )

    def secret(self, profile_id: str, row: Row, credential: Credential) -> str:
        """Return what requests are made with; from memory while the record is the same."""
        with self._mutex:
            revision, known = self._secrets.get(profile_id, ("", ""))
            forgotten = self._forgotten
        if revision == row.revision and revision != _LEGACY:
            return known
        secret = self.codec.secret(profile_id, credential)
        with self._mutex:
            if forgotten == self._forgotten:  # what was resolved before `forget` is not kept
                self._secrets[profile_id] = (row.revision, secret)
        return secret

    def forget(self) -> None:
        """Drop all that was read and resolved."""
        with self._mutex:
            self._rows = self._cursor = None
            self._secrets.clear()
            self._forgotten += 1

    def put(self, profile_id: str, change: Callable[[Json | None], Json]) -> Json:
        """Put what *change* makes of the record of *profile_id*, and return it."""
        self.adopt()
        found = self.collection.update(place("profile", profile_id), change)
        return None if found is None else found.value

    def remove(self, profile_id: str) -> bool:
        """Remove a profile with its usage and its places in orders; False if it was not there."""
        self.adopt()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], bool]:
            key = place("profile", profile_id)
            if key not in records:
                return records, False
            gone = {key, place("usage", profile_id)}
            left = {each: value for each, value in records.items() if each not in gone}
            return _without_mentions(left, profile_id), True

        return self.collection.change_all(change)

    def use(self, profile_id: str, change: Callable[[Usage], Usage]) -> Usage:
        """Put what *change* makes of the usage of a profile, and return it."""
        self.adopt()

        def changed(old: Json | None) -> Json:
            return write_usage(change(read_usage(old)), old=old)

        found = self.collection.update(place("usage", profile_id), changed)
        return read_usage(None if found is None else found.value)

    def set_good(self, provider: str, profile_id: str) -> None:
        """Keep which profile of *provider* worked last."""
        self.adopt()
        self.collection.put(place("lastGood", provider), profile_id)

    def set_order(self, provider: str, ids: tuple[str, ...]) -> None:
        """Keep *ids* as the order of *provider*; none of them removes it."""
        self.adopt()
        wanted = normalise_provider(provider)

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], None]:
            left = {
                key: value
                for key, value in records.items()
                if not _is_order_of(key, wanted) or (ids and key == place("order", wanted))
            }
            return ({**left, place("order", wanted): [*ids]} if ids else left), None

        self.collection.change_all(change)

    def change_all(self, change: Callable[[dict[str, Json]], tuple[Mapping[str, Json], A]]) -> A:
        """Replace all records by what *change* makes of them."""
        self.adopt()
        return self.collection.change_all(change)

    def adopt(self) -> None:
        """
        Take over what older releases left, if there are no profiles yet, and note it.

        It is noted before anything can be removed, so that nothing removed comes back.
        """
        self._require_writable()
        fresh = self._legacy.fresh()
        if not fresh:
            return
        found = self._legacy.sound(fresh)
        present = self._added(found, only_first=True) if found else frozenset()
        for source in fresh:
            self._legacy.note(source, present & source.profiles().keys(), self._clock)

    def import_legacy(self) -> Imported:
        """Take over what is not there and was never imported, whatever else there is."""
        self._require_writable()
        counts = [0, 0, 0]
        for source in self._legacy.all():
            profiles = source.profiles()
            sound = self._legacy.sound((source,))
            handled = self._legacy.handled(source)
            before = self.rows().profiles.keys()
            wanted = {each: sound[each] for each in sound.keys() - handled}
            present = self._added(wanted, only_first=False) if wanted else frozenset()
            self._legacy.note(source, present, self._clock)
            new = len(present - before)
            counts = [counts[0] + new, counts[1] + len(sound) - new, counts[2]]
            counts[2] += len(profiles) - len(sound)
        return Imported(*counts)

    def _added(self, found: Mapping[str, Json], *, only_first: bool) -> frozenset[str]:
        """Add those of *found* that are not there, and return which of them are there then."""
        self._kept_form(found)  # before any lock: a person may have to be asked for the key

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], frozenset[str]]:
            # Once more: encryption may have been turned on while the lock was waited for.
            wanted = self._kept_form(found)
            has_some = any(key.startswith(place("profile", "")) for key in records)
            merged = records if only_first and has_some else {**wanted, **records}
            there = (each for each in found if place("profile", each) in merged)
            return merged, frozenset(there)

        return self.collection.change_all(change)

    def _kept_form(self, found: Mapping[str, Json]) -> dict[str, Json]:
        return {
            place("profile", each): self.codec.write(
                each, self.codec.read(each, record), old=record
            )
            for each, record in found.items()
        }


def _is_order_of(key: str, provider: str) -> bool:
    section, _, name = key.partition("/")
    return section == "order" and normalise_provider(name) == provider


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
