"""`PersistentDedupe`: tells once, and only once, that a key is new."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from clawstate.arguments import require_texts
from clawstate.clock import Clock, system_clock
from clawstate.errors import ClosedError, InvalidError, StateError
from clawstate.files.lock_options import PATIENCE, LockOptions, lock_options
from clawstate.files.paths import as_file_path
from clawstate.files.safe_names import encode_name
from clawstate.health import Finding
from clawstate.interrupts import Mutex
from clawstate.paging import PAGE, Listing, Page
from clawstate.records.contract import Collection
from clawstate.records.last_good import copy_path
from clawstate.records.merging import MergeResult
from clawstate.stores.dedupe.expiry import ExpiryPolicy, marks_spec
from clawstate.stores.dedupe.marks import Made, Marks
from clawstate.stores.dedupe.namespaces import (
    DEFAULT,
    EarlierMarks,
    NamespaceIndex,
    OpenNamespace,
    OpenNamespaces,
    place_of,
    require_namespace,
)
from clawstate.stores.dedupe.seen_cache import Place, SeenCache
from clawstate.stores.dedupe.settings import DAY, DedupeSettings, require_number
from clawstate.stores.dedupe.statistics import DedupeStatistics, NamespaceStatistics, odd_marks

_LISTING = Listing("namespaces")


class PersistentDedupe:
    """
    Marks of what was handled, by key and namespace (specification, "Persistent Dedupe").

    Of all threads and processes that ask for one key, exactly one is told that it is new, until
    the mark expires, is forgotten, or has to make room for younger ones. The answer comes when the
    mark is on disk. Marks met last are remembered in memory, where a mark that is not on disk never
    comes; one that another process forgets may be remembered here until it expires.

    *resolve_file_path* names the file of each namespace, shared with OpenClaw; marks hold *ttl_ms*
    milliseconds, and as many are kept in memory and in a file as the other two say. *lock* tells
    how long to wait for a file, by default 45 s. In their place, an engine hands in *collections*,
    which gives the collection of a namespace, *settings*, an *index* that knows all namespaces,
    else they are those in use here, and *earlier* marks, asked as well. *on_disk_error* is told
    of each error of the disk; it is raised as well, unless *fail_open*: then the key counts as new.
    Raises `InvalidError` for values that make no sense.
    """

    def __init__(
        self,
        collections: Callable[[str], Collection] | None = None,
        *,
        ttl_ms: float = DAY * 1000,
        memory_max_size: int = 100,
        file_max_entries: int = 1000,
        resolve_file_path: Callable[[str], str | os.PathLike[str]] | None = None,
        lock: LockOptions | Mapping[str, Any] | None = None,
        settings: Callable[[], DedupeSettings] | None = None,
        clock: Clock = system_clock,
        index: NamespaceIndex | None = None,
        earlier: EarlierMarks | None = None,
        on_disk_error: Callable[[StateError], object] | None = None,
        fail_open: bool = False,
    ) -> None:
        if settings is None:
            require_number("ttl_ms", ttl_ms)
            settings = partial(
                _same, DedupeSettings(ttl_ms / 1000, memory_max_size, file_max_entries)
            )
        if collections is None:
            collections = _in_files(resolve_file_path, settings, lock, clock)
        self._namespaces = OpenNamespaces(lambda name: Marks(collections(name), self._policy))
        self._settings = settings
        self._clock = clock
        self._index = index
        self._earlier = earlier
        self._on_disk_error = on_disk_error
        self._fail_open = fail_open
        self._memory = SeenCache()
        self._counting = Mutex()

    def __repr__(self) -> str:
        return f"PersistentDedupe(in_use={self._namespaces.names()!r})"

    @classmethod
    def in_files(
        cls,
        resolve_file_path: Callable[[str], Path],
        *,
        ttl: float = DAY,
        memory_max_size: int = 100,
        file_max_entries: int = 1000,
        lock: LockOptions | None = None,
        **options: Any,
    ) -> PersistentDedupe:
        """
        Return marks in the files that *resolve_file_path* names, as the constructor; *ttl* in s.

        Two namespaces need two files.
        """
        settings = partial(_same, DedupeSettings(ttl, memory_max_size, file_max_entries))
        return cls(resolve_file_path=resolve_file_path, lock=lock, settings=settings, **options)

    def check_and_record(
        self, key: str, namespace: str = DEFAULT, *, fail_open: bool | None = None
    ) -> bool:
        """
        Record *key* and return True if it is new, else False.

        Space around *key* does not count. Raises `InvalidError` for a key that is empty or longer
        than 1,024 characters, and for a disk error, unless *fail_open*, `CorruptError`,
        `LockTimeoutError` or `UnavailableError`: then the key is not recorded, unless the error
        says that this is unknown.
        """
        settings = self._settings()
        # What is remembered needs neither trimming nor judging, and most that is asked for is.
        if key.__class__ is namespace.__class__ is str and self._memory.holds(
            (namespace, key), self._clock(), settings
        ):
            return False
        place = place_of(key, namespace)
        if place != (namespace, key) and self._memory.holds(place, self._clock(), settings):
            return False
        try:
            return self._record(place, settings)
        except StateError as error:
            self._handle_failure(place[0], error, fail_open=fail_open)
            return True

    def check_many(
        self, keys: Iterable[str], namespace: str = DEFAULT, *, fail_open: bool | None = None
    ) -> list[bool]:
        """
        Do what `check_and_record` does for all *keys*, with one durable write; answers in order.

        All of them are recorded, or none. A key that is given twice is new once.
        """
        places = [place_of(key, namespace) for key in require_texts("keys", keys)]
        settings, now = self._settings(), self._clock()
        known = {place for place in places if self._memory.holds(place, now, settings)}
        left = [place for place in dict.fromkeys(places) if place not in known]
        fresh = set(left)
        if left:
            try:
                fresh = self._record_together(left, settings)
            except StateError as error:
                self._handle_failure(left[0][0], error, fail_open=fail_open)
        return [_take(place, fresh) for place in places]

    def seen(self, key: str, namespace: str = DEFAULT) -> bool:
        """Tell whether *key* is marked, and record nothing; raises what reading raises."""
        place = place_of(key, namespace)
        if self._memory.holds(place, self._clock(), self._settings()):
            return True
        return self._was_earlier(place) or self._namespaces.get(place[0]).marks.holds(place[1])

    def merge(
        self, marks: Mapping[str, Any], namespace: str = DEFAULT, *, dry_run: bool = False
    ) -> MergeResult:
        """
        Take over *marks* of another program, by key and in milliseconds; tell which came in.

        Those that expired, and those too many, do not. A *dry_run* only tells.
        """
        space = require_namespace(namespace)
        if dry_run:
            return self._namespaces.get(space).marks.merge(marks, dry_run=True)
        return self._open_noted(space).marks.merge(marks)

    def forget(self, key: str, namespace: str = DEFAULT) -> bool:
        """
        Remove the mark of *key*, which is new again; False if there was none.

        Raises `UnavailableError` for one that lies in another engine, where it is not changed.
        """
        place = place_of(key, namespace)
        # Before anything is removed: the mark in the other engine would count on, so `forget` would
        # have done nothing and said that it did.
        if self._earlier is not None:
            self._earlier.require_none(place, self._policy)
        marks = self._namespaces.get(place[0]).marks
        try:
            return marks.delete(place[1])
        finally:
            # Also when the disk failed: the mark may be gone there, and memory must not say
            # otherwise.
            self._memory.forget(place)

    def warm_up(self, namespace: str = DEFAULT) -> int:
        """Remember the newest marks of *namespace* in memory, and return how many."""
        space = require_namespace(namespace)
        settings, epoch = self._settings(), self._memory.epoch
        opened = self._namespaces.get(space)
        return sum(
            self._memory.remember((space, key), made, opened.counters, epoch, settings)
            for made, key in opened.marks.newest(settings.memory_max_size)
        )

    def prune(self, namespace: str | None = None) -> int:
        """
        Remove expired marks, and the oldest of those too many, and return how many went.

        Of all namespaces if none is given: then an error of one is raised when all others are done.
        """
        if namespace is not None:
            return self._namespaces.get(require_namespace(namespace)).marks.prune()
        removed, errors = 0, []
        # One damaged file must not keep all others from being tidied.
        for each in self.namespaces():
            try:
                removed += self._namespaces.get(each).marks.prune()
            except StateError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return removed

    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces that have, or had, marks, in order."""
        known = {name for name, opened in self._namespaces.items() if opened.noted}
        return tuple(sorted(known.union(self._index.names() if self._index else ())))

    def page(self, limit: int = PAGE, after: str | None = None) -> Page[str]:
        """
        Return a page of what `namespaces` gives, in the order of the names of their files.

        Raises `InvalidError` for a *limit* below 1 and an *after* that no page gave.
        """
        position = _LISTING.require_page(limit, after)
        start = "" if position is None else position[1]
        if self._index is None:
            used = ((encode_name(each), each) for each in self.namespaces())
            found: Iterable[str] = (each for name, each in sorted(used) if name > start)
        else:
            found = self._index.names(start)
        return _LISTING.page((((0.0, encode_name(each)), each) for each in found), limit)

    def clear_memory(self) -> None:
        """Forget what is remembered in memory; the marks on disk stay."""
        self._memory.clear()

    def stats(self, namespace: str = DEFAULT) -> NamespaceStatistics:
        """Return the size of *namespace*, and what became of the calls; raises as `seen` does."""
        space = require_namespace(namespace)
        opened = self._namespaces.get(space)
        sizes = self._memory.sizes(self._clock(), self._settings())
        return opened.marks.stats(opened.counters, sizes[space])

    def statistics(self) -> DedupeStatistics:
        """Return what became of the calls, and the sizes of all namespaces; reads each of them."""
        spaces = {name: self.stats(name) for name in self.namespaces()}
        total = self._namespaces.total()
        return DedupeStatistics(
            total.memory_hits,
            total.file_hits,
            total.new,
            total.errors,
            self._memory.sizes(self._clock(), self._settings()).total(),
            sum(each.marks for each in spaces.values()),
            spaces,
        )

    def check(self) -> Iterator[Finding]:
        """
        Give marks that cannot be read, that mean nothing, or that come from the future.

        Raises what `namespaces` raises. A damaged file that has a last good copy is left to the
        check of the records, which mends it.
        """
        for name in self.namespaces():
            marks = self._namespaces.get(name).marks
            try:
                marks.require_whole()
                found = self.stats(name)
            except StateError as error:
                place = getattr(error, "path", None)
                if place is None or not copy_path(Path(place)).exists():
                    remedy = "restore it, or move it away: its keys are new then"
                    yield Finding.of(error, marks.path, remedy)
                continue
            yield from odd_marks(name, found, path=marks.path, now=self._clock())

    def _was_earlier(self, place: Place) -> bool:
        return self._earlier is not None and self._earlier.holds(place, self._policy)

    def _record(self, place: Place, settings: DedupeSettings) -> bool:
        if self._was_earlier(place):
            return False
        # The epoch is taken before the disk is asked, so that a `forget` in between is noticed.
        opened, epoch = self._open_noted(place[0]), self._memory.epoch
        made = opened.marks.record(place[1])
        self._remember(opened, {place: made}, epoch, settings)
        return made.is_new

    def _record_together(self, places: list[Place], settings: DedupeSettings) -> set[Place]:
        space = places[0][0]
        # Marks of the engine that was left still count, or an update would be handled twice.
        places = [place for place in places if not self._was_earlier(place)]
        if not places:
            return set()
        opened, epoch = self._open_noted(space), self._memory.epoch
        answers = opened.marks.record_all(key for _, key in places)
        made = {place: answers[place[1]] for place in places}
        self._remember(opened, made, epoch, settings)
        return {place for place, each in made.items() if each.is_new}

    def _policy(self) -> ExpiryPolicy:
        return self._settings().policy(self._clock())

    def _open_noted(self, namespace: str) -> OpenNamespace:
        opened = self._namespaces.get(namespace)
        if not opened.noted:
            # Before the first mark: a name without marks does no harm, but marks under a name that
            # is in no index would be found by no pruning.
            if self._index is not None:
                self._index.note(namespace)
            opened.noted = True
        return opened

    def _remember(
        self, opened: OpenNamespace, made: dict[Place, Made], epoch: int, settings: DedupeSettings
    ) -> None:
        for place, each in made.items():
            self._memory.remember(place, each.at, opened.counters, epoch, settings)
        new = [key for (_, key), each in made.items() if each.is_new]
        with self._counting:
            opened.counters.new += len(new)
            opened.counters.file_hits += len(made) - len(new)
        if new:
            try:
                opened.marks.sweep_when_due(new)
            except StateError as error:  # what was asked for is recorded
                self._tell(next(iter(made))[0], error)

    def _handle_failure(self, namespace: str, error: StateError, *, fail_open: bool | None) -> None:
        # Not a fault of the disk but of the program, which `fail_open` must not hide.
        if isinstance(error, ClosedError):
            raise error
        self._tell(namespace, error)
        if not (self._fail_open if fail_open is None else fail_open):
            raise error

    def _tell(self, namespace: str, error: StateError) -> None:
        self._namespaces.count_error(namespace)
        if self._on_disk_error is not None:
            self._on_disk_error(error)


def _take(place: Place, fresh: set[Place]) -> bool:
    is_new = place in fresh
    fresh.discard(place)
    return is_new


def _same(settings: DedupeSettings) -> DedupeSettings:
    return settings


def _in_files(
    resolve_file_path: Callable[[str], str | os.PathLike[str]] | None,
    settings: Callable[[], DedupeSettings],
    lock: LockOptions | Mapping[str, Any] | None,
    clock: Clock,
) -> Callable[[str], Collection]:
    """Return what gives the collection of a namespace, in the file of that."""
    from clawstate.records.json_files import JsonFilesBackend  # noqa: PLC0415 - SQLite has none

    if not callable(resolve_file_path):
        problem = "is missing" if resolve_file_path is None else "cannot be called"
        hint = "give a function from a namespace to the path of its file"
        raise InvalidError("resolve_file_path", problem, hint)
    patience = LockOptions(timeout=PATIENCE) if lock is None else lock_options(lock)

    def collection(namespace: str) -> Collection:
        path = as_file_path(resolve_file_path(namespace), "resolve_file_path").absolute()
        spec = marks_spec(namespace, PurePosixPath(path.name), lambda: settings().policy(clock()))
        return JsonFilesBackend(path.parent, lock=patience).collection(spec)

    return collection
