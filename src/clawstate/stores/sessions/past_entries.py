"""`PastEntries`: the sessions of an index as they were at a moment, and what happened to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from clawstate.clock import from_ms, to_ms
from clawstate.errors import CorruptError
from clawstate.stores.sessions.entry import SessionEntry, has_id, updated_ms
from clawstate.stores.sessions.index import Index, IndexedEntry, read_entry
from clawstate.stores.sessions.past import Life

SessionMove: TypeAlias = Literal["added", "updated", "ended"]
"""What happened to a session; it ended where it was deleted, pruned, or begun anew."""

_TOLD_ELSEWHERE = frozenset({"updatedAt", "sessionFile"})


@dataclass(frozen=True, slots=True)
class SessionChange:
    """
    What happened to a session at a moment, `at`, in seconds; it was `before` and is `after`.

    `changed` are the members of the entry that differ.
    """

    at: float
    kind: SessionMove
    session_key: str
    session_id: str
    before: SessionEntry | None = None
    after: SessionEntry | None = None
    changed: tuple[str, ...] = ()


class PastEntries:
    """The *lives* of the sessions of *index*, and what it has now."""

    def __init__(self, index: Index, lives: Mapping[str, Life]) -> None:
        self._index = index
        self._lives = lives
        self._now = {
            str(each.document.get("sessionId")): each
            for each in index.scan()
            if isinstance(each.document, dict) and has_id(each.document)
        }

    def document(self, name: str, moment: float) -> dict[str, Any] | None:
        """Return the entry of the key *name* as it was at *moment*, or `None`."""
        found = [document for key, document in self._documents(to_ms(moment)) if key == name]
        return max(found, key=updated_ms, default=None)

    def entries(self, moment: float) -> Iterator[SessionEntry]:
        """Give the entries that there were at *moment*, in any order."""
        for key, document in self._documents(to_ms(moment)):
            if (entry := self._entry(key, document)) is not None:
                yield entry

    def changes(self, since: float, until: float) -> Iterator[SessionChange]:
        """Give what happened after *since* and by *until*, in any order."""
        first, last = to_ms(since), to_ms(until)
        for life in self._lives.values():
            before: Any = None
            for number, state in enumerate(life.states):
                was, before = before, state.document
                is_known = number or state.is_first  # else it is how it was found
                if is_known and first < state.at <= last:
                    yield self._change(life, state.at, was, state.document)

    def _change(self, life: Life, at: int, old: Any, new: Any) -> SessionChange:
        kind: SessionMove = "ended" if new is None else "added" if old is None else "updated"
        names = dict.fromkeys([*(old or ()), *(new or ())]) if kind == "updated" else {}
        changed = [each for each in names if (old or {}).get(each) != (new or {}).get(each)]
        return SessionChange(
            from_ms(at),
            kind,
            life.key,
            life.session_id,
            None if old is None else self._entry(life.key, old),
            None if new is None else self._entry(life.key, new),
            tuple(each for each in changed if each not in _TOLD_ELSEWHERE),
        )

    def _documents(self, moment: int) -> Iterator[tuple[str, dict[str, Any]]]:
        for session_id, life in self._lives.items():
            present = self._now.get(session_id)
            is_last = life.last_at <= moment
            if is_last and present is not None and updated_ms(present.document) <= moment:
                continue  # as it is now, also where another program changed it
            if is_last and present is None:
                continue  # another program took it away
            state = life.at(moment)
            if state is not None and isinstance(state.document, dict):
                yield life.key, state.document
        for session_id, found in self._now.items():
            life_of = self._lives.get(session_id)
            if life_of is not None and life_of.last_at > moment:
                continue
            if updated_ms(found.document) <= moment:
                yield found.key, found.document

    def _entry(self, key: str, document: Any) -> SessionEntry | None:
        with suppress(CorruptError):
            return read_entry(self._index, IndexedEntry(key, document, ""))
        return None
