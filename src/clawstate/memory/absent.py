"""What became of records that are no longer kept: archived, or others took their place."""

from __future__ import annotations

from typing import Final

from clawstate.errors import NotFoundError
from clawstate.memory.contract import MemoryEngine

KEPT_HINT: Final = "'clawstate memory list' shows what is kept"


def absence_error(engine: MemoryEngine, record_id: str) -> NotFoundError:
    """Return the error for a record that is not kept; it names what took its place, or how."""
    past = engine.versions.past([record_id])
    if not past or past[-1].ending == "updated":
        return NotFoundError("memory", record_id, KEPT_HINT)
    if past[-1].ending == "archived":
        hint = f"it is archived; 'clawstate memory restore {record_id}' puts it back"
        return NotFoundError("memory", record_id, hint)
    heirs = present_successors(engine, record_id)
    took = (
        f"{', '.join(heirs)} took its place" if heirs else "another took its place, which is gone"
    )
    told = f"{took}; 'clawstate memory history {record_id}' tells"
    return NotFoundError("memory", record_id, told)


def present_successors(engine: MemoryEngine, record_id: str) -> tuple[str, ...]:
    """Return the ids of records that are kept in the place of *record_id*, at any remove."""
    seen, found, queue = {record_id}, list[str](), [record_id]
    while queue:
        links = engine.versions.successions(queue)
        after = dict.fromkeys(each.new for each in links if each.old in queue)
        queue = [each for each in after if each not in seen]
        seen.update(queue)
        kept = engine.get(queue)
        found += [each for each in queue if each in kept]
        queue = [each for each in queue if each not in kept]
    return tuple(found)
