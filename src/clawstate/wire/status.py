"""What is kept in a state and where, as every face tells it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from clawstate.clock import from_ms, to_iso, to_ms
from clawstate.errors import ElsewhereWarning, StateError, silent
from clawstate.files.regular import is_empty_file
from clawstate.version import __version__
from clawstate.wire import to_wire
from clawstate.wire.members import camel, dialect, times

if TYPE_CHECKING:
    from clawstate.state import State


class Problem(str):
    """Why something cannot be counted."""

    __slots__ = ()


@dataclass(frozen=True)
class Status:
    """
    A state as it is: its *document*, and what that is put together from.

    *memory* and *kept* are counts by name, *left* what lies where it is not used, *failed* why the
    memory has no counts.
    """

    document: dict[str, Any]
    memory: dict[str, Any]
    kept: dict[str, Any]
    left: dict[str, str]
    failed: StateError | None
    is_empty: bool


def status_of(state: State) -> Status:
    """Return sizes, counts, versions, the last durable write; what cannot be read says why."""
    place, memory, failed = _memory(state)
    is_empty = is_empty_file(Path(place))
    changed = _last_write(state, memory.pop("changed", None))
    with silent(ElsewhereWarning):  # shown among the rest
        kept = dict(_records(state))
    left = _unused_records(state)
    error = {} if failed is None else {"error": {"type": failed.code, "message": str(failed)}}
    document = {
        "stateDir": str(state.paths.root),
        "exists": os.path.lexists(state.paths.root),
        "version": __version__,
        "sqlite": apsw.sqlite_lib_version(),
        "lastDurableWrite": None if changed is None else to_iso(changed),
        **times(lastDurableWrite=changed),
        "memory": {
            "engine": "sqlite",
            "path": place,
            **dialect(memory),
            **({"empty": True} if is_empty else {}),
            **error,
        },
        "records": {camel(name): value for name, value in kept.items()},
        "openclaw": _openclaw(state),
        **_backups(state),
        "leftBehind": left,
    }
    return Status(document, memory, kept, left, failed, is_empty)


def _memory(state: State) -> tuple[str, dict[str, Any], StateError | None]:
    """Return where the memory lies, its counts, and why there are none."""
    place, counts = state.paths.memory_db, dict[str, Any]()
    try:
        place = state.places.memory()
        counts = {**state.memory.stats()}
        if (elsewhere := state.places.memories_elsewhere()) is not None:
            path, problem, remedy = elsewhere
            counts["left behind"] = f"{path} {problem}; {remedy}"
        if (old := state.places.memory_left_behind()) is not None:
            counts["left behind"] = f"{old}; 'clawstate doctor' tells how to move it"
    except StateError as error:
        return str(place), counts, error
    return str(place), counts, None


def _backups(state: State) -> dict[str, Any]:
    """Return when the last verified backup was made, how old it is; nothing where none was."""
    with suppress(StateError):  # told by doctor
        if (last := state.backup_notes.last_verified()) is not None:
            return {
                "lastVerifiedBackup": to_iso(last.created),
                "lastVerifiedBackupMs": to_ms(last.created),
                "lastVerifiedBackupAgeMs": to_ms(max(0.0, state.clock() - last.created)),
            }
    return {}


def _openclaw(state: State) -> dict[str, Any]:
    from clawstate.openclaw.description import describe  # noqa: PLC0415 - see `NOUNS`

    found: dict[str, Any] = to_wire(describe(state.owner))
    return found


def _unused_records(state: State) -> dict[str, str]:
    told: dict[str, str] = {}
    with suppress(StateError, OSError):  # told where the engine is shown
        found = state.records.left_behind()
        told = {f"{store} left behind": found.sentence(store) for store in found.counts}
        if lost := state.records.taken_over():
            told["taken over"] = state.records.taken_over_sentence(lost)
    return told


def _last_write(state: State, memory: Any) -> float | None:
    paths = state.paths
    documents = [
        *(paths.sessions_index, paths.pairing, paths.devices, paths.device_auth),
        *(paths.device_identity, paths.records_db, paths.config),
        *paths.root.glob("agents/*/agent/auth-profiles.json"),
        *paths.root.glob("agents/*/sessions/sessions.json"),
        *paths.root.glob("dedupe/*.json"),
    ]
    found = [] if memory is None else [from_ms(float(str(memory)))]
    for path in documents:
        with suppress(OSError):
            found.append(path.stat().st_mtime)
    return max(found, default=None)


def _records(state: State) -> Iterator[tuple[str, Any]]:
    """Yield how much each store holds; what cannot be read says why."""
    yield "engine", _try_count(lambda: _engine(state))
    yield "credentials", _try_count(lambda: _credentials(state))
    yield "sessions", _try_count(lambda: len(state.sessions.entries()))
    yield "messages", _try_count(lambda: state.transcripts.stats()["messages"])
    yield "pairing requests", _try_count(lambda: len(state.pairing.pending()))
    yield "paired devices", _try_count(lambda: len(state.devices.paired()))
    yield "tokens held", _try_count(lambda: len(state.device_auth.tokens()))
    yield "dedupe marks", _try_count(lambda: state.dedupe.statistics().marks)


def _try_count(count: Callable[[], Any]) -> Any:
    try:
        return count()
    except StateError as error:
        return Problem(error)


def _engine(state: State) -> str:
    return state.engine.partition("://")[0]  # an address holds a password


def _credentials(state: State) -> dict[str, int]:
    counts = {name: len(state.auth(name).profiles()) for name in state.agents()}
    return {name: count for name, count in counts.items() if count}
