"""The public names as programs use them: checked by mypy, never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import clawstate
from clawstate import Hit, Memory, MemoryRecord, State, StatePaths


def opening(path: Path) -> State:
    """Open a state from a path, a str or the environment."""
    with clawstate.open() as state:
        assert_type(state, State)
    with clawstate.open("/path/to/dir") as state:
        assert_type(state.paths, StatePaths)
    return clawstate.open(path, lock_timeout=5.0, clock=lambda: 1.0)


def remembering(memory: Memory) -> None:
    """Put records in one by one or many, and get them out typed."""
    made = memory.add("text", tags=["a"], metadata={"year": 2026}, ttl=60.0, thread="t")
    assert_type(made, str)
    many = memory.add_many([MemoryRecord(text="x"), {"text": "y", "id": "z"}], progress=print)
    assert_type(many, list[str])
    assert_type(memory.get(made), MemoryRecord | None)
    assert_type(memory.require(made), MemoryRecord)
    assert_type(memory.update(made, text="other", tags=["b"]), MemoryRecord)
    assert_type(memory.delete(made), bool)
    assert_type(memory.records(where={"year": {"gte": 2020}}, limit=5), list[MemoryRecord])


def searching(memory: Memory) -> None:
    """Get hits from a search, with a record and scores."""
    hits = memory.search("query", k=3, mode="words", since="2026-01-01", min_score=0.1)
    assert_type(hits, list[Hit])
    for hit in hits:
        assert_type(hit.record, MemoryRecord)
        assert_type(hit.score, float)
        assert_type(hit.words_score, float | None)
    memory.search("query", mode="magic")  # type: ignore[arg-type]


def keeping(memory: Memory) -> None:
    """Upkeep takes a progress function and tells counts."""
    memory.optimize(progress=lambda _done, _total: None)
    assert_type(memory.stats(), dict[str, object])
    memory.close()


def failing() -> str:
    """Errors have codes and fields."""
    try:
        return str(clawstate.resolve_state_dir())
    except clawstate.NotFoundError as error:
        return f"{error.code} {error.kind} {error.key}"


def locking(path: Path) -> int:
    """Change a file that others change as well."""
    options = clawstate.LockOptions(retries=3, stale=60.0)
    with clawstate.file_lock(path, options) as held:
        assert_type(held, clawstate.FileLock)
        clawstate.write_json_file_atomically(path, {"count": 1}, fence=held.confirm)
    return clawstate.with_file_lock(path, lambda: 1)


def caching() -> None:
    """Keep what may be forgotten."""
    recent = clawstate.TTLCache[str, int](100, ttl=60.0)
    assert_type(recent.get("a"), int | None)
    contacts = clawstate.DirectoryCache[list[str]]()
    contacts.put("team", ["ada"], config={"a": 1})
    assert_type(contacts.get("team"), list[str] | None)


def configuring(state: State) -> None:
    """Read and change the configuration."""
    assert_type(state.config, clawstate.Config)
    state.config.get("gateway.port", 18789)
    state.config.set("gateway.port", 18790)
    state.config.unset("gateway.port")
    assert_type(state.config.changed(), bool)
    assert_type(state.config.resolve(agent_id="main"), dict[str, Any])
    tree: dict[str, Any] = {}
    clawstate.set_config_value_at_path(tree, "a.b[0]", 1)
    clawstate.get_config_value_at_path(clawstate.resolve_config("main"), "a.b")
