"""The usage of a profile, as OpenClaw keeps it in `usageStats`, and its cooldown after failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from clawstate.clock import from_ms, to_ms
from clawstate.errors import InvalidError
from clawstate.records.contract import Json
from clawstate.stores.auth.names import normalise_provider
from clawstate.stores.auth.settings import HOUR, Cooldowns

_MOMENTS = {
    "last_used": "lastUsed",
    "cooldown_until": "cooldownUntil",
    "disabled_until": "disabledUntil",
    "last_failure_at": "lastFailureAt",
}
_OTHERS = {
    "disabled_reason": "disabledReason",
    "error_count": "errorCount",
    "failure_counts": "failureCounts",
}
_KNOWN = frozenset({*_MOMENTS.values(), *_OTHERS.values()})
_LAST_DATE = 253_402_214_400_000  # milliseconds of the last day of the year 9999
_MOST = 2**53  # errors that JavaScript can count

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
# A failure that a person has to mend (an unpaid bill, a login that was revoked) disables for hours;
# others pass by themselves.
_DISABLING = frozenset({"billing", "auth_permanent"})
# A router has many keys behind one name: the failure of one says nothing about the next request.
_NEVER_RESTING = frozenset({"openrouter"})


@dataclass(frozen=True, kw_only=True)
class Usage:
    """
    When a profile was used and how it failed; moments in seconds since the epoch.

    Until *cooldown_until* it rests after a failure that passes, until *disabled_until* after one
    that somebody has to mend. *failure_counts* are by reason.
    """

    last_used: float | None = None
    cooldown_until: float | None = None
    disabled_until: float | None = None
    disabled_reason: str | None = None
    error_count: int = 0
    failure_counts: Mapping[str, int] = field(default_factory=dict)
    last_failure_at: float | None = None
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)


UNUSED: Final = Usage()
"""The usage of a profile that nobody used yet."""


def read_usage(record: Json) -> Usage:
    """Return what *record* says; what it cannot mean counts as not said."""
    if not isinstance(record, dict):
        return UNUSED
    moments = {name: _moment(record.get(member)) for name, member in _MOMENTS.items()}
    reason = record.get("disabledReason")
    counts = record.get("failureCounts")
    return Usage(
        **moments,
        disabled_reason=reason if isinstance(reason, str) else None,
        error_count=_count(record.get("errorCount")),
        failure_counts=_counts(counts) if isinstance(counts, dict) else {},
        extra={key: value for key, value in record.items() if key not in _KNOWN},
    )


def write_usage(usage: Usage, *, old: Json) -> dict[str, Json]:
    """Return the record of *usage*; fields that say the same in *old* stay as they are there."""
    record = dict(old) if isinstance(old, dict) else {}
    before = read_usage(old)
    for name, member in {**_MOMENTS, **_OTHERS}.items():
        value = getattr(usage, name)
        if value == getattr(before, name) and (member in record or not value):
            continue
        if value is None or value == {}:
            record.pop(member, None)
        else:
            record[member] = to_ms(value) if name in _MOMENTS else value
    for key in before.extra.keys() - usage.extra.keys():
        del record[key]
    return {**record, **usage.extra}


def _moment(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return from_ms(value) if value <= _LAST_DATE else None


def _count(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _MOST:
        return 0
    return int(value)


def _counts(found: Mapping[str, Json]) -> dict[str, int]:
    return {reason: count for reason, value in found.items() if (count := _count(value))}


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
    # An open window is not moved: requests that run side by side fail together, and each would
    # otherwise add to the rest that one failure deserves.
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
