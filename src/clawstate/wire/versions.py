"""The JSON form of what records were, and of what leaves by a policy."""

from __future__ import annotations

from typing import Any, cast

from clawstate.errors import InvalidError
from clawstate.memory.duplicates.values import DuplicateGroup
from clawstate.memory.retention import (
    Action,
    RetentionPolicy,
    RetentionReport,
    RetentionRule,
)
from clawstate.memory.versions import Conflict, ConflictKind, Ending, RecordVersion
from clawstate.wire.members import Members, times
from clawstate.wire.memory import read_record, write_record


def write_conflict(conflict: Conflict) -> dict[str, Any]:
    """Return *conflict*, with its advice."""
    return {
        "kind": conflict.kind,
        "records": list(conflict.records),
        "about": conflict.about,
        "more": conflict.more,
        "advice": conflict.advice,
    }


def read_conflict(document: Any) -> Conflict:
    """Return the conflict of *document*."""
    told = Members(document, "conflict")
    kind = cast("ConflictKind", told.text("kind"))
    more = told.maybe_integer("more") or 0
    return Conflict(kind, told.texts("records"), told.text("about"), more)


def write_duplicates(group: DuplicateGroup) -> dict[str, Any]:
    """Return *group*."""
    return {
        "records": list(group.records),
        "similarities": list(group.similarities),
        "more": group.more,
    }


def read_duplicates(document: Any) -> DuplicateGroup:
    """Return the group of *document*."""
    told = Members(document, "duplicates")
    similarities = document.get("similarities")
    if not isinstance(similarities, list) or not all(
        isinstance(each, (int, float)) and not isinstance(each, bool) for each in similarities
    ):
        raise InvalidError("duplicates.similarities", "is no list of numbers")
    more = told.maybe_integer("more") or 0
    return DuplicateGroup(told.texts("records"), tuple(map(float, similarities)), more)


def write_rule(rule: RetentionRule) -> dict[str, Any]:
    """Return *rule*; its age in seconds."""
    return {
        "action": rule.action,
        "olderThan": rule.older_than,
        "importanceBelow": rule.importance_below,
        "category": rule.category,
        "source": rule.source,
        "tag": rule.tag,
        "namespace": rule.namespace,
    }


def read_rule(document: Any) -> RetentionRule:
    """Return the rule of *document*."""
    told = Members(document, "rule")
    return RetentionRule(
        action=cast("Action", told.text("action")),
        older_than=told.maybe_number("olderThan"),
        importance_below=told.maybe_number("importanceBelow"),
        category=told.maybe_text("category"),
        source=told.maybe_text("source"),
        tag=told.maybe_text("tag"),
        namespace=told.maybe_text("namespace"),
    )


def write_policy(policy: RetentionPolicy) -> dict[str, Any]:
    """Return *policy*; the time in the archive in seconds."""
    return {
        "rules": [write_rule(each) for each in policy.rules],
        "archiveFor": policy.archive_for,
    }


def read_policy(document: Any) -> RetentionPolicy:
    """Return the policy of *document*."""
    told = Members(document, "policy")
    rules = tuple(map(read_rule, told.items("rules")))
    return RetentionPolicy(rules=rules, archive_for=told.maybe_number("archiveFor"))


def write_retention(report: RetentionReport) -> dict[str, Any]:
    """Return *report*."""
    return {
        "archived": list(report.archived),
        "forgotten": list(report.forgotten),
        "expired": report.expired,
        "dryRun": report.is_dry,
    }


def read_retention(document: Any) -> RetentionReport:
    """Return the report of *document*."""
    told = Members(document, "retention")
    return RetentionReport(
        archived=told.texts("archived"),
        forgotten=told.texts("forgotten"),
        expired=told.integer("expired"),
        is_dry=told.truth("dryRun"),
    )


def write_version(version: RecordVersion) -> dict[str, Any]:
    """Return *version*: the record as it was, from when until when, and what came then."""
    return {
        "record": write_record(version.record),
        **times(since=version.since, until=version.until),
        "ending": version.ending,
        "successors": list(version.successors),
        "changed": list(version.changed),
    }


def read_version(document: Any) -> RecordVersion:
    """Return the version of *document*."""
    told = Members(document, "version")
    return RecordVersion(
        read_record(told.mapping("record")),
        told.moment("since"),
        told.maybe_moment("until"),
        cast("Ending | None", told.maybe_text("ending")),
        successors=told.texts("successors"),
        changed=told.texts("changed"),
    )
