"""What the configuration says about credentials: `AuthSettings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from clawstate.stores.auth.names import normalise_provider

HOUR: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class Cooldowns:
    """How long a profile rests after a billing failure (`auth.cooldowns`), in seconds."""

    billing: float = 5 * HOUR
    billing_by_provider: Mapping[str, float] = field(default_factory=dict)
    billing_max: float = 24 * HOUR
    failure_window: float = 24 * HOUR

    def billing_of(self, provider: str) -> float:
        """Return the first rest of *provider*."""
        wanted = normalise_provider(provider)
        for name, seconds in self.billing_by_provider.items():
            if normalise_provider(name) == wanted:
                return seconds
        return self.billing

    def longest_of(self, provider: str) -> float:
        """Return the longest rest of *provider* that a failure can bring."""
        return max(self.billing_max, self.billing_of(provider), 60.0)


@dataclass(frozen=True, slots=True)
class Declared:
    """A profile that the configuration names (`auth.profiles`): its provider and type."""

    provider: str
    mode: str


@dataclass(frozen=True, kw_only=True)
class AuthSettings:
    """
    The section `auth`, as it is now.

    *order* is one list for all providers, or one for each, or `None`.
    """

    order: tuple[str, ...] | Mapping[str, tuple[str, ...]] | None = None
    profiles: Mapping[str, Declared] = field(default_factory=dict)
    cooldowns: Cooldowns = field(default_factory=Cooldowns)
