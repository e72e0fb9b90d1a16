"""Credentials in the files of older releases, which are imported once (reference, section 7.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from clawstate.clock import Clock, to_iso
from clawstate.errors import InvalidError
from clawstate.files.json_text import dump_compact
from clawstate.records.contract import Collection, CollectionSpec, Json
from clawstate.records.layouts import MapLayout
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import TYPES, type_of
from clawstate.stores.auth.names import require_profile_id

LEDGER_LAYOUT: Final = MapLayout("imports", version=1)
"""How `state/imports.json` tells what was imported from where."""
LEDGER: Final = CollectionSpec("imports", PurePosixPath("state/imports.json"), LEDGER_LAYOUT)
"""What was imported of older releases, so that it is once."""


@dataclass(frozen=True, slots=True)
class AuthImport:
    """
    What an import did: profiles that are new, were there already, or cannot be used.

    One that was imported before and removed since counts as there.
    """

    imported: int = 0
    present: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class LegacySource:
    """
    A file of an older release, as a collection that is only read.

    It is never written or removed: OpenClaw takes an `auth.json` for the store of an older release,
    and would bring back profiles that were removed since (decision 013).

    *name* is its key in the ledger, such as `auth:main/auth.json`; *convert* makes profiles of its
    records.
    """

    name: str
    collection: Collection
    convert: Callable[[Mapping[str, Json]], dict[str, Json]]

    def records(self) -> dict[str, Json]:
        """Return what the file holds, or nothing; a damaged one with a `CorruptWarning`."""
        return {record.key: record.value for record in self.collection.scan()}

    def profiles(self) -> dict[str, Json]:
        """Return the records of its profiles, by id; some may be no credentials."""
        return self.convert(self.records())


class Legacy:
    """The *sources* of one agent, and the *ledger* of what was imported from them."""

    def __init__(
        self, sources: tuple[LegacySource, ...], ledger: Collection, codec: CredentialCodec
    ) -> None:
        self._sources = sources
        self._ledger = ledger
        self._codec = codec

    def pending_sources(self) -> tuple[LegacySource, ...]:
        """Return the sources that hold profiles and were never imported."""
        return tuple(
            source
            for source in self._sources
            if source.collection.count() and self._ledger.get(source.name) is None
        )

    def profiles(self) -> dict[str, Json]:
        """Return the usable profiles of those sources; of two with one id the first counts."""
        return self.usable(self.pending_sources())

    def usable(self, sources: tuple[LegacySource, ...]) -> dict[str, Json]:
        """Return the profiles of *sources* that can be used."""
        found: dict[str, Json] = {}
        for source in sources:
            for name, record in source.profiles().items():
                if self.reason_against(name, record) is None:
                    found.setdefault(name, record)
        return found

    def reason_against(self, name: str, record: Json) -> str | None:
        """Return why *record* cannot be the profile *name*, or `None`."""
        try:
            require_profile_id(name)
            self._codec.read(name, record)
        except InvalidError as error:
            return error.problem
        return None

    def all(self) -> tuple[LegacySource, ...]:
        """Return the sources that hold something."""
        return tuple(source for source in self._sources if source.collection.count())

    def imported_ids(self, source: LegacySource) -> frozenset[str]:
        """Return the ids that were imported from *source*, those removed since included."""
        found = self._ledger.get(source.name)
        ids = found.value.get("profiles") if found and isinstance(found.value, dict) else None
        return frozenset(each for each in ids if isinstance(each, str)) if ids else frozenset()

    def record_import(self, source: LegacySource, ids: frozenset[str], clock: Clock) -> None:
        """Add *ids* to those that were imported from *source*."""
        entry = {
            "digest": hashlib.sha256(dump_compact(source.records()).encode()).hexdigest(),
            "importedAt": to_iso(clock()),
        }

        def change(old: Json | None) -> Json:
            known = old if isinstance(old, dict) else {}
            before = known.get("profiles")
            kept = {each for each in before if isinstance(each, str)} if before else set()
            if old is not None and ids <= kept:
                return old
            return {**known, **entry, "profiles": sorted(kept | ids)}

        self._ledger.update(source.name, change)


def from_agent_file(records: Mapping[str, Json]) -> dict[str, Json]:
    """
    Return the profiles in `auth.json`, an object from provider to credential.

    One with a member `profiles` has them there, by id (decision 13).
    """
    profiles = records.get("profiles")
    if isinstance(profiles, dict):
        return dict(profiles)
    return {f"{name}:default": _with_type(name, record) for name, record in records.items()}


def from_oauth_file(records: Mapping[str, Json]) -> dict[str, Json]:
    """Return the profiles in `credentials/oauth.json`: an object from provider to tokens."""
    return {
        f"{name}:default": {"type": "oauth", "provider": name, **record}
        for name, record in records.items()
        if isinstance(record, dict)
    }


def _with_type(provider: str, record: Json) -> Json:
    if not isinstance(record, dict) or type_of(record) not in TYPES:
        return record
    rest = {key: value for key, value in record.items() if key not in {"type", "provider"}}
    return {"type": type_of(record), "provider": record.get("provider") or provider, **rest}
