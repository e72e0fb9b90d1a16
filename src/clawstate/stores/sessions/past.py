"""
`SessionPast`: what entries of sessions were, for as long as settings keep it (decision 077).

It is written behind the change, so a kill in between leaves a gap: the next change of the session
sees that what it found is not what was noted last, and notes that as well, by its own time. So are
changes of other programs. Every session has its states of some days in one record, the first whole
and the others by what differs; so nothing else has to be read to know one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple, TypeAlias

from clawstate.clock import Clock, to_ms
from clawstate.errors import FallbackWarning, StateError, warn
from clawstate.files.json_text import dump_compact, is_same_json
from clawstate.records.contract import Collection as Records
from clawstate.records.contract import CollectionSpec
from clawstate.records.layouts import MapLayout
from clawstate.stores.sessions.entry import is_session_id, updated_ms

SLOTS: Final = 32
"""How many documents the states lie in, by turns: a change writes one of them anew."""

KIND: Final = "session-past"

Moved: TypeAlias = tuple[Any | None, Any | None]
"""An entry before and after a change, as documents; `None` where there is none."""

_DAY = 86_400_000
_SHARE = SLOTS - 2  # slots that the time that is kept goes into: one is begun, one is swept


class State(NamedTuple):
    """An entry as it was from a moment on (`at`, ms), `None` once it is gone."""

    at: int
    document: Any | None
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Life:
    """The *states* of one session, oldest first, under the *key* that it had last."""

    session_id: str
    key: str
    states: tuple[State, ...]

    def at(self, moment_ms: int) -> State | None:
        """Return the last state that began by a moment."""
        return next((each for each in reversed(self.states) if each.at <= moment_ms), None)

    @property
    def last_at(self) -> int:
        """When the last state began."""
        return self.states[-1].at


def spec_of(index: PurePosixPath, slot: int) -> CollectionSpec:
    """Return the spec of a slot of what belongs to the index file *index*."""
    path = index.parent / "archive" / f"past-{slot:02}-{index.name}"
    return CollectionSpec(f"{KIND}:{slot:02}", path, MapLayout())


class SessionPast:
    """
    The states of the sessions of one index; *opened* gives the collection of a slot.

    They are kept for *keep_for* seconds, nothing at all with 0.
    """

    def __init__(
        self, opened: Callable[[int], Records], *, clock: Clock, keep_for: Callable[[], float]
    ) -> None:
        self._opened = opened
        self._clock = clock
        self._keep_for = keep_for
        self._swept: int | None = None

    def note(self, moved: Mapping[str, Moved]) -> None:
        """Note what was *moved*, by key. Never raises a `StateError`: the change itself is made."""
        try:
            keep_ms = int(self._keep_for() * 1000)
            found = [each for key, (old, new) in moved.items() for each in _parts(key, old, new)]
            if not found or not keep_ms:
                return
            now = to_ms(self._clock())
            slot = self._slot(now, keep_ms)
            if slot != self._swept:
                self._sweep(slot, now - keep_ms)
                self._swept = slot
            records = self._opened(slot)
            for session_id, key, old, new in found:
                states = _states_between(old, new, now)
                records.update(session_id, partial(_with, key, states))
        except StateError as error:
            message = f"{error}; what the session was before is not kept"
            warn(FallbackWarning(message), stacklevel=4)

    def lives(self) -> dict[str, Life]:
        """Return the states of all sessions that are kept, by session id."""
        found: dict[str, list[tuple[str, list[State]]]] = {}
        for slot in range(SLOTS):
            for each in self._opened(slot).scan():
                key, states = _decode(each.value)
                if states:
                    found.setdefault(each.key, []).append((key, states))
        return {session_id: _join(session_id, parts) for session_id, parts in found.items()}

    def sweep(self) -> None:
        """Let go of what is kept no longer."""
        oldest = to_ms(self._clock()) - int(self._keep_for() * 1000)
        for slot in range(SLOTS):
            self._sweep(slot, oldest)

    def forget(self, session_ids: Collection[str]) -> None:
        """Leave nothing of sessions that are gone for good."""
        wanted = list(session_ids)
        for slot in range(SLOTS) if wanted else ():
            records = self._opened(slot)
            if any(records.get(each) is not None for each in wanted):
                records.change_some(wanted, lambda _: ({}, None))

    def _slot(self, now: int, keep_ms: int) -> int:
        length = max(_DAY, -(-keep_ms // _SHARE))
        return now // length % SLOTS

    def _sweep(self, slot: int, oldest: int) -> None:
        records = self._opened(slot)
        if not any(_is_older(each.value, oldest) for each in records.scan()):
            return

        def change(old: dict[str, Any]) -> tuple[dict[str, Any], None]:
            kept = {key: _since(value, oldest) for key, value in old.items()}
            return {key: value for key, value in kept.items() if value is not None}, None

        records.change_all(change)


def _parts(
    key: str, old: Any | None, new: Any | None
) -> Iterator[tuple[str, str, Any | None, Any | None]]:
    before, after = _id_of(old), _id_of(new)
    if before is not None and before != after:
        yield before, key, old, None
    if after is not None:
        was = old if before == after else None
        if was is None or not is_same_json(was, new):
            yield after, key, was, new


def _id_of(document: Any) -> str | None:
    found = document.get("sessionId") if isinstance(document, dict) else None
    return found if is_session_id(found) else None


def _states_between(old: Any | None, new: Any | None, now: int) -> list[State]:
    found = [] if old is None else [State(updated_ms(old), old)]
    # By the entry's own time, where that moved on: two who change it at once may note it in
    # another order than they changed it.
    at = updated_ms(new) if new is not None and updated_ms(new) > updated_ms(old) else now
    return [*found, State(at, new, old is None)]


def _with(key: str, states: Iterable[State], value: Any) -> Any:
    _, known = _decode(value)
    for each in states:
        known = _insert(known, each)
    return {"sessionKey": key, "events": list(_encode(known))}


def _insert(known: list[State], state: State) -> list[State]:
    before = [each for each in known if each.at <= state.at]
    behind = [each for each in known if each.at > state.at]
    if before and is_same_json(before[-1].document, state.document):
        return known
    return [*before, state, *behind]


def _encode(states: Iterable[State]) -> Iterator[list[Any]]:
    last: Any = None
    for each in states:
        whole = each.document if each.document is None else {"all": each.document}
        if isinstance(last, dict) and isinstance(each.document, dict):
            part = _difference(last, each.document)
            if len(dump_compact(part)) < len(dump_compact(whole)):
                whole = part
        last = each.document
        yield [each.at, whole, 1] if each.is_first else [each.at, whole]


def _difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    absent = object()
    put = {name: value for name, value in new.items() if not _same(old.get(name, absent), value)}
    return {"put": put, "gone": [name for name in old if name not in new]}


def _same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and is_same_json(old, new)


def _decode(value: Any) -> tuple[str, list[State]]:
    """Return key and states of a record; what somebody else put there is none."""
    states: list[State] = []
    events = value.get("events") if isinstance(value, dict) else None
    if not isinstance(events, list):
        return "", states
    document: Any = None
    for event in events:
        match event:
            case [int(at), None, *rest]:
                document = None
            case [int(at), {"all": dict(whole)}, *rest]:
                document = whole
            case [int(at), {"put": dict(put), "gone": list(gone)}, *rest] if document is not None:
                document = {k: v for k, v in document.items() if k not in gone} | put
            case _:
                break
        states.append(State(at, document, bool(rest)))
    return str(value.get("sessionKey") or ""), states


def _join(session_id: str, parts: Iterable[tuple[str, list[State]]]) -> Life:
    ordered = sorted(parts, key=lambda each: each[1][-1].at)
    states: list[State] = []
    every = itertools.chain.from_iterable(found for _, found in ordered)
    for each in sorted(every, key=lambda state: state.at):
        if not states or not is_same_json(states[-1].document, each.document):
            states.append(each)
    return Life(session_id, ordered[-1][0], tuple(states))


def _is_older(value: Any, oldest: int) -> bool:
    _, states = _decode(value)
    return not states or states[-1].at <= oldest or (len(states) > 1 and states[1].at <= oldest)


def _since(value: Any, oldest: int) -> Any | None:
    """Return the record without what was over before *oldest*, None if that is all of it."""
    key, states = _decode(value)
    if not states or states[-1].at <= oldest:
        return None
    # The last of those before stays: it was how the session stood then.
    first = max(sum(each.at <= oldest for each in states) - 1, 0)
    return {"sessionKey": key, "events": list(_encode(states[first:]))}
