"""`InMemoryVersions`: earlier versions of records of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from clawstate.clock import Clock, from_ms, to_ms
from clawstate.interrupts import Mutex
from clawstate.memory.backends.inmemory.reading import Row, as_kept
from clawstate.memory.contract import Embedded, EmbedderIdentity, KnownVector
from clawstate.memory.filters import Filter
from clawstate.memory.matching import lets_through
from clawstate.memory.moves import REMEMBERED, Activity, Move, span_of
from clawstate.memory.records import MemoryRecord, position_of
from clawstate.memory.replacement import Text
from clawstate.memory.versions import (
    Conflict,
    Ending,
    RecordVersion,
    Succession,
    VersionLimits,
    begin_at_the_end,
)
from clawstate.paging import Position


@dataclass(frozen=True, slots=True)
class Past:
    """A row that ended: from `began` until before `ended`, in milliseconds."""

    row: Row
    began: int
    ended: int
    ending: Ending


class InMemoryVersions:
    """The `VersionStore` of a process, which keeps updates of records within *limits*."""

    def __init__(
        self,
        rows: Callable[[], Mapping[str, Row]],
        put: Callable[[Embedded, EmbedderIdentity | None], None],
        take: Callable[[str], None],
        give: Callable[[Row], None],
        *,
        mutex: Mutex,
        clock: Clock,
        limits: VersionLimits,
        in_use: Callable[[], EmbedderIdentity | None],
    ) -> None:
        self._rows = rows
        self._put = put
        self._take = take
        self._give = give
        self._mutex = mutex
        self._clock = clock
        self._limits = limits
        self._in_use = in_use
        self._past: list[Past] = []
        self._successions: set[Succession] = set()
        self._forgotten: list[Move] = []
        self._number = 0

    def supersede(
        self, old: MemoryRecord, new: Embedded | str, *, embedder: EmbedderIdentity | None
    ) -> bool:
        """Put *new* in the place of *old* if that is still what is kept."""
        with self._mutex:
            live = self._live(old.id)
            past = self._of([old.id])
            last = past[-1] if past and past[-1].ending != "updated" else None
            present = live or (None if last is None else last.row)
            if present is None or present.record != old:
                return False
            if isinstance(new, str):
                if self._live(new) is None:
                    return False
            else:
                new = begin_at_the_end(old, new) if live is not None else new
                self._put(new, embedder)
            successor = new if isinstance(new, str) else new.record.id
            self._successions.add(Succession(old.id, successor))
            if live is not None:
                ended = max(to_ms(self._clock()), to_ms(old.updated_at) + 1)
                if not isinstance(new, str):
                    ended = to_ms(new.record.created_at)
                self.keep([(live, ended)], "superseded")
                self._take(old.id)
            return True

    def past(self, ids: Sequence[str]) -> list[RecordVersion]:
        """Return the versions of *ids* that ended, oldest first."""
        with self._mutex:
            return [_version(each) for each in self._of(ids)]

    def successions(self, ids: Sequence[str]) -> list[Succession]:
        """Return who took the place of whom."""
        self._rows()
        wanted = set(ids)
        return sorted(each for each in self._successions if {*each} & wanted)

    def archive(self, ids: Sequence[str]) -> int:
        """Take *ids* out of what searches see."""
        with self._mutex:
            found = [row for each in dict.fromkeys(ids) if (row := self._live(each)) is not None]
            now = to_ms(self._clock())
            self.keep(
                [(row, max(now, to_ms(row.record.updated_at) + 1)) for row in found], "archived"
            )
            for row in found:
                self._take(row.record.id)
            return len(found)

    def restore(self, ids: Sequence[str]) -> int:
        """Put archived records back."""
        with self._mutex:
            wanted, kept, now = set(ids), self._rows(), self._clock()
            last = {each.row.record.id: each for each in self._past}
            back = [
                each
                for key, each in last.items()
                if key in wanted and key not in kept and each.ending == "archived"
                if not each.row.has_expired(now)
            ]
            gone = {id(each) for each in back}
            self._past = [each for each in self._past if id(each) not in gone]
            for each in sorted(back, key=lambda each: each.row.key):
                self._give(each.row)
            return len(back)

    def archived(self, after: str | None, limit: int) -> list[RecordVersion]:
        """Return the next archived records in the order of ids."""
        with self._mutex:
            ids = {each.row.record.id for each in self._past if each.ending == "archived"}
            found = (
                each
                for one in sorted(ids)
                if one > (after or "")
                for each in self._of([one])
                if each.ending == "archived"
            )
            return [_version(each) for each, _ in zip(found, range(limit), strict=False)]

    def forget_updates(self) -> int:
        """Forget what stood in records before they were updated."""
        with self._mutex:
            kept = [each for each in self._past if each.ending != "updated"]
            count = len(self._past) - len(kept)
            self._past = kept
            return count

    def forget_chosen(self, chosen: Filter) -> int:
        """Forget the versions that *chosen* lets through."""
        with self._mutex:
            kept = self._rows()
            found = [each for each in self._past if lets_through(chosen, each.row.record, now=0)]
            numbers = {id(each) for each in found}
            self._past = [each for each in self._past if id(each) not in numbers]
            gone = {each.row.record.id for each in found if each.ending != "updated"}
            gone -= kept.keys()
            self._successions = {each for each in self._successions if each.old not in gone}
            return len(gone)

    def ended(self, chosen: Filter) -> list[RecordVersion]:
        """Return what is no longer kept and *chosen* lets through, each as it was last."""
        with self._mutex:
            found = [_version(each) for each in self._ended()]
        return [each for each in found if lets_through(chosen, each.record, now=0)]

    def ended_ids(self, beginning: str, limit: int, ending: Ending | None = None) -> list[str]:
        """Return ids of what is no longer kept that begin with *beginning*."""
        with self._mutex:
            ended = [each for each in self._ended() if ending in {None, each.ending}]
            ids = [each.row.record.id for each in ended]
        return [each for each in ids if each.startswith(beginning)][:limit]

    def conflicts(self, namespace: str | None) -> list[Conflict]:
        """Return what contradicts itself."""
        with self._mutex:
            now = self._clock()
            live = {
                key: row.record
                for key, row in self._rows().items()
                if namespace in {None, row.record.namespace} and not row.has_expired(now)
            }
            heirs: dict[str, list[str]] = {}
            for old, new in sorted(self._successions):
                if new in live:
                    heirs.setdefault(old, []).append(new)
            places: dict[tuple[str, int, str], list[str]] = {}
            for key, record in sorted(live.items()):
                if record.thread is not None:
                    place = (record.thread, record.position or 0, record.namespace)
                    places.setdefault(place, []).append(key)
            return [
                *(Conflict("successors", tuple(ids), old) for old, ids in heirs.items() if ids[1:]),
                *(
                    Conflict("position", tuple(ids), place[0])
                    for place, ids in sorted(places.items())
                    if ids[1:]
                ),
            ]

    def moves(self, first: float, last: float, after: Position | None, limit: int) -> list[Move]:
        """Return the next moves."""
        with self._mutex:
            low, high = to_ms(first), to_ms(last)
            found = [each for each in self._moves() if low <= each.at <= high]
        behind = [each for each in found if after is None or each.position > after]
        return sorted(behind, key=lambda each: each.position)[:limit]

    def activity(self, first: float, step: float, count: int) -> Activity:
        """Return how much moved in each span."""
        spans = to_ms(first), to_ms(step), count
        told = Activity()
        with self._mutex:
            now = self._clock()
            for move in self._moves():
                if (span := span_of(move.at, *spans)) is not None:
                    key = span, move.kind
                    told.counts[key] = told.counts.get(key, 0) + move.count
            for row in self._rows().values():
                span = span_of(to_ms(row.record.created_at), *spans)
                if span is not None and not row.has_expired(now):
                    size = len(row.record.text.encode())
                    told.sizes[span] = told.sizes.get(span, 0) + size
        return told

    def kept_at(
        self, moment: float, chosen: Filter, after: Position | None, limit: int
    ) -> list[MemoryRecord]:
        """Return the next records of a moment, the one made last first."""
        with self._mutex:
            found = [row.copy() for row in self.rows_of(moment)]
        last = max(moment, self._clock())
        wanted = [each for each in found if lets_through(chosen, each, now=last)]
        behind = [each for each in wanted if after is None or position_of(each) > after]
        return sorted(behind, key=position_of)[:limit]

    def note_forgotten(self, count: int) -> None:
        """Note that *count* records are no longer known."""
        if count:
            self._number += 1
            now = to_ms(self._clock())
            self._forgotten.append(Move(now, "forgotten", str(self._number), count))

    def forget(self, ids: Sequence[str]) -> int:
        """Forget the versions of *ids* that ended."""
        with self._mutex:
            return self.drop(ids)[0]

    def keep(self, ended: Iterable[tuple[Row, int]], ending: Ending) -> None:
        """Keep rows, each as it was until a time (ms); the caller has the mutex."""
        for row, until in ended:
            made = to_ms(row.record.created_at)
            before = (each.ended for each in self._past if each.row.record.id == row.record.id)
            began = min(until, max([made, *before]))
            self._past.append(Past(row, began, until, ending))
            self._trim(row.record.id, until)

    def rows_of(self, moment: float) -> list[Row]:
        """Return the rows as they were at *moment*, without those whose time is over."""
        at, last = to_ms(moment), max(moment, self._clock())
        then = [each.row for each in self._past if each.began <= at < each.ended]
        later = {each.row.record.id for each in self._past if each.ended > at}
        then += [
            row
            for row in self._rows().values()
            if row.record.id not in later and to_ms(row.record.created_at) <= at
        ]
        return [row for row in then if not row.has_expired(last)]

    def chain(self, ids: Iterable[str]) -> list[str]:
        """Return *ids*, and behind them those whose place they took, however long ago."""
        found, kept = dict.fromkeys(ids), self._rows()
        queue = list(found)
        for each in queue:
            for link in sorted(self._successions):
                if link.new == each and link.old not in found and link.old not in kept:
                    found[link.old] = None
                    queue.append(link.old)
        return list(found)

    def all_of(self, ids: Iterable[str]) -> list[Past]:
        """Return what ended of *ids* and of those whose place they took."""
        wanted = set(self.chain(ids))
        return [each for each in self._past if each.row.record.id in wanted]

    def drop(self, ids: Sequence[str]) -> tuple[int, set[str]]:
        """Forget what `all_of` tells; return how many, and which of *ids* had given their place."""
        gone, kept = self.all_of(ids), self._rows()
        every = set(self.chain(ids))
        past = {each.row.record.id for each in gone if each.ending != "updated"} - kept.keys()
        self._past = [each for each in self._past if each.row.record.id not in every]
        if gone:
            links = self._successions
            self._successions = {each for each in links if not {*each} & every}
        return len(gone), past & set(ids)

    def drop_outdated(self) -> None:
        """Forget the versions whose time is over or that are too many."""
        now = self._clock()
        self._past = [each for each in self._past if not each.row.has_expired(now)]
        for each in {one.row.record.id for one in self._past}:
            self._trim(each, to_ms(now))
        oldest = to_ms(now) - REMEMBERED
        self._forgotten = [each for each in self._forgotten if each.at > oldest]

    def texts_at(self, moment: float, limit: int) -> list[Text]:
        """Return texts of versions of a moment that have no vector."""
        at, last = to_ms(moment), max(moment, self._clock())
        with self._mutex:
            self._rows()
            rows = [
                each.row
                for each in self._past
                if each.began <= at < each.ended and each.row.vector is None
            ]
        live = [row for row in rows if not row.has_expired(last)]
        return [Text(row.key, row.digest, row.record.text) for row in live[:limit]]

    def fill(self, made: Mapping[int, KnownVector], embedder: EmbedderIdentity) -> None:
        """Give versions their vectors."""
        with self._mutex:
            if self._in_use() == embedder:
                self._past = [_with_vector(each, made) for each in self._past]

    def drop_vectors(self) -> None:
        """Forget the vectors of versions, which are of an embedder that is no longer in use."""
        self._past = [
            replace(each, row=replace(each.row, vector=None, subwords=None)) for each in self._past
        ]

    def _ended(self) -> list[Past]:
        kept, now = self._rows(), self._clock()
        last = {each.row.record.id: each for each in self._past}
        return [
            each
            for key, each in sorted(last.items())
            if key not in kept and each.ending != "updated" and not each.row.has_expired(now)
        ]

    def _of(self, ids: Sequence[str]) -> list[Past]:
        self._rows()
        wanted, now = set(ids), self._clock()
        found = [each for each in self._past if each.row.record.id in wanted]
        # In the order of their beginnings, and of equals as they were kept.
        return sorted(
            (each for each in found if not each.row.has_expired(now)), key=lambda each: each.began
        )

    def _live(self, record_id: str) -> Row | None:
        row = self._rows().get(record_id)
        return None if row is None or row.has_expired(self._clock()) else row

    def _moves(self) -> list[Move]:
        now = self._clock()
        past = [each for each in self._past if not each.row.has_expired(now)]
        live = [row for row in self._rows().values() if not row.has_expired(now)]
        every = [*live, *(each.row for each in past)]
        added = {(to_ms(row.record.created_at), row.record.id) for row in every}
        return [
            *(Move(at, "added", record_id) for at, record_id in added),
            *(Move(each.ended, each.ending, each.row.record.id) for each in past),
            *self._forgotten,
        ]

    def _trim(self, record_id: str, now_ms: int) -> None:
        updates = [
            each
            for each in self._past
            if each.row.record.id == record_id and each.ending == "updated"
        ]
        oldest, many = self._limits.oldest_ms(now_ms), max(len(updates) - self._limits.most, 0)
        surplus = {id(each) for each in updates[:many] if each.ended <= oldest}
        self._past = [each for each in self._past if id(each) not in surplus]


def _with_vector(past: Past, made: Mapping[int, KnownVector]) -> Past:
    row = past.row
    if row.vector is not None or row.key not in made:
        return past
    vector, subwords = made[row.key]
    return replace(past, row=replace(row, vector=as_kept(vector), subwords=subwords))


def _version(past: Past) -> RecordVersion:
    return RecordVersion(past.row.copy(), from_ms(past.began), from_ms(past.ended), past.ending)
