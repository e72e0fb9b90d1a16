"""
What a mark is, how long it holds, and which marks leave when there are too many.

Times are the milliseconds that files hold: in seconds, rounding would blur the instant at which a
mark expires.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from clawstate.arguments import require_mapping
from clawstate.clock import to_ms
from clawstate.errors import InvalidError
from clawstate.files.safe_names import encode_name
from clawstate.records.contract import CollectionSpec, Json
from clawstate.records.layouts import MapLayout
from clawstate.records.merging import MergeResult, merge_records
from clawstate.records.rules import require_key

FIRST_MOMENT = 1
"""The earliest time of a mark: 0 and less count as no mark, for OpenClaw as for us."""


_NUMBERS: frozenset[Any] = frozenset({int, float})

_PLAIN = MapLayout()
_ABSENT = object()


def now_ms(seconds: float) -> int:
    """Return the time of a mark that is made *seconds* after the epoch."""
    return max(FIRST_MOMENT, to_ms(seconds))


def is_mark(value: Json) -> bool:
    """Tell whether *value* is the time of a mark; anything else is ignored, and left alone."""
    # By class and not `isinstance`: true is an `int` in Python, and no time.
    return value.__class__ in _NUMBERS and 0 < value < math.inf


@dataclass(frozen=True, slots=True)
class ExpiryPolicy:
    """
    What counts at the moment *now*: marks hold for *ttl* (0: for ever), at most *limit* of them.

    A mark from the future, as a clock that was set leaves it, is as one of now: it holds, but it
    outlives no younger one.
    """

    now: int
    ttl: int
    limit: int

    def holds(self, value: Json) -> bool:
        """Tell whether *value* is a mark that has not expired: after *ttl* exactly, it has."""
        # A mark from the future has a negative age and holds: taking it for new could handle a
        # message twice, which is what marks are there to prevent.
        return is_mark(value) and (self.ttl == 0 or self.now - value < self.ttl)

    def prune(self, records: Mapping[str, Json]) -> dict[str, Json]:
        """Return *records* without expired marks, and without the oldest of those too many."""
        kept = dict(records)
        if self.ttl:
            last = self.now - self.ttl
            # Without a call for each: this is on the way of every write of a file.
            for key, value in records.items():
                if value.__class__ in _NUMBERS and 0 < value <= last:
                    del kept[key]
        if len(kept) > self.limit:
            for key in self._too_many(kept):
                del kept[key]
        return kept

    def _too_many(self, records: Mapping[str, Json]) -> list[str]:
        now = self.now
        marks = {
            key: value if value <= now else now  # noqa: FURB136 - without a call for each
            for key, value in records.items()
            if value.__class__ in _NUMBERS and 0 < value < math.inf
        }
        surplus = len(marks) - self.limit
        if surplus <= 0:
            return []
        # Of those of one moment the first leave: so a mark that was just made is the last to go.
        return heapq.nsmallest(surplus, marks, key=marks.__getitem__)


def merge_marks(
    ours: Mapping[str, Json], theirs: Mapping[str, Json], policy: ExpiryPolicy
) -> tuple[dict[str, Json], MergeResult]:
    """
    Return *ours*, tidied, with those marks of *theirs* that hold, and what became of each.

    A mark is kept that expired by *policy*, or would be one too many; a mark that is here stays,
    whenever it was made.
    """
    # Our own marks that expired make room first, and do not count as marks that are there already.
    holding = {
        key: value for key, value in ours.items() if not is_mark(value) or policy.holds(value)
    }
    valid = {
        key: value
        for key, value in require_mapping("marks", theirs).items()
        if not is_mark(value) or policy.holds(value)
    }
    records, answer = merge_records(
        holding,
        valid,
        refuse=_refuse,
        is_same=lambda *_: True,
        gives_way=lambda *_: False,
    )
    tidy = policy.prune(records)
    left = [key for key in theirs if key not in valid]
    left += [key for key in answer.new if key not in tidy]
    new = tuple(key for key in answer.new if key in tidy)
    return tidy, MergeResult(new, same=answer.same, kept=tuple(left), refused=answer.refused)


def _refuse(key: str, value: Json) -> None:
    require_key(key)
    if not is_mark(value):
        raise InvalidError("mark", "is no time")


@dataclass(frozen=True, slots=True)
class MarksLayout:
    """
    A flat object of marks, which each write tidies by the *policy* of that moment.

    A file is written whole anyway, so its marks never are too many. Members that are no marks
    stay. A mark that was made or renewed lies last.
    """

    policy: Callable[[], ExpiryPolicy]

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the members of the object; raises `InvalidError` for anything else."""
        return _PLAIN.decode(document)

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the marks among *records* that still hold, and whatever is no mark."""
        if document is None and len(records) == 1:
            return dict(records)  # asked of each single record, whatever the engine
        old = _PLAIN.decode(document)
        kept = dict(records)
        # The order of members tells marks of one millisecond apart: of those the first leave
        # (`ExpiryPolicy`).
        for key in [key for key, value in records.items() if old.get(key, _ABSENT) != value]:
            kept[key] = kept.pop(key)
        return self.policy().prune(kept)


def marks_spec(
    namespace: str, path: PurePosixPath, policy: Callable[[], ExpiryPolicy]
) -> CollectionSpec:
    """Return the spec of the marks of *namespace*, which lie in the file *path*."""
    return CollectionSpec(f"dedupe:{encode_name(namespace)}", path, MarksLayout(policy))
