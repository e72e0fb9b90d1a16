"""How a profile fared: `Usage`, as OpenClaw keeps it in `usageStats`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from clawstate.clock import from_ms, to_ms
from clawstate.records.contract import Json

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
"""How a profile fared that nobody used yet."""


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
