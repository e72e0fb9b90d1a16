"""Moving everything that a state keeps to another engine: records, memory and transcripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from clawstate.state import record_moves
from clawstate.state.engines import SQLITE, engine_of
from clawstate.state.memory_moves import MemoryMigration, look_at_server, migrate_memory
from clawstate.state.memory_place import memory_place
from clawstate.state.moved_records import remove_aside
from clawstate.state.record_moves import Migration

if TYPE_CHECKING:
    from clawstate.state.context import Context

Tell: TypeAlias = "Callable[[int, int, str], None]"


def migrate_all(
    context: Context,
    to: str,
    *,
    dry_run: bool,
    drop_source: bool,
    records_only: bool,
    tell: Tell,
) -> Migration:
    """
    Move all records to the engine *to*, and memory and transcripts to a server or from it.

    A memory in LanceDB stays there, for `memory.store.type` says so. *drop_source* removes what all
    lay in, at the end; a *dry_run* only looks. Raises what `migrate` and `migrate_memory` raise;
    each of the two is whole in itself, and the same call does the rest.
    """
    record_moves.require_allowed(context, to)
    before, to_server = context.backends.choice, bool(engine_of(to).schemes)
    stays = records_only or memory_place(context).in_directory
    memory: MemoryMigration | None = None
    if not to_server and context.backends.has_server and not stays:
        # Before the records: while these name the server, the memory there is found.
        memory = migrate_memory(
            context, SQLITE, dry_run=dry_run, drop_source=drop_source, tell=tell
        )
    done = record_moves.migrate(context, to, dry_run=dry_run, tell=tell)
    if to_server and not stays:
        if dry_run and context.backends.choice != to:
            memory = look_at_server(context, to)
        else:
            memory = migrate_memory(
                context, to, dry_run=dry_run, drop_source=drop_source, tell=tell
            )
    if drop_source and not dry_run:
        remove_aside(context)
        if engine_of(before).schemes and before != context.backends.choice:
            context.backends.server(before).remove_aside()
    return replace(done, memory=memory)
