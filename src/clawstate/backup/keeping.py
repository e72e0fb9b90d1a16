"""Which backups a policy such as `7d,4w` keeps: the newest of each of so many days and weeks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from clawstate.backup.manifest import Backup
from clawstate.errors import InvalidError

USUAL: Final = "7d,4w"

_PART = re.compile(r"(?P<count>[1-9]\d{0,3})(?P<unit>[hdwmy]?)")
_HINT = "write how many hours, days, weeks, months or years, such as 7d,4w,12m, or a number of all"


def policy(text: str) -> dict[str, int]:
    """Return how many of each unit *text* keeps; raises `InvalidError`."""
    found: dict[str, int] = {}
    for each in text.replace(" ", "").split(","):
        match = _PART.fullmatch(each)
        if match is None or match["unit"] in found:
            raise InvalidError("keep", f"{text!r} is no policy", _HINT)
        found[match["unit"]] = int(match["count"])
    return found


def choose_surplus(backups: Sequence[Backup], keep: str) -> list[Backup]:
    """
    Return those of *backups* that *keep* does not keep, the oldest first.

    The newest of all stays in any case, and so does the newest that was verified: it is the one
    that is known to bring everything back.
    """
    newest_first = sorted(backups, key=lambda each: each.created, reverse=True)
    kept = {each.path for each in newest_first[:1]}
    kept |= {each.path for each in [one for one in newest_first if one.verified is not None][:1]}
    for unit, count in policy(keep).items():
        kept |= {each.path for each in _newest_of_each(newest_first, _PERIODS[unit], count)}
    return [each for each in reversed(newest_first) if each.path not in kept]


def _newest_of_each(
    newest_first: Sequence[Backup], period: Callable[[Backup], object], count: int
) -> list[Backup]:
    found: dict[object, Backup] = {}
    for each in newest_first:
        found.setdefault(period(each), each)
    return list(found.values())[:count]


def _date(backup: Backup) -> datetime:
    return datetime.fromtimestamp(backup.created, UTC)


_PERIODS: dict[str, Callable[[Backup], object]] = {
    "": lambda backup: backup.path,
    "h": lambda backup: _date(backup).strftime("%Y-%m-%dT%H"),
    "d": lambda backup: _date(backup).date(),
    "w": lambda backup: _date(backup).isocalendar()[:2],
    "m": lambda backup: _date(backup).strftime("%Y-%m"),
    "y": lambda backup: _date(backup).year,
}
