"""Changes of single entries, and of all at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from clawstate.arguments import require_callable
from clawstate.clock import Clock, to_ms
from clawstate.errors import InvalidError
from clawstate.records.contract import DELETE, Mark
from clawstate.records.rules import require_records
from clawstate.stores.sessions.archive import Archived
from clawstate.stores.sessions.entry import Document, EntryCopy, has_id, require_stored_id
from clawstate.stores.sessions.index_format import IndexFormat
from clawstate.stores.sessions.merging import EntryChange, begin_anew, create_entry, merge_entry

A = TypeVar("A")

Apply: TypeAlias = Callable[[Any | None], Any | Mark]
"""What `Collection.update` takes: a document, or `None`, to a document, or `DELETE`."""

StoreChange: TypeAlias = Callable[[dict[str, Document]], tuple[Mapping[str, Mapping[str, Any]], A]]
"""All entries by key, as their documents, to all that shall be, and an answer. Pure."""

_PAIR = 2


@dataclass(frozen=True, slots=True)
class EntryChanges:
    """Makes pure changes of documents in one *form*; *clock* tells their time."""

    form: IndexFormat
    clock: Clock

    def creation(self, key: str, session_id: str, *, lost: Document | None) -> Apply:
        """Return the change that makes an entry where there is none, or brings back *lost*."""

        def apply(old: Any | None) -> Document:
            if old is not None and has_id(old):
                require_stored_id(key, old)
                return self.form.add_identity(key, old)
            # What the profile still knows, rather than a new id: that would begin an empty
            # conversation.
            if lost is not None:
                return lost
            return create_entry(key, session_id, form=self.form, now_ms=self._now(), old=old or {})

        return apply

    def update_of(self, key: str, change: EntryChange) -> Apply:
        """Return the change that makes *change* of an entry that is there."""

        def apply(old: Any | None) -> Any | Mark:
            if old is None:
                return DELETE
            if not has_id(old):
                return old
            require_stored_id(key, old)
            new = change(old)
            return old if new is None else self._merge(key, old, new)

        return apply

    def reset_of(self, key: str, session_id: str) -> Apply:
        """Return the change that gives an entry another session id."""

        def apply(old: Any | None) -> Any | Mark:
            if old is None:
                return DELETE
            document = old if isinstance(old, dict) else {}
            return begin_anew(key, document, session_id, form=self.form, now_ms=self._now())

        return apply

    def restoration(self, key: str, archived: Archived) -> Apply:
        """Return the change that brings back what was *archived*."""

        def apply(old: Any | None) -> Document:
            # Restored already, by an earlier try that was killed before it dropped the archive.
            if isinstance(old, dict) and old.get("sessionId") == archived.session_id:
                return old
            return self._merge(key, archived.entry, archived.entry)

        return apply

    def replacement(
        self, change: StoreChange[A], touched: set[str]
    ) -> Callable[[dict[str, Any], Mapping[str, EntryCopy]], tuple[Mapping[str, Any], A]]:
        """Return the change of all entries that *change* means; it notes which it *touched*."""
        require_callable("change", change)

        def apply(
            old: dict[str, Any], before: Mapping[str, EntryCopy]
        ) -> tuple[Mapping[str, Any], A]:
            made = change(old)
            if not isinstance(made, tuple) or len(made) != _PAIR:
                problem = f"returned {type(made).__name__}, not the entries and an answer"
                raise InvalidError("change", problem, "return a pair of them")
            new, answer = made
            require_records(new)
            # The change may be applied again after a conflict; only its last application counts.
            touched.clear()
            records: dict[str, Any] = {}
            for key, each in new.items():
                was = before.get(key)
                if was is not None and was.is_same(each):
                    records[key] = each
                else:
                    document = was.value() if was is not None and was.is_session else None
                    records[key] = self._accept(key, document, each)
                    touched.add(key)
            touched.update(before.keys() - records.keys())
            return records, answer

        return apply

    def _accept(self, key: str, old: Document | None, new: Any) -> Document:
        if not isinstance(new, Mapping):
            problem = f"its entry is {type(new).__name__}, not an object"
            raise InvalidError(f"session {key!r}", problem, "give a mapping")
        # An entry that names no session gets an id here, as if it had been resolved.
        return self._merge(key, old or {"sessionId": str(uuid.uuid4())}, new)

    def _merge(self, key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
        return merge_entry(key, dict(old), new, form=self.form, now_ms=self._now())

    def _now(self) -> int:
        return to_ms(self.clock())
