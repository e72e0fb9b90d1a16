"""The JSON form of counts, moves, merges and marks of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clawstate.clock import is_moment, to_iso
from clawstate.wire import to_wire
from clawstate.wire.members import Members, times

if TYPE_CHECKING:
    from clawstate.paging import Page
    from clawstate.records.merging import MergeResult
    from clawstate.state.feed import Changes, PartChange
    from clawstate.state.memory_moves import MemoryMigration
    from clawstate.state.moved_records import Aside, Summary
    from clawstate.state.record_moves import Migration
    from clawstate.stores.dedupe.statistics import DedupeStatistics, NamespaceStatistics


def write_page(page: Page[Any], **context: Any) -> dict[str, Any]:
    """Return the items of *page*, and the cursor after it."""
    return {"items": to_wire(page.items, **context), "after": page.after}


def write_changes(found: Changes) -> dict[str, Any]:
    """Return what moved in a state, and the cursor of now."""
    return {
        "cursor": found.cursor,
        "items": [write_part_change(each) for each in found.items],
        "complete": found.complete,
    }


def write_part_change(change: PartChange) -> dict[str, Any]:
    """Return which part moved, and which of its records, if that is known and no secret."""
    return {"part": change.part, "keys": None if change.keys is None else list(change.keys)}


def write_merge_result(made: MergeResult) -> dict[str, Any]:
    """Return the keys of records of another program by what became of them."""
    return {
        "new": list(made.new),
        "changed": list(made.changed),
        "same": list(made.same),
        "kept": list(made.kept),
        "refused": dict(made.refused),
    }


def read_merge_result(document: Any) -> MergeResult:
    """Return what *document* says became of records."""
    from clawstate.records.merging import MergeResult  # noqa: PLC0415 - written without it

    told = Members(document, "result")
    return MergeResult(
        told.texts("new"),
        told.texts("changed"),
        told.texts("same"),
        told.texts("kept"),
        told.mapping("refused"),
    )


def write_summary(found: Summary) -> dict[str, Any]:
    """Return how many records lie where."""
    return {
        "engine": found.engine,
        "owner": found.owner,
        "records": dict(found.counts),
        "leftBehind": {"engine": found.left.engine, "records": dict(found.left.counts)},
        "setAside": write_aside(found.aside),
        "replaced": list(found.replaced),
    }


def write_aside(found: Aside) -> dict[str, Any]:
    """Return what is kept of records that lie elsewhere now."""
    return {
        "places": [str(each) for each in found.places],
        "files": found.files,
        "rows": found.rows,
    }


def write_migration(done: Migration) -> dict[str, Any]:
    """Return what a move of records did."""
    return {
        "to": done.to,
        "records": {each.store: each.count for each in done.moved},
        "kept": {each.store: list(each.kept) for each in done.moved if each.kept},
        "replaced": {each.store: list(each.replaced) for each in done.moved if each.replaced},
        "notes": [note for each in done.moved for note in each.notes],
        # A move that had nothing to put aside made no directory.
        "aside": str(done.aside) if done.aside.exists() else None,
        "left": list(done.left),
        "memory": None if done.memory is None else write_memory_migration(done.memory),
        "done": done.done,
    }


def write_memory_migration(done: MemoryMigration) -> dict[str, Any]:
    """Return what a move of the memory did, or would do."""
    return {
        "to": done.to,
        "source": str(done.source),
        "target": str(done.target),
        "records": done.records,
        "messages": done.messages,
        "bytes": done.bytes,
        "done": done.done,
    }


def write_dedupe_statistics(found: DedupeStatistics) -> dict[str, Any]:
    """Return how many marks there are in each namespace."""
    spaces = {name: write_namespace_statistics(each) for name, each in found.namespaces.items()}
    # The counts of one process mean nothing to whoever asks another one.
    return {"marks": found.marks, "namespaces": spaces}


def write_namespace_statistics(found: NamespaceStatistics) -> dict[str, Any]:
    """Return how many marks a namespace has, and how old they are."""
    return {
        "marks": found.marks,
        "expired": found.expired,
        "ignored": found.ignored,
        "oldest": moment_text(found.oldest),
        "newest": moment_text(found.newest),
        **times(oldest=found.oldest, newest=found.newest),
    }


def moment_text(seconds: float | None) -> str | None:
    """Return the time of a mark as ISO text; one that no calendar has as a number."""
    if seconds is None:
        return None
    # Other programs write marks as well, and a number may be any.
    return to_iso(seconds) if is_moment(seconds) else str(seconds)
