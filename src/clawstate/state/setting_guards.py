"""Refuses settings that would make records unreachable, as long as there are such records."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from clawstate.config.settings import (
    ENCRYPTION_KEY,
    MEMORY_ENGINES,
    MEMORY_INDEX,
    MEMORY_TYPE,
    VECTOR_INDEXES,
)
from clawstate.errors import ConfigError, NotFoundError
from clawstate.json5.key_path import get_at, parse_key_path
from clawstate.openclaw.owner import Era
from clawstate.quantities import number_of
from clawstate.state.engines import FILE, find_engine, shown_choice
from clawstate.state.left_behind import count_records, elsewhere
from clawstate.state.memory_place import count_memories, memory_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawstate.state.context import Context

NO_FILES = (
    "'file' does not count where OpenClaw keeps its state in SQLite: it would harm it",
    "leave it out: records of ours lie in state/records.db there",
)
"""Why records are kept in rows whatever `state.store` says, and what to do."""

_OFF = ENCRYPTION_KEY.default
_STORE, _SESSIONS = "state.store", "session.store"


def guard_settings(context: Context) -> Callable[[Any, Any, bool], None]:
    """
    Return what refuses a change of a setting that is only half of what its command does.

    That is one of `state.store` or `session.store` that would hide records, and one of
    `state.encryption.key` after secrets were encrypted. It raises `ConfigError` with the command.
    All but a change of `state.store` can be forced.
    """

    def check(before: Any, after: Any, force: bool) -> None:  # noqa: FBT001 - see `WriteCheck`
        if not force:
            _require_same_encryption(context, before, after)
        if context.backends.is_moving:
            return
        if not force:
            _require_same_memory(context, before, after)
            _require_index(before, after)
        if context.owner.era is Era.SQLITE:  # there no setting counts
            chosen = _at(after, _STORE)
            engine = find_engine(chosen) if isinstance(chosen, str) else None
            if engine and engine.in_files and chosen != _at(before, _STORE) and not force:
                raise ConfigError(_STORE, *NO_FILES)
            return
        old, new = _at(before, _STORE, FILE), _at(after, _STORE, FILE)
        if old != new and context.backends.store is None:
            _require_none(context, str(old), str(new))
        sessions = _at(before, _SESSIONS), _at(after, _SESSIONS)
        if sessions[0] != sessions[1] and not force:
            _require_no_sessions(context)

    return check


def _require_none(context: Context, old: str, new: str) -> None:
    engine, other = find_engine(old), find_engine(new)
    if engine is None or not (found := count_records(context, engine)):
        return
    counts = ", ".join(f"{count:,} ({store})" for store, count in found.items())
    problem = f"would hide what lies in {engine.words}: {counts}"
    hint = f"'clawstate store migrate --to {shown_choice(new)}' moves them, and sets it"
    if other is None:
        hint = "use another state directory for it"
    elif context.owner.era is Era.FILES and not other.in_files:
        hint = (
            f"'clawstate store migrate --to sqlite' leaves them to OpenClaw; {elsewhere(context)}"
        )
    raise ConfigError(_STORE, problem, hint)


def _require_same_encryption(context: Context, before: Any, after: Any) -> None:
    old, new = (str(_at(each, ENCRYPTION_KEY.path, _OFF)) for each in (before, after))
    if old == new or not context.key_store.exists:
        return
    if new == _OFF:
        problem = "would turn encryption off and leave what is encrypted as it is"
        hint = "'clawstate auth decrypt' turns it off and writes the secrets in the clear"
    elif old == _OFF:
        from clawstate.state.encryption import Encryption  # noqa: PLC0415 - rarely needed

        if not Encryption(context).summary().clear:
            return  # such as a broken text, which said nothing, being mended
        problem = "would turn encryption on and leave what is in the clear as it is"
        hint = f"'clawstate auth encrypt --key {shlex.quote(new)}' encrypts it, and sets this"
    else:
        problem = f"would say that the key is kept as {new!r}, where it is not"
        hint = f"'clawstate auth rekey --key {shlex.quote(new)}' puts it there, and sets this"
    raise ConfigError(ENCRYPTION_KEY.path, problem, f"{hint}; --force changes the setting alone")


def _require_same_memory(context: Context, before: Any, after: Any) -> None:
    old, new = (_at(each, MEMORY_TYPE.path, MEMORY_TYPE.default) for each in (before, after))
    if old == new or new not in MEMORY_ENGINES:
        return
    place = memory_place(context)
    if place.engine == old and (count := count_memories(context, place)):
        problem = f"would hide {number_of(count, 'record')} in {place.path}"
        hint = f"'clawstate store migrate memory --to {new}' moves them, and sets it"
        raise ConfigError(MEMORY_TYPE.path, problem, hint)


def _require_index(before: Any, after: Any) -> None:
    wanted = _at(after, MEMORY_INDEX.path, MEMORY_INDEX.default)
    if wanted in (MEMORY_INDEX.default, _at(before, MEMORY_INDEX.path)):
        return
    engine = _at(after, MEMORY_TYPE.path, MEMORY_TYPE.default)
    if wanted in VECTOR_INDEXES and engine == MEMORY_ENGINES[0]:
        problem = "is an index of LanceDB, and the memory is in SQLite, where it does not count"
        hint = "'clawstate store migrate memory --to lancedb' moves it"
        raise ConfigError(MEMORY_INDEX.path, problem, hint)


def _require_no_sessions(context: Context) -> None:
    from clawstate.state.sessions import open_sessions  # noqa: PLC0415 - rarely needed

    if count := len(open_sessions(context).entries()):
        problem = f"would hide {number_of(count, 'session')} where it says now"
        raise ConfigError(_SESSIONS, problem, "move their index there, then repeat with --force")


def _at(tree: Any, path: str, default: Any = None) -> Any:
    try:
        return get_at(tree, parse_key_path(path))
    except NotFoundError:
        return default
