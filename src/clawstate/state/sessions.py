"""Wires the sessions of a state to its engines (decisions 7 and 8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from clawstate.clock import Clock, system_clock
from clawstate.config.service import Config
from clawstate.errors import InvalidError
from clawstate.files.lock_options import SESSION_INDEX, LockOptions
from clawstate.files.paths import expand_path, normalise_agent_id
from clawstate.records.json_files import JsonFilesBackend
from clawstate.state.ground import FILE, SQLITE, Engines, Ground, below
from clawstate.stores.sessions.opening import sessions_on
from clawstate.stores.sessions.selection import Maintenance
from clawstate.stores.sessions.service import Sessions

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://\S+", re.IGNORECASE)
_AGENT = "{agentId}"
_USUAL = Maintenance()


def open_sessions(ground: Ground, agent_id: str = "main") -> Sessions:
    """
    Return the sessions of a state, where `session.store` says.

    It is an engine, or the path of an index file, in which `~` is the home and `{agentId}` stands
    for *agent_id*; the state directory is where relative paths begin. Without it the engine is that
    of the whole state. Raises `ConfigError` and `InvalidError` for a setting that makes no sense.
    """
    config, paths = ground.config, ground.paths
    settings = partial(maintenance, config)
    usual = PurePosixPath("sessions/sessions.json")
    choice = _chosen(config, usual=str(paths.sessions_index)) or ground.engines.choice
    if choice != FILE and _is_engine(choice):
        backend = ground.engines.records(choice)
        return sessions_on(backend, paths.root, usual, settings=settings, clock=ground.clock)
    path = paths.sessions_index
    if choice != FILE:
        path = _index_path(choice, root=paths.root, agent_id=agent_id)
    return _on_files(ground.engines, path, settings=settings, ground=ground)


def open_index(path: Path, *, clock: Clock = system_clock) -> Sessions:
    """Return the sessions in the index file *path*, without a state around it."""
    backend = JsonFilesBackend(path.parent, lock=SESSION_INDEX)
    return sessions_on(backend, path.parent, PurePosixPath(path.name), clock=clock)


def maintenance(config: Config) -> Maintenance:
    """Return what `session.maintenance` says now; raises `InvalidError` for what it cannot mean."""
    found = config.get("session.maintenance")
    if not isinstance(found, dict):
        return _USUAL
    from clawstate.config.schema.quantities import duration_seconds, size_bytes  # noqa: PLC0415

    days: Callable[[Any], float] = partial(duration_seconds, unit="d")
    prune_after = _USUAL.prune_after
    if "pruneAfter" in found or "pruneDays" in found:
        prune_after = days(found.get("pruneAfter", found.get("pruneDays")))
    retention = found.get("resetArchiveRetention")
    resets = prune_after if retention is None else days(retention) if retention else None
    disk, water = found.get("maxDiskBytes"), found.get("highWaterBytes")
    return Maintenance(
        enforce=found.get("mode") == "enforce",
        prune_after=prune_after,
        max_entries=found.get("maxEntries", _USUAL.max_entries),
        reset_retention=resets,
        max_disk_bytes=None if disk is None else size_bytes(disk),
        high_water_bytes=None if water is None else size_bytes(water),
    )


def _chosen(config: Config, *, usual: str) -> str | None:
    store = config.get("session.store")
    if store is None or store == usual:  # the default, which leaves the engine to the state
        return None
    if not isinstance(store, str) or not store.strip():
        problem = "is neither an engine nor a path"
        raise InvalidError("session.store", problem, "give 'file', 'sqlite' or a path")
    return store.strip()


def _is_engine(choice: str) -> bool:
    return choice in {FILE, SQLITE} or _ADDRESS.fullmatch(choice) is not None


def _index_path(choice: str, *, root: Path, agent_id: str) -> Path:
    text = choice.replace(_AGENT, normalise_agent_id(agent_id))
    if "\0" in text:
        raise InvalidError("session.store", "holds a null character", "give a path")
    if not text.startswith("~"):
        text = str(root / text)
    return expand_path(text)


def _on_files(
    engines: Engines, path: Path, *, settings: Callable[[], Maintenance], ground: Ground
) -> Sessions:
    place = below(path, ground.paths.root)
    root = path.parent if place is None else ground.paths.root
    lock = LockOptions(timeout=min(ground.lock.patience(), SESSION_INDEX.patience()))
    backend = engines.files(root, lock=lock)
    return sessions_on(
        backend,
        root,
        PurePosixPath(path.name) if place is None else place,
        settings=settings,
        clock=ground.clock,
        lock=lock,
    )
