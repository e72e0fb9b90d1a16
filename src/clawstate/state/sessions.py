"""Wires the sessions of a state to its engines (decisions 10 and 13)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from clawstate.clock import Clock, system_clock
from clawstate.config.service import Config
from clawstate.config.settings import (
    HISTORY_FOR,
    KEEP_AGE,
    KEEP_BYTES,
    KEEP_DAYS,
    KEEP_ENTRIES,
    KEEP_MODE,
    KEEP_RESETS,
    KEEP_WATER,
    SESSION_STORE,
)
from clawstate.config.view import Decoded, View
from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.lock_options import PATIENT
from clawstate.files.paths import SHARED_INDEX, expand_below, is_nameable, require_agent_id
from clawstate.openclaw.owner import Era, find_owner
from clawstate.records.json_files import JsonFilesBackend
from clawstate.state.agents import agents_of, default_agent
from clawstate.state.context import Context, split_root
from clawstate.state.engines import Engine, engine_of, find_engine
from clawstate.state.server_memory import has_messages
from clawstate.stores.sessions.index_opening import index_on
from clawstate.stores.sessions.indexed import IndexedSessions
from clawstate.stores.sessions.maintenance import RemovalHook
from clawstate.stores.sessions.routes import AgentRoutes, OneIndex
from clawstate.stores.sessions.selection import MaintenanceSettings
from clawstate.stores.sessions.service import Sessions, sessions_on

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://\S+", re.IGNORECASE)
_AGENT = "{agentId}"


def open_sessions(context: Context, agent_id: str | None = None) -> Sessions:
    """
    Return the sessions of a state, where `session.store` says.

    It is an engine, or the path of an index file, in which `~` is the home; the state directory is
    where relative paths begin. `{agentId}` in it stands for *agent_id*; without one each session
    key names its agent, as `agent:<id>:...`, or is of the default one. Without a setting the engine
    is that of the whole state, and files lie where OpenClaw has them in a directory of its file
    era (decision 13). In its SQLite era no setting brings them back to files (decision 27).
    Messages go with the sessions that are gone for good. Raises `ConfigError` and `InvalidError`
    for a setting that makes no sense.
    """
    config, paths = context.config, context.paths
    settings = Decoded(config.view, maintenance)
    usual = PurePosixPath("sessions/sessions.json")
    choice = chosen_place(context)
    on_removed = message_removal(context)
    engine = _engine_of(choice)
    if engine is not None and not engine.in_files:
        named = None if choice == context.backends.choice else choice
        backend, clock = context.backends.records(named), context.clock
        return sessions_on(
            backend,
            paths.root,
            usual,
            settings=settings,
            clock=clock,
            on_removed=on_removed,
            keep_past=Decoded(config.view, HISTORY_FOR.of),
        )
    is_usual = _chosen_store(config, usual=str(paths.sessions_index)) is None
    if engine is not None:
        path, is_chosen = paths.sessions_index, is_usual
    else:
        path, is_chosen = _index_path(choice, paths.root), False
        if _AGENT in choice:
            routes = _routes(context, str(path), settings=settings, chosen=is_usual)
            if agent_id is None:
                return Sessions(routes)
            return Sessions(OneIndex(routes.index(require_agent_id(agent_id))))
    index = _on_files(context, path, settings=settings, on_removed=on_removed, chosen=is_chosen)
    return Sessions(OneIndex(index))


def session_indexes(context: Context) -> tuple[Path, ...]:
    """Return the index files that sessions may lie in; none where an engine of rows keeps them."""
    choice = chosen_place(context)
    if (engine := _engine_of(choice)) is not None:
        return (context.paths.sessions_index,) if engine.in_files else ()
    path = _index_path(choice, context.paths.root)
    if _AGENT not in choice:
        return (path,)
    agents = {*_agents_in(str(path)), *agents_of(context)}
    return tuple(Path(str(path).replace(_AGENT, each)) for each in sorted(agents))


def message_removal(
    context: Context, *, named: Callable[[frozenset[str]], frozenset[str]] = lambda _: frozenset()
) -> RemovalHook:
    """
    Return what removes the messages of the sessions that it is told, unless they are *named*.

    Messages of sessions that it was never told stay, such as those that were imported alone
    (decision 13). *named* returns which of some sessions are named elsewhere.
    """

    def remove_messages(session_ids: frozenset[str]) -> None:
        # The memory is not opened, nor its modules loaded, for the removal of sessions without
        # messages.
        if not session_ids or not has_messages(context):
            return
        from clawstate.state.transcripts import open_transcripts  # noqa: PLC0415 - rarely needed

        transcripts = open_transcripts(context)
        try:
            for each in sorted(session_ids - named(session_ids)):
                transcripts.delete(each)
        finally:
            transcripts.close()

    return remove_messages


def open_index(path: Path, *, clock: Clock = system_clock) -> Sessions:
    """Return the sessions in the index file *path*, without a state around it."""
    backend = JsonFilesBackend(path.parent, lock=PATIENT, permit=_require_no_database)
    return sessions_on(backend, path.parent, PurePosixPath(path.name), clock=clock)


def _require_no_database(path: Path, _holding: bool) -> None:  # noqa: FBT001 - see `Permit`
    """Raise `UnavailableError` for an index that an OpenClaw of the SQLite era would take away."""
    # `<root>/sessions/sessions.json`, or `<root>/agents/<id>/sessions/sessions.json`
    for root in path.parents[1:4]:
        if path.parent.name == "sessions" and find_owner(root).era is Era.SQLITE:
            problem = "is no place for sessions: OpenClaw keeps this directory in SQLite"
            hint = "leave the path out: sessions of ours go to state/records.db there"
            raise UnavailableError(str(path), problem, hint)


def maintenance(view: View) -> MaintenanceSettings:
    """Return what `session.maintenance` says; raises `ConfigError` for what it cannot mean."""
    days = KEEP_DAYS.of(view)
    has_age = "pruneAfter" in (view.get("session.maintenance") or ())
    prune_after = KEEP_AGE.of(view) if days is None or has_age else days
    resets = KEEP_RESETS.of(view)
    return MaintenanceSettings(
        enforce=KEEP_MODE.of(view) == "enforce",
        prune_after=prune_after,
        max_entries=KEEP_ENTRIES.of(view),
        reset_retention=prune_after if view.get(KEEP_RESETS.path) is None else resets,
        max_disk_bytes=KEEP_BYTES.of(view),
        high_water_bytes=KEEP_WATER.of(view),
    )


def chosen_place(context: Context) -> str:
    """
    Return the engine of the sessions, or the path of their index, which may hold `{agentId}`.

    Raises `InvalidError` for a setting that is neither.
    """
    era, usual = context.owner.era, str(context.paths.sessions_index)
    choice = _chosen_store(context.config, usual=usual) or context.backends.choice
    engine = _engine_of(choice)
    if era is Era.SQLITE and not (engine is not None and engine.schemes):
        return context.backends.choice
    if era is Era.FILES and engine is not None and engine.in_files:
        return str(context.paths.root / SHARED_INDEX)
    return choice


def _chosen_store(config: Config, *, usual: str) -> str | None:
    store = SESSION_STORE.of(config)
    written = config.view().loaded.resolved.get("session")
    is_written = isinstance(written, dict) and "store" in written
    if not is_written or store is None or store == usual:  # which leaves it to the state
        return None
    return store.strip()


def _engine_of(choice: str) -> Engine | None:
    # What looks like an address is no path, of whatever scheme.
    return engine_of(choice) if _ADDRESS.fullmatch(choice) else find_engine(choice)


def _index_path(choice: str, root: Path) -> Path:
    if not is_nameable(choice):
        raise InvalidError("session.store", "holds what no path can", "give a path")
    return expand_below(choice, root)


def _routes(
    context: Context, template: str, *, settings: Callable[[], MaintenanceSettings], chosen: bool
) -> AgentRoutes:
    def named(session_ids: frozenset[str]) -> frozenset[str]:
        return session_ids & Sessions(routes).known_ids()  # two agents may name one session

    def open_index_of(agent: str) -> IndexedSessions:
        on_removed = message_removal(context, named=named)
        path = Path(template.replace(_AGENT, agent))
        return _on_files(context, path, settings=settings, on_removed=on_removed, chosen=chosen)

    def agents() -> set[str]:
        return {*_agents_in(template), *agents_of(context)}

    # They lie in one file each, so no look at one of them knows who else names a session.
    routes = AgentRoutes(open_index_of, agents=agents, default=lambda: default_agent(context))
    return routes


def _agents_in(template: str) -> Iterator[str]:
    """Yield the agents whose index lies where *template* says, whoever they are."""
    head, _, tail = template.partition(_AGENT)
    folder, start = os.path.split(head)
    end = tail.partition(os.sep)[0]
    wanted = re.compile(f"{re.escape(start)}([a-z0-9_-]+){re.escape(end)}")
    with suppress(OSError):
        for each in Path(folder).iterdir():
            found = wanted.fullmatch(each.name)
            if found and Path(template.replace(_AGENT, found[1])).is_file():
                yield found[1]


def _on_files(
    context: Context,
    path: Path,
    *,
    settings: Callable[[], MaintenanceSettings],
    on_removed: RemovalHook,
    chosen: bool,
) -> IndexedSessions:
    root, place = split_root(path, context.paths.root)
    lock = context.lock
    backend = context.backends.files(root, lock=lock, chosen=chosen)
    return index_on(
        backend,
        root,
        place,
        settings=settings,
        clock=context.clock,
        lock=lock,
        on_removed=on_removed,
        keep_past=Decoded(context.config.view, HISTORY_FOR.of),
    )
