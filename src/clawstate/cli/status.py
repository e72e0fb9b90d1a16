"""The noun `status`: what is kept, and where."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.session import Session
from clawstate.clock import from_ms, to_iso
from clawstate.errors import ElsewhereWarning, StateError
from clawstate.files.regular import is_empty_file
from clawstate.version import __version__
from clawstate.wire import to_wire
from clawstate.wire.members import camel, dialect, times

if TYPE_CHECKING:
    from clawstate.state import State


@click.command(cls=Command, examples=("clawstate status --json",))
@pass_session
def status(session: Session) -> None:
    """
    Show what is kept, and where: sizes, counts, versions, the last durable write.

    What cannot be read says why in its place, and the exit code is 1 then; all else is counted.
    """
    import apsw  # noqa: PLC0415 - see `NOUNS`

    from clawstate.cli.printing import counts_of_memory, table_lines  # noqa: PLC0415

    state = session.state
    place, memory, failed = _memory(state)
    is_empty = is_empty_file(Path(place))
    changed = _last_write(state, memory.pop("changed", None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewhereWarning)  # shown among the rest
        kept = dict(_records(state))
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
            **({} if failed is None else {"error": _error(failed)}),
        },
        "records": {camel(name): value for name, value in kept.items()},
    }
    openclaw, left = _openclaw(state), _unused_records(state)
    document |= {"openclaw": openclaw, "leftBehind": left}
    top = {
        "state directory": document["stateDir"],
        **({"belongs to": openclaw["summary"]} if state.owner.is_openclaw else {}),
        "clawstate": f"{__version__} (SQLite {document['sqlite']})",
        "last write": document["lastDurableWrite"] or "nothing is kept yet",
    }
    counts = counts_of_memory(memory)
    told = f"{place} (is empty; 'clawstate doctor' tells more)" if is_empty else place
    shown = {"memory": told, **counts} if os.path.lexists(place) and failed is None else {}
    full = {name: value for name, value in kept.items() if value}
    session.output.emit(document, *table_lines(_once({**top, **full, **left, **shown})))
    if failed is not None and not session.output.as_json:
        raise failed
    if failed is not None or any(isinstance(each, _Problem) for each in kept.values()):
        raise click.exceptions.Exit(1)


def _error(failed: StateError) -> dict[str, str]:
    return {"type": failed.code, "message": str(failed)}


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


def _once(lines: dict[str, Any]) -> dict[str, Any]:
    """Return *lines* with a problem that several have in one line, which names them all."""
    names: dict[str, list[str]] = {}
    for name, value in lines.items():
        if isinstance(value, _Problem):
            names.setdefault(value, []).append(name)
    first = {found[0]: ", ".join(found) for found in names.values()}
    return {
        first.get(name, name): value
        for name, value in lines.items()
        if name in first or not isinstance(value, _Problem)
    }


class _Problem(str):
    """Why something cannot be counted."""

    __slots__ = ()


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
        return _Problem(error)


def _engine(state: State) -> str:
    return state.engine.partition("://")[0]  # an address holds a password


def _credentials(state: State) -> dict[str, int]:
    counts = {name: len(state.auth(name).profiles()) for name in state.agents()}
    return {name: count for name, count in counts.items() if count}
