"""`Timeline`: what changed in a state between two moments, in all parts."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from clawstate.clock import from_ms, to_ms
from clawstate.errors import InvalidError
from clawstate.files.json_text import dump_compact
from clawstate.memory import changes as memory_changes
from clawstate.moments import DAY, Moment
from clawstate.paging import PAGE, Listing, Page, Position
from clawstate.secret_rules import without_secrets

if TYPE_CHECKING:
    from clawstate.clock import Clock
    from clawstate.config.service import Config
    from clawstate.memory.moves import MemoryChange
    from clawstate.memory.service import Memory
    from clawstate.stores.sessions import Sessions
    from clawstate.stores.sessions.past_entries import SessionChange
    from clawstate.stores.transcripts import Transcripts

TimelinePart: TypeAlias = Literal["config", "memory", "sessions", "transcripts"]
"""The parts whose past is kept."""

TIMELINE_PARTS: Final[tuple[TimelinePart, ...]] = ("config", "memory", "sessions", "transcripts")

_LISTING = Listing("timeline")
_MASK = "[redacted]"
_BEHIND_ALL = "\U0010ffff"

Found: TypeAlias = Iterable[tuple[Position, "TimelineChange"]]


@dataclass(frozen=True, slots=True)
class TimelineChange:
    """
    One change, `at` a moment (seconds) in a `part`; its `kind` is a word such as `updated`.

    `name` is the id of a record, the key of a session, the id of a transcript's session, or the
    file of a configuration. `by` tells what did it, as far as that is known: a program, or the
    source of a record. `before` and `after` are texts of a record, and of a session what changed.
    `number` is that of a change of the configuration, `changed` the paths or members, `count` how
    many records were forgotten, or messages added.
    """

    at: float
    part: TimelinePart
    kind: str
    name: str
    by: str | None = None
    before: str | None = None
    after: str | None = None
    changed: tuple[str, ...] = ()
    count: int = 1
    number: int | None = None


@dataclass(frozen=True, slots=True)
class TimelineSpan:
    """
    What happened from `begin` to before `end` (seconds), and how much there was at its end.

    `added`, `updated`, `superseded`, `archived` and `forgotten` count records, `settings` changes
    of the configuration. `records`, `sessions` and `messages` are those there were at the end,
    `bytes` those of the texts of records and messages. Of what was forgotten since nothing counts.
    """

    begin: float
    end: float
    added: int = 0
    updated: int = 0
    superseded: int = 0
    archived: int = 0
    forgotten: int = 0
    settings: int = 0
    said: int = 0
    records: int = 0
    sessions: int = 0
    messages: int = 0
    bytes: int = 0


class Parts(Protocol):
    """The parts of a state, each opened when it is asked for."""

    @property
    def clock(self) -> Clock:
        """The clock: seconds since the epoch."""

    @property
    def config(self) -> Config:
        """The configuration."""

    @property
    def memory(self) -> Memory:
        """What is remembered."""

    @property
    def sessions(self) -> Sessions:
        """The sessions."""

    @property
    def transcripts(self) -> Transcripts:
        """Their messages."""


class Timeline:
    """What happened in *state*, as far as that is kept (decision 077)."""

    def __init__(self, state: Parts) -> None:
        self._state = state

    def changes(
        self,
        since: Moment,
        until: Moment | None = None,
        *,
        parts: Sequence[TimelinePart] | None = None,
        limit: int = PAGE,
        after: str | None = None,
    ) -> Page[TimelineChange]:
        """
        Return a page of what changed after *since* and by *until* (now), the last first.

        Seconds, ISO text, date or datetime; of a day its end is meant. *parts* are all by default.
        Of what was forgotten nothing is told but that something was. Raises `InvalidError`, and
        what reading the parts raises.
        """
        begin, end = memory_changes.span(since, until, now=self._state.clock())
        position = _LISTING.require_page(limit, after)
        wanted = TIMELINE_PARTS if parts is None else _require_parts(parts)
        readers = {
            "config": lambda: _in_order(self._config(begin, end)),
            "memory": lambda: self._memory(begin, end, position, limit),
            "sessions": lambda: _in_order(self._sessions(begin, end)),
            "transcripts": lambda: _in_order(self._transcripts(begin, end)),
        }
        every = [_behind(position, readers[each]()) for each in wanted]
        return _LISTING.page(heapq.merge(*every, key=lambda each: each[0]), limit)

    def activity(
        self, since: Moment, until: Moment | None = None, *, step: float = DAY
    ) -> tuple[TimelineSpan, ...]:
        """
        Return what happened in each span of *step* seconds after *since* and up to *until* (now).

        Raises `InvalidError`, also for more than 1,000 spans.
        """
        begin, end = memory_changes.span(since, until, now=self._state.clock())
        count = memory_changes.count_spans(begin, end, step)
        moved = self._state.memory.activity(begin, end, step=step)
        said = self._state.transcripts.volume(begin, step, count)
        edges = [from_ms(to_ms(begin + number * step)) for number in range(count + 1)]
        times = [each.at for each in self._state.config.history()]
        total: dict[str, int] = {
            "sessions": said.sessions.get(-1, 0),
            "messages": said.messages.get(-1, 0),
            "bytes": said.sizes.get(-1, 0),
        }
        told: list[TimelineSpan] = []
        for number, each in enumerate(moved):
            first, last = edges[number], edges[number + 1]
            total["sessions"] += said.sessions.get(number, 0)
            total["messages"] += said.messages.get(number, 0)
            total["bytes"] += said.sizes.get(number, 0)
            told.append(
                TimelineSpan(
                    first,
                    last,
                    each.added,
                    each.updated,
                    each.superseded,
                    each.archived,
                    each.forgotten,
                    sum(first <= at < last for at in times),
                    said.messages.get(number, 0),
                    each.records,
                    total["sessions"],
                    total["messages"],
                    total["bytes"] + each.bytes,
                )
            )
        return tuple(told)

    def _config(self, begin: float, end: float) -> Found:
        config = self._state.config
        owners = [(each, config.history(agent_id=each)) for each in (None, *config.agents())]
        for agent, history in owners:
            for each in history:
                if begin < each.at <= end:
                    kind = "undone" if each.undoes is not None else "updated"
                    name = Path(each.file).name if agent is None else f"agent {agent}"
                    yield _place(
                        TimelineChange(
                            each.at,
                            "config",
                            kind,
                            name,
                            each.by,
                            changed=tuple(without_secrets(path, _MASK) for path in each.paths),
                            number=each.number,
                        ),
                        f"{name}:{each.number}",
                    )

    def _memory(self, begin: float, end: float, position: Position | None, limit: int) -> Found:
        cursor: str | None = None
        if position is not None:
            rank, name = position
            part, _, rest = name.partition(":")
            # Where it stands among the parts tells whether those of the same moment are still due.
            key = rest if part == "memory" else "" if part < "memory" else _BEHIND_ALL
            cursor = memory_changes.LISTING.encode_cursor((rank, key))
        while True:
            page = self._state.memory.changes(begin, end, limit=limit + 1, after=cursor)
            for each in page:
                yield _place(_memory_change(each), f"{each.kind}:{each.record_id or each.number}")
            if (cursor := page.after) is None:
                return

    def _sessions(self, begin: float, end: float) -> Found:
        for each in self._state.sessions.changes(begin, end):
            yield _place(_session_change(each), f"{each.kind}:{each.session_id}")

    def _transcripts(self, begin: float, end: float) -> Found:
        for each in self._state.transcripts.message_counts(begin, end):
            at = from_ms(each.last_ms)
            change = TimelineChange(at, "transcripts", "said", each.session_id, count=each.messages)
            yield _place(change, each.session_id)


def _require_parts(parts: Sequence[TimelinePart]) -> list[TimelinePart]:
    if isinstance(parts, str) or not parts or any(each not in TIMELINE_PARTS for each in parts):
        raise InvalidError("parts", "name what is no part", f"take of {', '.join(TIMELINE_PARTS)}")
    return list(dict.fromkeys(parts))


def _place(change: TimelineChange, key: str) -> tuple[Position, TimelineChange]:
    return (-float(to_ms(change.at)), f"{change.part}:{key}"), change


def _in_order(found: Found) -> Found:
    return sorted(found, key=lambda each: each[0])


def _behind(position: Position | None, found: Found) -> Iterator[tuple[Position, TimelineChange]]:
    placed = ((place, each) for place, each in found if position is None or place > position)
    return iter(placed)


def _memory_change(change: MemoryChange) -> TimelineChange:
    record = change.after or change.before
    return TimelineChange(
        change.at,
        "memory",
        change.kind,
        change.record_id or "",
        None if record is None else record.source,
        None if change.before is None else change.before.text,
        None if change.after is None else change.after.text,
        change.successors,
        change.count,
    )


def _session_change(change: SessionChange) -> TimelineChange:
    before = None if change.before is None else change.before.fields
    after = None if change.after is None else change.after.fields
    return TimelineChange(
        change.at,
        "sessions",
        change.kind,
        change.session_key,
        None,
        _members_text(before, change.changed),
        _members_text(after, change.changed),
        change.changed,
    )


def _members_text(fields: Any, names: tuple[str, ...]) -> str | None:
    """Return those of the members *names* as JSON, without secrets; None where there are none."""
    told = {name: fields[name] for name in names if name in fields} if fields else {}
    return without_secrets(dump_compact(told), _MASK) if told else None
