"""Taking over records that another program kept: which of them come in, by one set of rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from clawstate.arguments import require_mapping
from clawstate.errors import InvalidError
from clawstate.records.contract import Json

Refuse = Callable[[str, Json], object]
"""Raises `InvalidError` for a record that cannot be kept under that key."""

Compare = Callable[[str, Json, Json], bool]
"""Is given a key, our record and theirs."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """
    What became of the records of another program, by their keys.

    They are *new*, have *changed* ours, or say the *same*; or they differ, and ours was *kept*.
    The *refused* ones cannot be kept, each for a reason that repeats nothing of it.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def without(self, prefix: str) -> Adopted:
        """Return the same with keys that no longer start with *prefix*."""
        parts = (self.new, self.changed, self.same, self.kept)
        new, changed, same, kept = (
            tuple(key.removeprefix(prefix) for key in keys) for keys in parts
        )
        refused = {key.removeprefix(prefix): why for key, why in self.refused.items()}
        return Adopted(new, changed, same, kept, refused)


def adopted(
    ours: Mapping[str, Json],
    theirs: Mapping[str, Json],
    *,
    refuse: Refuse,
    is_same: Compare,
    gives_way: Compare,
) -> tuple[dict[str, Json], Adopted]:
    """
    Return *ours* with those of *theirs* that come in, and what became of each.

    One that *refuse* raises for stays out; where both sides have one that is not the same, ours
    *gives_way* or stays. Pure, if these are.
    """
    records = dict(ours)
    fates: dict[str, list[str]] = {"new": [], "changed": [], "same": [], "kept": []}
    refused: dict[str, str] = {}
    for key, value in require_mapping("records", theirs).items():
        try:
            refuse(key, value)
        except InvalidError as error:
            refused[key] = error.problem
            continue
        fate = _fate(key, ours.get(key), value, is_same=is_same, gives_way=gives_way)
        fates[fate].append(key)
        if fate in {"new", "changed"}:
            records[key] = value
    told = {name: tuple(keys) for name, keys in fates.items()}
    return records, Adopted(**told, refused=refused)


def _fate(key: str, old: Json | None, new: Json, *, is_same: Compare, gives_way: Compare) -> str:
    if old is None:
        return "new"
    if is_same(key, old, new):
        return "same"
    return "changed" if gives_way(key, old, new) else "kept"
