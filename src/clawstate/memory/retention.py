"""`RetentionPolicy`: which records are kept for how long, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from clawstate.arguments import describe
from clawstate.errors import InvalidError
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.filters import Filter, filter_from
from clawstate.memory.validation import check_name, seconds

Action: TypeAlias = Literal["archive", "forget"]
"""`archive`: out of searches, lists and pages, to be restored. `forget`: gone."""

_PAGE = 1000  # records that are looked at, or change, in one step


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """
    What becomes of records that meet all that is named here; something has to be.

    `older_than` counts from when a record was made (seconds), `importance_below` leaves out what is
    as important or more; `category`, `source` (a file, a folder, a pattern) and `tag` are those of
    the record; `namespace` None means all of them.
    """

    action: Action = "archive"
    older_than: float | None = None
    importance_below: float | None = None
    category: str | None = None
    source: str | None = None
    tag: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """
    Rules, of which the first that a record meets counts; what meets none is kept.

    What is archived is forgotten after `archive_for` seconds in the archive; None keeps it.
    """

    rules: tuple[RetentionRule, ...] = ()
    archive_for: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionReport:
    """
    What `Memory.retain` did, or would do in a dry run (`is_dry`).

    `archived` and `forgotten` are ids, `forgotten` those that left the archive among them;
    `expired` counts the records whose own time was over.
    """

    archived: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    expired: int = 0
    is_dry: bool = False


def retain(
    engine: MemoryEngine, policy: RetentionPolicy, *, now: float, dry_run: bool
) -> RetentionReport:
    """Do what *policy* says at *now*; raises `InvalidError` before anything is done."""
    chosen = [(rule.action, _filter(rule, now)) for rule in policy.rules]
    limit = None if policy.archive_for is None else now - _span("archive_for", policy.archive_for)
    done: dict[Action, list[str]] = {"archive": [], "forget": []}
    seen: set[str] = set()
    for action, each in chosen:
        # What meets an earlier rule is that rule's, also in a dry run, where it is still there.
        for ids in _ids(engine, each):
            fresh = [one for one in ids if one not in seen]
            seen.update(fresh)
            done[action] += fresh
            if not dry_run:
                _apply(engine, action, fresh)
    if limit is not None:
        old = [
            each.record.id
            for page in archived_pages(engine)
            for each in page
            if each.until is not None and each.until <= limit
        ]
        done["forget"] += old
        if not dry_run:
            _apply(engine, "forget", old)
    stats = engine.stats()["expired"]
    expired = engine.purge() if not dry_run else int(str(stats))
    return RetentionReport(
        archived=tuple(done["archive"]),
        forgotten=tuple(done["forget"]),
        expired=expired,
        is_dry=dry_run,
    )


def check_policy(policy: RetentionPolicy) -> None:
    """Raise `InvalidError` for rules that name nothing, or what cannot be."""
    for rule in policy.rules:
        _filter(rule, 0.0)


def archived_pages(engine: MemoryEngine) -> Iterator[list[Any]]:
    """Yield what is archived, page by page, in the order of ids."""
    after: str | None = None
    while page := engine.versions.archived(after, _PAGE):
        yield page
        after = page[-1].record.id


def matching_ids(engine: MemoryEngine, chosen: Filter) -> list[str]:
    """Return the ids of all records that *chosen* lets through."""
    return [each for ids in _ids(engine, chosen) for each in ids]


def _ids(engine: MemoryEngine, chosen: Filter) -> Iterator[list[str]]:
    after: str | None = None
    while page := engine.page(chosen, after, _PAGE):
        yield [each.id for each in page]
        after = page[-1].id


def _apply(engine: MemoryEngine, action: Action, ids: list[str]) -> None:
    for first in range(0, len(ids), _PAGE):
        part = ids[first : first + _PAGE]
        if action == "archive":
            engine.versions.archive(part)
        else:
            engine.delete(part)


def _filter(rule: RetentionRule, now: float) -> Filter:
    if not isinstance(rule, RetentionRule):
        raise InvalidError("rules", f"hold {describe(rule)}", "give RetentionRules")
    if rule.action not in {"archive", "forget"}:
        raise InvalidError("action", "is neither archive nor forget", "write one of them")
    where: dict[str, Any] = {}
    below = rule.importance_below
    if below is not None:
        if isinstance(below, bool) or not isinstance(below, int | float) or not 0 <= below <= 1:
            raise InvalidError("importance_below", "is no number from 0 to 1", "write 0.3")
        where["$importance"] = {"lt": below}
    if rule.category is not None:
        check_name("category", rule.category)
        where["$category"] = rule.category
    until = None if rule.older_than is None else now - _span("older_than", rule.older_than)
    found = filter_from(
        namespace=rule.namespace,
        tags=None if rule.tag is None else [rule.tag],
        source=rule.source,
        where=where,
        until=None if until is None else max(until, 0.0),
    )
    if found.is_plain:
        # By a slip all records would go.
        hint = "name an age, an importance, a category, a source or a tag"
        raise InvalidError("rules", "hold one that names nothing", hint)
    return found


def _span(name: str, value: float) -> float:
    if seconds(name, value) < 0:
        raise InvalidError(name, "is below 0 seconds", "give the age in seconds")
    return value
