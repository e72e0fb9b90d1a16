"""Moving the records of a state from one engine to the other, so that none is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.errors import InvalidError, StateError, UnavailableError
from clawstate.interrupts import load_modules
from clawstate.openclaw.owner import Era
from clawstate.records.contract import Collection
from clawstate.state.engines import (
    ENGINES,
    FILE,
    SQLITE,
    Engine,
    engine_of,
    find_engine,
    names_of_engines,
    shown_choice,
)
from clawstate.state.left_behind import elsewhere
from clawstate.state.move_ledger import COPYING, MoveLedger, digest_of, digests_of
from clawstate.state.record_conflicts import ConflictResolver, Resolution, aside_folder
from clawstate.state.record_places import (
    MARKS,
    NAMES,
    SESSIONS,
    RecordPlace,
    note_namespace,
    record_places,
)
from clawstate.state.record_sources import Source, source_of

if TYPE_CHECKING:
    from clawstate.state.context import Context
    from clawstate.state.memory_moves import MemoryMigration

STORE = "state.store"
_LEDGER = "migration.json"
_ATTEMPTS = 50  # each time a writer that had begun before was faster

Tell = Callable[[int, int, str], None]
"""Is told how many kinds of records are done, of how many, and which."""


@dataclass(frozen=True, slots=True)
class MovedRecords:
    """
    What became of the *count* records of one *store*.

    Those by *kept* differ from records that the other engine had, and that stay; those by
    *replaced* took the place of others. *notes* name each that lost, and what brings it back.
    """

    store: str
    count: int
    kept: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def join(self, other: MovedRecords) -> MovedRecords:
        """Return this with what became of *other* records of the store."""
        return MovedRecords(
            self.store,
            self.count + other.count,
            (*self.kept, *other.kept),
            (*self.replaced, *other.replaced),
            (*self.notes, *other.notes),
        )


@dataclass(frozen=True, slots=True)
class Migration:
    """
    What was *moved* to the engine *to*, and where what it replaced was set *aside*.

    *memory*: what became of memory and transcripts, where they went along. *done*: it was not only
    looked.
    """

    to: str
    moved: tuple[MovedRecords, ...]
    aside: Path
    left: tuple[str, ...] = ()
    """Sentences about what was not moved, and why."""
    memory: MemoryMigration | None = None
    done: bool = True


def bring_marks(context: Context) -> None:
    """
    Move marks from files to rows, in a directory that OpenClaw took into its SQLite era.

    There the engine changed without anybody's doing: a key that was handled must not be new for
    that. Where they cannot be moved, `left_behind` tells of them.
    """
    has_files = next((context.paths.root / "dedupe").glob("*.json"), None) is not None
    if has_files and not context.backends.is_moving:
        with suppress(StateError), context.backends.moving():
            stores, files = frozenset({MARKS, NAMES}), engine_of(FILE)
            _Run(context, SQLITE, files, lambda *_: None, stores=stores).run()


def migrate(
    context: Context, to: str, *, dry_run: bool = False, tell: Tell = lambda *_: None
) -> Migration:
    """
    Move all records of the state to the engine *to*, and choose it from now on.

    That is `file`, `sqlite` or an address `postgresql://...`.

    Every record is copied and compared before the setting changes and before the source is put
    away. Nobody else writes records meanwhile. A migration that was killed at any point is carried
    on by the next, and until then loses nothing. Where both engines have a record that differs,
    that of the engine in use counts, beside an OpenClaw that of the shared file, of two sessions
    the one with messages; what loses is kept and named, with the command that brings it back.
    A *dry_run* only looks.

    Raises `InvalidError` for what must not be, `CorruptError` for records that cannot be read,
    `UnavailableError` and `LockTimeoutError`; then the engine in use is the one that was before.
    """
    require_allowed(context, to)
    with context.backends.moving():
        runs = [_Run(context, to, each, tell) for each in _engines_left(context, to)]
        return _together([each.look() if dry_run else each.run() for each in runs])


def _engines_left(context: Context, to: str) -> tuple[Engine, ...]:
    """Return the engines that records are moved out of, in this order."""
    active = context.backends.engine
    if to != context.backends.choice:
        return (active,)
    target = engine_of(to)
    return tuple(each for each in ENGINES if each is not target and not each.schemes)


def _together(done: list[Migration]) -> Migration:
    counts: dict[str, MovedRecords] = {}
    for each in (moved for run in done for moved in run.moved):
        known = counts.get(each.store)
        counts[each.store] = each if known is None else known.join(each)
    left = tuple(why for run in done for why in run.left)
    last = done[-1]
    return Migration(last.to, tuple(counts.values()), last.aside, left, done=last.done)


def require_allowed(context: Context, to: str) -> None:
    """Raise `InvalidError` where records must not be moved to the engine *to*."""
    engine = find_engine(to)
    if engine is None:
        raise InvalidError("engine", f"records can be moved to {names_of_engines()}")
    if context.backends.store is not None:
        problem = "decides which engine counts, and a migration does that"
        raise InvalidError("store", problem, "leave out --store, or the argument of open()")
    era = context.owner.era
    if era is Era.SQLITE and engine.in_files:
        problem = "'file' would harm the OpenClaw that keeps this directory in SQLite"
        raise InvalidError("engine", problem, "records of ours stay in state/records.db there")
    if era is Era.FILES and not engine.in_files:
        problem = (
            "credentials and sessions lie in files that are OpenClaw's as well, which needs them"
        )
        raise InvalidError("engine", problem, elsewhere(context))


class _Run:
    def __init__(
        self,
        context: Context,
        to: str,
        source: Engine,
        tell: Tell,
        *,
        stores: frozenset[str] = frozenset(),
    ) -> None:
        self._stores = stores
        self._source = source
        self._context = context
        self._to = to
        self._in_files = engine_of(to).in_files
        self._tell = tell
        self._active = context.backends.choice
        self._aside = aside_folder(context)
        self._conflicts = ConflictResolver(context, to, self._aside)
        self._copies: Mapping[str, Mapping[str, str]] = {}
        name = _LEDGER if not stores else f"some-{_LEDGER}"
        self._ledger = MoveLedger(context.paths.root / "state" / name, to)
        self._moved: dict[str, MovedRecords] = {}
        self._left: list[str] = []

    def run(self) -> Migration:
        sources = list(self._sources())
        # All before the first copy: a record that cannot be read ends it while nothing has changed.
        found = {each.place.kind: each.read() for each in sources}
        self._ledger.load(is_chosen=self._active == self._to)
        if self._ledger.phase == COPYING:
            self._copies = dict(self._ledger.kinds)
            self._forget_deleted(sources, found)
        if sources or self._ledger.phase is not None:
            # Digests, not records: the ledger lies in a file for as long as a killed migration
            # does, and records hold secrets.
            fresh = {kind: digests_of(records) for kind, records in found.items()}
            self._ledger.begin(fresh)
        for number, each in enumerate(sources):
            self._tell(number, len(sources), each.place.store)
            self._copy(each, found[each.place.kind])
        # Each step before the setting changes can be repeated; from then on the target is the
        # truth.
        for each in sources:
            self._verify(each.place, found[each.place.kind])
        if self._ledger.phase is not None:
            self._ledger.advance()
        self._carry_fences()
        # The source goes last: a kill before it leaves two copies, and one after it none too few.
        self._choose()
        for each in sources:
            self._put_away(each, found[each.place.kind])
        self._tell(len(sources), len(sources), "")
        self._ledger.remove()
        moved, left = tuple(self._moved.values()), tuple(self._left)
        return Migration(shown_choice(self._to), moved, self._aside, left)

    def look(self) -> Migration:
        """Return what would be moved; nothing is written."""
        for each in self._sources():
            self._note(each.place, each.count(), Resolution())
        moved, left = tuple(self._moved.values()), tuple(self._left)
        return Migration(shown_choice(self._to), moved, self._aside, left, done=False)

    def _sources(self) -> Iterator[Source]:
        for place in record_places(self._context):
            if self._stores and place.store not in self._stores:
                continue
            source = source_of(place, self._context, self._source)
            if (why := source.refusal()) is not None:
                self._left.append(why)
            elif source.exists():
                yield source

    def _copy(self, source: Source, records: Mapping[str, Any]) -> None:
        place = source.place
        known = self._ledger.moved_digests(place.kind)
        wanted = {key: each for key, each in records.items() if known.get(key) != digest_of(each)}
        if self._in_files and place.shared and place.store == SESSIONS:
            told = self._merge_sessions(place, wanted)
        else:
            told = self._merge(place, wanted)
        if place.store == MARKS and not self._in_files:
            note_namespace(self._context.backends.records(self._to), place.file.stem)
        self._note(place, len(records), told)

    def _note(self, place: RecordPlace, count: int, told: Resolution) -> None:
        before = self._moved.get(place.store, MovedRecords(place.store, 0))
        after = MovedRecords(place.store, count, told.kept, told.replaced, told.notes)
        self._moved[place.store] = before.join(after)

    def _merge(self, place: RecordPlace, wanted: Mapping[str, Any]) -> Resolution:
        """Put *wanted* into the target, and return which it kept, and which it replaced."""
        target_wins = self._active == self._to or place.shared
        target, copies = self._target(place), self._copies.get(place.kind, {})
        for _ in range(_ATTEMPTS if wanted else 0):
            seen = {each.key: each.value for each in target.scan()}
            old = {
                key for key in copies.keys() & seen.keys() if digest_of(seen[key]) == copies[key]
            }
            # What loses is kept before it goes: a kill between the two loses nothing.
            together, told = self._conflicts.resolve(
                place, wanted, seen, target_wins=target_wins, copied=old
            )
            # The resolver looks at messages and writes to the archive, so it cannot run in the
            # change itself, which is pure: the change compares with what was resolved instead.
            if target.change_all(_replace_if_same(seen, together)):
                return told
        if wanted:
            problem = "changed each time it was looked at"
            raise UnavailableError(str(place.file), problem, "nothing was put away; repeat")
        return Resolution()

    def _merge_sessions(self, place: RecordPlace, wanted: Mapping[str, Any]) -> Resolution:
        """Take sessions into OpenClaw's index, and tell the keys that it has already."""
        from clawstate.state.sessions import open_sessions  # noqa: PLC0415 - files only

        sessions = open_sessions(self._context)
        found = ((key, sessions.get(key)) for key in wanted)
        there = {key: entry.session_id for key, entry in found if entry is not None}
        new = {key: plain_entry(each) for key, each in wanted.items() if key not in there}
        answer = sessions.merge(new)
        self._left += [f"session {key!r}: {why}" for key, why in answer.refused.items()]
        return self._conflicts.archive_sessions(place, wanted, there)

    def _forget_deleted(
        self, sources: list[Source], found: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Take back copies of records that were deleted after a migration was killed."""
        places = {each.place.kind: each.place for each in sources}
        for kind, digests in self._ledger.kinds.items():
            place = places.get(kind)
            gone = {key for key in digests if key not in found.get(kind, {})}
            if place is None or not gone:
                continue

            def change(
                there: dict[str, Any],
                gone: set[str] = gone,
                digests: Mapping[str, str] = digests,
            ) -> tuple[dict[str, Any], None]:
                old = {
                    key for key in gone if key in there and digest_of(there[key]) == digests[key]
                }
                return {key: each for key, each in there.items() if key not in old}, None

            self._target(place).change_all(change)

    def _verify(self, place: RecordPlace, records: Mapping[str, Any]) -> None:
        if place.shared and place.store == SESSIONS:
            return  # the result of `merge` names those that came in
        there = {each.key for each in self._target(place).scan()}
        missing = records.keys() - there - self._ledger.moved_digests(place.kind).keys()
        if missing:
            problem = (
                f"{len(missing):,} of {len(records):,} ({place.store}) did not arrive in"
                f" {shown_choice(self._to)}"
            )
            raise UnavailableError(str(place.file), problem, "nothing was put away; repeat")

    def _choose(self) -> None:
        if self._active == self._to or self._context.owner.era is Era.SQLITE:
            return
        # The one step that all programs notice: those that are open refuse to write from here on.
        self._context.config.set(STORE, self._to)
        if self._context.backends.choice != self._to:
            problem = f"still says {shown_choice(self._context.backends.choice)!r}"
            raise UnavailableError(STORE, problem, "nothing was put away; see 'config get'")

    def _carry_fences(self) -> None:
        backends = self._context.backends
        if self._stores or not self._source.is_there(backends):
            return
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import LEASES, carry_fences  # noqa: PLC0415 - few have leases

        choice = self._active if self._source.schemes else self._source.name
        source = backends.records(choice).collection(LEASES)
        carry_fences(source, backends.records(self._to).collection(LEASES))

    def _put_away(self, source: Source, records: Mapping[str, Any]) -> None:
        now = records
        # It is renamed, or given another kind, only if it still is what was copied.
        while not source.put_away(now, self._aside):
            # A writer that had begun before the migration came in between.
            now = source.read()
            changed = {key: each for key, each in now.items() if records.get(key) != each}
            self._note(source.place, 0, self._merge(source.place, changed))

    def _target(self, place: RecordPlace) -> Collection:
        return self._context.backends.records(self._to, root=place.root).collection(place.spec)


def _replace_if_same(
    seen: Mapping[str, Any], new: Mapping[str, Any]
) -> Callable[[dict[str, Any]], tuple[Mapping[str, Any], bool]]:
    def change(there: dict[str, Any]) -> tuple[Mapping[str, Any], bool]:
        return (new, True) if there == seen else (there, False)

    return change


def plain_entry(entry: Any) -> Any:
    """Return the *entry* of a session without the members that tell where it lies."""
    if not isinstance(entry, dict):
        return entry
    return {name: each for name, each in entry.items() if name not in {"sessionFile", "sessionKey"}}
