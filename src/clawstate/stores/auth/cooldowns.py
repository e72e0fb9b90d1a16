"""
How long a profile rests after a failure (reference, section 7.5), by values and a moment.

Who reads a window that ends later than any failure could have set it, after the clock was moved,
takes it for over (decision 21).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from clawstate.clock import from_ms, to_ms
from clawstate.errors import InvalidError
from clawstate.stores.auth.names import normalise_provider
from clawstate.stores.auth.settings import HOUR, Cooldowns
from clawstate.stores.auth.usage import Usage

REASONS: Final = (
    "auth",
    "auth_permanent",
    "format",
    "rate_limit",
    "billing",
    "timeout",
    "model_not_found",
    "unknown",
)
"""Why a profile can fail."""

LONGEST_COOLDOWN: Final = HOUR
"""Seconds of the longest rest after a failure that passes by itself."""

_DISABLING = frozenset({"billing", "auth_permanent"})
_NEVER_RESTING = frozenset({"openrouter"})


def rests(provider: str) -> bool:
    """Tell whether profiles of *provider* rest at all; a router of many keys does not."""
    return normalise_provider(provider) not in _NEVER_RESTING


def after_use(usage: Usage, now: float) -> Usage:
    """Return *usage* after a success at *now*: no window, no count."""
    return replace(
        usage,
        last_used=_whole(now),
        error_count=0,
        failure_counts={},
        cooldown_until=None,
        disabled_until=None,
        disabled_reason=None,
    )


def after_renewal(usage: Usage) -> Usage:
    """Return *usage* after its profile got another secret: no window, no count."""
    return replace(after_use(usage, 0.0), last_used=usage.last_used, last_failure_at=None)


def after_failure(
    usage: Usage, reason: str, now: float, *, provider: str, cooldowns: Cooldowns
) -> Usage:
    """
    Return *usage* after a failure for *reason* at *now*.

    Failures add up while they are no further apart than the failure window. A window that is open
    is not moved. Profiles of a provider that never rest stay as they are. Raises `InvalidError`
    for an unknown reason.
    """
    if reason not in REASONS:
        raise InvalidError("reason", "is not a known reason", f"give one of {', '.join(REASONS)}")
    if not rests(provider):
        return usage
    moment = _whole(now)
    last = usage.last_failure_at
    is_new = last is not None and abs(moment - last) > cooldowns.failure_window
    counts = {} if is_new else dict(usage.failure_counts)
    counts[reason] = counts.get(reason, 0) + 1
    failed = replace(
        usage,
        error_count=1 if is_new else usage.error_count + 1,
        failure_counts=counts,
        last_failure_at=moment,
    )
    if reason not in _DISABLING:
        until = usage.cooldown_until
        if not _is_open(until, moment, LONGEST_COOLDOWN):
            until = moment + cooldown(failed.error_count)
        return replace(failed, cooldown_until=until)
    until = usage.disabled_until
    if not _is_open(until, moment, cooldowns.longest_of(provider)):
        until = moment + disablement(counts[reason], provider=provider, cooldowns=cooldowns)
    return replace(failed, disabled_until=until, disabled_reason=reason)


def cooldown(errors: int) -> float:
    """Return how many seconds a profile rests after its *errors*-th failure: 1, 5, 25, 60 min."""
    return min(LONGEST_COOLDOWN, 60.0 * 5.0 ** min(max(errors, 1) - 1, 3))


def disablement(failures: int, *, provider: str, cooldowns: Cooldowns) -> float:
    """Return for how many seconds the *failures*-th failure of billing disables a profile."""
    base = max(60.0, cooldowns.billing_of(provider))
    longest = max(base, cooldowns.billing_max)
    return min(longest, base * 2.0 ** min(max(failures, 1) - 1, 10))


def rests_until(usage: Usage, now: float, *, provider: str, cooldowns: Cooldowns) -> float | None:
    """Return until when a profile of *provider* rests, or `None` if it can be used at *now*."""
    if not rests(provider):
        return None
    windows = (
        (usage.cooldown_until, LONGEST_COOLDOWN),
        (usage.disabled_until, cooldowns.longest_of(provider)),
    )
    ends = [end for end, longest in windows if end is not None and _is_open(end, now, longest)]
    return max(ends, default=None)


def _is_open(until: float | None, now: float, longest: float) -> bool:
    # One second more than the longest: milliseconds are rounded, and clocks of two hosts differ.
    return until is not None and now < until <= now + longest + 1


def _whole(seconds: float) -> float:
    return from_ms(to_ms(seconds))
