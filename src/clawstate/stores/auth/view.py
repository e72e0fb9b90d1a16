"""What an agent sees: its own shelf over the one that it inherits, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from clawstate.stores.auth.credentials import Credential, Profile
from clawstate.stores.auth.names import normalise_provider
from clawstate.stores.auth.ordering import Candidates
from clawstate.stores.auth.rows import Row, Rows
from clawstate.stores.auth.shelf import Shelf
from clawstate.stores.auth.usage import UNUSED, Usage


@dataclass(frozen=True, slots=True)
class Found:
    """A profile with the shelf that it lies on, and where that is, as in `Profile.origin`."""

    shelf: Shelf
    row: Row
    origin: str


@dataclass(frozen=True)
class View:
    """What lies on *shelves*, of which each hides what lies on those before."""

    shelves: tuple[Shelf, ...]

    @cached_property
    def found(self) -> Mapping[str, Found]:
        """All profiles by id, those that cannot be understood included."""
        found: dict[str, Found] = {}
        for shelf, rows in self._parts:
            origin = "own" if shelf is self.shelves[-1] else "inherited"
            for each, row in shelf.legacy_rows(rows).items():
                found[each] = Found(shelf, row, "legacy" if origin == "own" else origin)
            for each, row in rows.profiles.items():
                found[each] = Found(shelf, row, origin)
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
        found = ((each, one.row.credential) for each, one in self.found.items())
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
                origin=self.found[each].origin,
                usage=self.usage.get(each, UNUSED),
            )
            for each, credential in sorted(self.credentials.items())
        )

    def order_of(self, provider: str) -> tuple[str, ...] | None:
        """Return the order that was set for *provider*, or `None`."""
        wanted = normalise_provider(provider)
        found = (ids for name, ids in self.orders.items() if normalise_provider(name) == wanted)
        return next(found, None)

    def usage_shelf(self, profile_id: str) -> Shelf:
        """
        Return where the usage of *profile_id* is noted: where the credential lies.

        An own note hides that one, though: OpenClaw copies the usage of others beside its own.
        """
        shelf, rows = self._parts[-1]
        return shelf if profile_id in rows.usage else self.found[profile_id].shelf

    @cached_property
    def _parts(self) -> tuple[tuple[Shelf, Rows], ...]:
        return tuple((shelf, shelf.rows()) for shelf in self.shelves)
