"""A merge of records that another program kept into ours, by one set of rules for all stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from clawstate.arguments import require_mapping
from clawstate.errors import InvalidError
from clawstate.records.contract import Collection, Json

Refuse = Callable[[str, Json], object]
"""Raises `InvalidError` for a record that cannot be kept under that key."""

Compare = Callable[[str, Json, Json], bool]
"""Is given a key, our record and theirs."""

Merge = Callable[[dict[str, Json]], tuple[Mapping[str, Json], "MergeResult"]]
"""Returns all records after a merge, and what it did; pure."""


@dataclass(frozen=True, slots=True)
class MergeResult:
    """
    What a merge did with the records of another program, by their keys.

    They are *new*, have *changed* ours, or say the *same*; or they differ, and ours was *kept*.
    The *refused* ones cannot be stored, each for a reason that repeats nothing of it.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Iterable[MergeResult]) -> MergeResult:
        """Return the result of several merges, of different keys, as that of one."""
        found = tuple(results)
        parts = ("new", "changed", "same", "kept")
        keys = {name: tuple(key for each in found for key in getattr(each, name)) for name in parts}
        refused = {key: why for each in found for key, why in each.refused.items()}
        return cls(**keys, refused=refused)

    def without(self, prefix: str) -> MergeResult:
        """Return the same with *prefix* taken from the keys."""
        parts = (self.new, self.changed, self.same, self.kept)
        new, changed, same, kept = (
            tuple(key.removeprefix(prefix) for key in keys) for keys in parts
        )
        refused = {key.removeprefix(prefix): why for key, why in self.refused.items()}
        return MergeResult(new, changed, same, kept, refused)


def merge_records(
    ours: Mapping[str, Json],
    theirs: Mapping[str, Json],
    *,
    refuse: Refuse,
    is_same: Compare,
    gives_way: Compare,
) -> tuple[dict[str, Json], MergeResult]:
    """
    Return *ours* with the records of *theirs* that are taken, and what was done with each.

    One that *refuse* raises for is left out; where both sides have one that is not the same, ours
    *gives_way* or stays. Pure, if these are. Nothing notes what was merged before: a second merge
    compares (decision 13).
    """
    records = dict(ours)
    keys: dict[str, list[str]] = {"new": [], "changed": [], "same": [], "kept": []}
    refused: dict[str, str] = {}
    for key, value in require_mapping("records", theirs).items():
        try:
            refuse(key, value)
        except InvalidError as error:
            refused[key] = error.problem
            continue
        old = ours.get(key)
        if old is None:
            outcome = "new"
        elif is_same(key, old, value):
            outcome = "same"
        else:
            outcome = "changed" if gives_way(key, old, value) else "kept"
        keys[outcome].append(key)
        if outcome in {"new", "changed"}:
            records[key] = value
    by_outcome = {name: tuple(found) for name, found in keys.items()}
    return records, MergeResult(**by_outcome, refused=refused)


def merge_into(collection: Collection, merge: Merge, *, dry_run: bool) -> MergeResult:
    """Apply *merge* to all records of *collection*, or with *dry_run* only return its result."""
    if dry_run:
        return merge({each.key: each.value for each in collection.scan()})[1]
    return collection.change_all(merge)
