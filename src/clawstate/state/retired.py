"""Files of ours where an OpenClaw lives now, and where it would take them for its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from clawstate.clock import to_iso
from clawstate.errors import StateError
from clawstate.openclaw.owner import Era
from clawstate.openclaw.reading import MAIN, read_credentials, read_identity
from clawstate.records.contract import Collection, CollectionSpec
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.layouts import MapLayout
from clawstate.state.agents import agents_of, auth_profiles, default_agent
from clawstate.state.context import split_root
from clawstate.state.record_moves import plain_entry
from clawstate.state.record_places import (
    ARCHIVE,
    CREDENTIALS,
    SESSIONS,
    RecordPlace,
    archive_spec,
    index_spec,
)
from clawstate.state.record_sources import FileSource
from clawstate.stores.auth.profile_store import LAYOUT
from clawstate.stores.identity import IDENTITY

if TYPE_CHECKING:
    from clawstate.state.context import Context

_IDENTITY = "identity"
_ROOT = PurePosixPath("sessions")


@dataclass(frozen=True, slots=True)
class Retired:
    """
    A file that OpenClaw takes over, and what comes of that.

    One that *can_move* holds nothing that OpenClaw waits for: it can be put out of its way.
    """

    place: RecordPlace
    harm: str
    can_move: bool = True

    @property
    def path(self) -> Path:
        """The file."""
        return self.place.file


def retired_files(context: Context) -> tuple[Retired, ...]:
    """Return the files of the directory that harm the OpenClaw that lives there, or may."""
    era = context.owner.era
    if era is Era.NOBODY:
        return ()
    found = [*_sessions(context)]
    if era is Era.SQLITE:
        found += [*_credentials(context), *_identity(context)]
    return tuple(found)


def move_away(context: Context, retired: Retired) -> str:
    """
    Take what *retired* holds to where it harms nobody, put the file away, and say where.

    What OpenClaw or this state has under the same name stays as it is.
    """
    moment = to_iso(context.clock()).replace(":", "-")
    aside = context.paths.root / "state" / "set-aside" / moment
    source = FileSource(retired.place, context)
    with context.backends.moving():
        records = source.read()
        _take(context, retired.place, records)
        while not source.put_away(records, aside):
            records = source.read()
            _take(context, retired.place, records)
    return f"{len(records)} taken over; the file is in {aside}"


def _take(context: Context, place: RecordPlace, records: Mapping[str, Any]) -> None:
    if place.store == SESSIONS:
        from clawstate.state.sessions import open_sessions  # noqa: PLC0415 - rarely needed

        sessions = open_sessions(context)
        new = {key: each for key, each in records.items() if sessions.get(key) is None}
        sessions.merge({key: plain_entry(each) for key, each in new.items()})
        return
    if context.owner.era is Era.FILES:
        index = context.paths.agent_sessions_index(default_agent(context))
        inside = PurePosixPath(index.relative_to(context.paths.root))
        spec = CollectionSpec(place.kind, inside.parent / "archive" / inside.name, MapLayout())
        target: Collection = context.backends.files(context.paths.root).collection(spec)
    else:
        target = context.backends.records().collection(place.spec)
    target.change_all(lambda there: ({**records, **there}, None))


def _sessions(context: Context) -> Iterator[Retired]:
    root = context.paths.root
    index = RecordPlace(SESSIONS, index_spec(_ROOT / "sessions.json"), root)
    archive = RecordPlace(ARCHIVE, archive_spec(_ROOT / "sessions.json"), root)
    if index.file.is_file():
        harm = "lies where every OpenClaw takes it away, and lays it over the sessions in use"
        refusal = FileSource(index, context).refusal()
        yield Retired(index, harm if refusal is None else refusal, can_move=refusal is None)
    if archive.file.is_file():
        yield Retired(archive, "is the archive of sessions that lie elsewhere now")


def _credentials(context: Context) -> Iterator[Retired]:
    files: dict[str, RecordPlace] = {}
    for name in agents_of(context):
        root, path = split_root(auth_profiles(context, name), context.paths.root)
        place = RecordPlace(CREDENTIALS, CollectionSpec(f"auth:{name}", path, LAYOUT), root)
        if place.file.is_file():
            files[name] = place
    if not files:
        return
    theirs = read_credentials(context.paths.root)
    for name, place in files.items():
        # Without rows of its own OpenClaw has not taken its files over yet: this may be one.
        has_rows = bool(theirs.by_agent.get(name) or theirs.by_agent.get(MAIN))
        harm = "makes OpenClaw's local agent refuse to run"
        if not has_rows:
            harm = "waits for OpenClaw to take it over: run 'openclaw doctor --fix'"
        yield Retired(place, harm, can_move=has_rows)


def _identity(context: Context) -> Iterator[Retired]:
    place = RecordPlace(_IDENTITY, IDENTITY, context.paths.root)
    if not place.file.is_file():
        return
    theirs = read_identity(context.paths.root)
    ours: Any = None
    with suppress(StateError):
        found = JsonFilesBackend(context.paths.root).collection(IDENTITY).get("device")
        ours = None if found is None else found.value.get("deviceId")
    if theirs is None:
        harm = "waits for OpenClaw to take it over: run 'openclaw doctor --fix'"
        yield Retired(place, harm, can_move=False)
    elif theirs.get("deviceId") != ours:
        yield Retired(place, "is another key pair than OpenClaw's, whose gateway does not start")
