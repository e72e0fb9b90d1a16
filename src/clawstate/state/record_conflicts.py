"""Two records of one key, when both engines have one: which counts, and putting back the other."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from clawstate.clock import to_iso
from clawstate.errors import NotFoundError, StateError
from clawstate.files.atomic import write_atomic
from clawstate.files.json_text import dump_pretty, is_same_json, parse_json
from clawstate.files.paths import normalise_agent_id
from clawstate.files.regular import read_regular
from clawstate.openclaw.owner import Era
from clawstate.records import contract
from clawstate.state.agents import default_agent
from clawstate.state.record_places import (
    ARCHIVE,
    CREDENTIALS,
    MARKS,
    NAMES,
    SESSIONS,
    RecordPlace,
    archive_spec,
    credential_places,
    record_places,
)
from clawstate.state.server_memory import has_messages
from clawstate.stores.sessions.archive import Archive, archive_name

if TYPE_CHECKING:
    from clawstate.state.context import Context

_FOLDER = "state/set-aside"
_MOST = 256 << 20


@dataclass(frozen=True, slots=True)
class Replaced:
    """The record *key* of *kind* that gave way to another; it is kept in the file *path*."""

    kind: str
    key: str
    path: Path
    value: Any = field(repr=False)

    @property
    def name(self) -> str:
        """How it is called, also where several stores have the key."""
        return name_of(self.kind, self.key)


def aside_folder(context: Context) -> Path:
    """Return where what is put aside at this moment goes."""
    return context.paths.root / _FOLDER / to_iso(context.clock()).replace(":", "-")


def name_of(kind: str, key: str) -> str:
    """Return how the record *key* of *kind* is called."""
    return f"{kind}/{key}"


def command_for(kind: str, key: str) -> str:
    """Return the command that puts the record *key* of *kind* back."""
    return f"clawstate store restore {shlex.quote(name_of(kind, key))}"


def keep(
    place: RecordPlace, records: Mapping[str, Any], folder: Path, *, is_missed: bool = True
) -> None:
    """
    Keep *records* of *place* that give way to others, beside those that are in *folder*.

    Those that nobody would miss are kept apart: they are neither listed nor put back.
    """
    prefix = "replaced" if is_missed else "passing"
    path = folder / f"{prefix}-{place.kind.replace('/', '-').replace(':', '-')}.json"
    known = _read(path)
    document = {"kind": place.kind, "records": {**known.get("records", {}), **records}}
    write_atomic(path, dump_pretty(document).encode("utf-8", "surrogatepass"))


def scan_replaced(context: Context) -> Iterator[Replaced]:
    """Yield the records that gave way to others, the last first."""
    for path in sorted((context.paths.root / _FOLDER).glob("*/replaced-*.json"), reverse=True):
        found = _read(path)
        for key, value in found.get("records", {}).items():
            yield Replaced(found["kind"], key, path, value)


def put_back(context: Context, name: str) -> Replaced:
    """
    Put the record called *name* back, and return it; what has its place is kept in turn.

    Raises `NotFoundError` for one that did not give way to another, or whose store is gone.
    """
    _find(context, name)  # the lock makes a directory, and nothing may be there
    with context.backends.moving():
        found, place = _find(context, name)
        target, folder = _chosen_collection(context, place), aside_folder(context)

        def change(there: dict[str, Any]) -> tuple[dict[str, Any], None]:
            if found.key in there and not is_same_json(there[found.key], found.value):
                # In the change, so that no writer comes between; written twice it is the same file.
                keep(place, {found.key: there[found.key]}, folder)
            return {**there, found.key: found.value}, None

        target.change_all(change)
        _forget(found, is_kept_anew=found.path.parent == folder)
    return found


def _find(context: Context, name: str) -> tuple[Replaced, RecordPlace]:
    found = next((each for each in scan_replaced(context) if each.name == name), None)
    places = {each.kind: each for each in (*record_places(context), *_more(context))}
    if found is None or found.kind not in places:
        hint = "'clawstate store status' names those that were replaced"
        raise NotFoundError("replaced record", name, hint)
    return found, places[found.kind]


def _more(context: Context) -> Iterator[RecordPlace]:
    if context.owner.era is Era.SQLITE:
        yield from credential_places(context)


def _chosen_collection(context: Context, place: RecordPlace) -> contract.Collection:
    backends = context.backends
    return backends.records(backends.choice, root=place.root).collection(place.spec)


def _forget(found: Replaced, *, is_kept_anew: bool) -> None:
    document = _read(found.path)
    left = {key: each for key, each in document.get("records", {}).items() if key != found.key}
    if is_kept_anew:
        return  # the file holds what was replaced just now
    if left:
        write_atomic(found.path, dump_pretty({**document, "records": left}).encode())
    else:
        with suppress(OSError):
            found.path.unlink()


def _read(path: Path) -> dict[str, Any]:
    with suppress(StateError):
        found = parse_json(read_regular(path, limit=_MOST), path=path)
        if isinstance(found, dict) and isinstance(found.get("records"), dict):
            return found if isinstance(found.get("kind"), str) else {}
    return {}


# Nobody misses these: they are made anew by use, or say the same by other means.
_IN_PASSING = frozenset({MARKS, NAMES, ARCHIVE, "imports", "pairing attempts"})
_USES = ("usage/", "lastGood/")  # of credentials


@dataclass(frozen=True, slots=True)
class Resolution:
    """
    What became of records that differ in both engines.

    Those by *kept* are as the target had them, those by *replaced* as they came. *notes* name what
    lost, and the command that brings it back.
    """

    kept: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConflictResolver:
    """
    Resolve for the engine *to* what differs; the loser goes to the archive or below *aside*.

    Of two sessions the one with messages counts, of two marks the later one, and else what the
    target has if *target_wins*. *copies* are digests of what an earlier run brought to the target.
    """

    context: Context
    to: str
    aside: Path
    _known: dict[str, bool] = field(default_factory=dict)

    def resolve(
        self,
        place: RecordPlace,
        wanted: Mapping[str, Any],
        there: Mapping[str, Any],
        *,
        target_wins: bool,
        copied: Collection[str] = (),
    ) -> tuple[dict[str, Any], Resolution]:
        """
        Return what *wanted* and *there* are together, and what became of those that differ.

        Those *copied* are of an earlier run, and lose to what they were copied from.
        """
        differing = [
            key for key, each in wanted.items() if not is_same_json(there.get(key, each), each)
        ]
        stays = {
            key
            for key in differing
            if key not in copied
            and self._stays(place, there[key], wanted[key], target_wins=target_wins)
        }
        winners = {key: (there if key in stays else wanted)[key] for key in differing}
        lost = {
            key: (wanted if key in stays else there)[key] for key in differing if key not in copied
        }
        notes = tuple(self._keep(place, lost, winners)) if lost else ()
        if place.store == MARKS:
            return {**there, **wanted, **winners}, Resolution()
        kept = tuple(key for key in differing if key in stays)
        told = Resolution(kept, tuple(key for key in differing if key not in stays), notes)
        return {**there, **wanted, **winners}, told

    def archive_sessions(
        self, place: RecordPlace, wanted: Mapping[str, Any], ids: Mapping[str, str]
    ) -> Resolution:
        """Archive the sessions *wanted* whose keys OpenClaw's index has with other *ids*."""
        notes = [
            note
            for key, session_id in ids.items()
            if _id_of(wanted[key]) not in {None, session_id}
            for note in self._to_archive(place, key, wanted[key], session_id)
        ]
        return Resolution(tuple(sorted(ids)), (), tuple(notes))

    def _stays(self, place: RecordPlace, there: Any, wanted: Any, *, target_wins: bool) -> bool:
        if place.store == MARKS:
            # A mark is the time of the last use: the later one makes a key new again at the right
            # moment.
            return _number(there) >= _number(wanted)
        if place.store == SESSIONS and _id_of(there) != _id_of(wanted):
            has = self._has_messages(_id_of(there)), self._has_messages(_id_of(wanted))
            # An empty session in the place of a conversation is the worse loss, whichever is newer.
            if has[0] != has[1]:
                return has[0]
        return target_wins

    def _keep(
        self, place: RecordPlace, lost: Mapping[str, Any], winners: Mapping[str, Any]
    ) -> Iterator[str]:
        """Keep what *lost*, and yield a sentence about each that somebody may miss."""
        others = dict(lost)
        if place.store == SESSIONS:
            for key, each in lost.items():
                winner = _id_of(winners[key])
                if _id_of(each) not in {None, winner}:
                    yield from self._to_archive(place, key, others.pop(key), str(winner))
        if place.store == MARKS or not others:
            return
        missed = {key: each for key, each in others.items() if not _is_passing(place, key)}
        passing = {key: each for key, each in others.items() if key not in missed}
        if passing:
            keep(place, passing, self.aside, is_missed=False)
        if missed:
            keep(place, missed, self.aside)
        for key in missed:
            told = f"{place.kind}: two differed under {key!r}; the other one is kept"
            yield f"{told}: '{command_for(place.kind, key)}' puts it back"

    def _to_archive(self, place: RecordPlace, key: str, entry: Any, winner: str) -> Iterator[str]:
        Archive(self._archive(place, key), clock=self.context.clock).keep(
            {key: entry}, {}, "replaced"
        )
        loser = _id_of(entry)
        has = "" if self._has_messages(loser) else ", which has no messages,"
        told = f"session {key!r} is {winner} now; the other one, {loser}{has} is in the archive"
        yield f"{told}: 'clawstate sessions restore {archive_name(key, entry)}' brings it back"

    def _archive(self, place: RecordPlace, key: str) -> contract.Collection:
        index = place.spec.path
        if self.context.owner.era is Era.FILES:
            named = key.split(":")[1:2] if key.startswith("agent:") else []
            agent = normalise_agent_id(named[0]) if named else default_agent(self.context)
            found = self.context.paths.agent_sessions_index(agent)
            index = PurePosixPath(found.relative_to(self.context.paths.root))
        spec, engines = archive_spec(index), self.context.backends
        backend = engines.records(self.to, root=place.root)
        return backend.collection(spec)

    def _has_messages(self, session_id: str | None) -> bool:
        if session_id is None:
            return False
        if session_id not in self._known:
            self._known[session_id] = self._count_messages(session_id) > 0
        return self._known[session_id]

    def _count_messages(self, session_id: str) -> int:
        from clawstate.state.transcripts import open_transcripts  # noqa: PLC0415 - rarely needed

        if not has_messages(self.context):
            return 0
        transcripts = open_transcripts(self.context)
        try:
            with suppress(StateError):
                return transcripts.count(session_id)
            return 1  # what cannot be read may be all there is
        finally:
            transcripts.close()


def _is_passing(place: RecordPlace, key: str) -> bool:
    is_use = place.store == CREDENTIALS and key.startswith(_USES)
    return is_use or place.store in _IN_PASSING


def _id_of(entry: Any) -> str | None:
    found = entry.get("sessionId") if isinstance(entry, dict) else None
    return found if isinstance(found, str) else None


def _number(mark: Any) -> float:
    is_number = isinstance(mark, int | float) and not isinstance(mark, bool)
    return float(mark) if is_number else float("-inf")
