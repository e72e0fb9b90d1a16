"""The profiles that an agent sees: its own, and those it inherits, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from clawstate.stores.auth.availability import Candidates
from clawstate.stores.auth.credentials import Credential, Profile
from clawstate.stores.auth.names import normalise_provider
from clawstate.stores.auth.profile_store import ProfileStore, StoredProfile, StoredProfiles
from clawstate.stores.auth.usage import UNUSED, Usage


@dataclass(frozen=True, slots=True)
class LocatedProfile:
    """A profile, the store that has it, and what that is to the agent, as in `Profile.origin`."""

    store: ProfileStore
    stored: StoredProfile
    origin: str


@dataclass(frozen=True)
class MergedProfiles:
    """The profiles of *stores*, of which a later one hides those of an earlier one."""

    stores: tuple[ProfileStore, ...]

    @cached_property
    def by_id(self) -> Mapping[str, LocatedProfile]:
        """All profiles by id, those that cannot be understood included."""
        found: dict[str, LocatedProfile] = {}
        for store, rows in self._parts:
            origin = "own" if store is self.stores[-1] else "inherited"
            for each, row in store.legacy_profiles(rows).items():
                found[each] = LocatedProfile(store, row, "legacy" if origin == "own" else origin)
            for each, row in rows.profiles.items():
                found[each] = LocatedProfile(store, row, origin)
        return found

    @cached_property
    def usage(self) -> Mapping[str, Usage]:
        """How each profile fared."""
        return {each: usage for _, rows in self._parts for each, usage in rows.usage.items()}

    @cached_property
    def orders(self) -> Mapping[str, tuple[str, ...]]:
        """The orders that were set, by provider."""
        return {name: ids for _, rows in self._parts for name, ids in rows.orders.items()}

    @cached_property
    def last_good(self) -> Mapping[str, str]:
        """The profile that worked last, by provider."""
        return {name: each for _, rows in self._parts for name, each in rows.last_good.items()}

    @property
    def credentials(self) -> dict[str, Credential]:
        """The credentials that can be understood, by id."""
        found = ((each, one.stored.credential) for each, one in self.by_id.items())
        return {each: credential for each, credential in found if credential is not None}

    @property
    def candidates(self) -> Candidates:
        """What an order is made of."""
        return Candidates(self.credentials, self.orders, self.usage)

    def profiles(self) -> tuple[Profile, ...]:
        """Return the profiles that can be understood, by id."""
        return tuple(
            Profile(
                id=each,
                credential=credential,
                origin=self.by_id[each].origin,
                usage=self.usage.get(each, UNUSED),
            )
            for each, credential in sorted(self.credentials.items())
        )

    def order_of(self, provider: str) -> tuple[str, ...] | None:
        """Return the order that was set for *provider*, or `None`."""
        wanted = normalise_provider(provider)
        found = (ids for name, ids in self.orders.items() if normalise_provider(name) == wanted)
        return next(found, None)

    def usage_store(self, profile_id: str) -> ProfileStore:
        """
        Return the store in which the usage of *profile_id* is written: that of the credential.

        Unless the own store has usage of it, which hides the other: OpenClaw copies the usage of
        inherited credentials beside its own.
        """
        store, rows = self._parts[-1]
        return store if profile_id in rows.usage else self.by_id[profile_id].store

    @cached_property
    def _parts(self) -> tuple[tuple[ProfileStore, StoredProfiles], ...]:
        return tuple((store, store.read()) for store in self.stores)
