"""The policy of `memory.retention`: which records of a state leave, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.config.settings import MEMORY_ARCHIVE_FOR, MEMORY_RULES, Values
from clawstate.errors import ConfigError, InvalidError
from clawstate.memory.retention import RetentionPolicy, RetentionRule, check_policy
from clawstate.quantities import duration_seconds

_NAMES = {
    "action": "action",
    "olderThan": "older_than",
    "importanceBelow": "importance_below",
    "category": "category",
    "source": "source",
    "tag": "tag",
    "namespace": "namespace",
}


def retention_policy(view: Values) -> RetentionPolicy | None:
    """Return the policy of the settings in *view*, None for none; raises `ConfigError`."""
    rules = tuple(
        _rule(f"{MEMORY_RULES.path}[{number}]", each)
        for number, each in enumerate(MEMORY_RULES.of(view))
    )
    archive_for = MEMORY_ARCHIVE_FOR.of(view)
    if not rules and archive_for is None:
        return None
    return RetentionPolicy(rules=rules, archive_for=archive_for)


def _rule(place: str, members: Mapping[str, Any]) -> RetentionRule:
    # A demand that is not understood would be left out, and the rule would mean more records.
    unknown = sorted(set(members) - set(_NAMES))
    if unknown:
        raise ConfigError(f"{place}.{unknown[0]}", "is unknown", f"use {', '.join(_NAMES)}")
    values = {_NAMES[name]: each for name, each in members.items() if each is not None}
    try:
        if "older_than" in values:
            values["older_than"] = duration_seconds(values["older_than"], unit="s")
        rule = RetentionRule(**values)
        check_policy(RetentionPolicy(rules=(rule,)))
    except InvalidError as error:
        raise ConfigError(place, f"{error.name} {error.problem}", error.hint) from error
    return rule
