"""`Inbox`: captured texts that wait for a person, apart from all that is searched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final

from clawstate.clock import Clock, from_ms, to_ms
from clawstate.errors import NotFoundError, StateError
from clawstate.memory.capture.values import InboxItem, Provenance
from clawstate.paging import Listing, Page
from clawstate.records.contract import DELETE, Collection, CollectionSpec, Json
from clawstate.records.layouts import MapLayout
from clawstate.records.listing import latest

INBOX: Final = CollectionSpec(
    "memory-inbox", PurePosixPath("memory/inbox.json"), MapLayout("items", version=1), order="atMs"
)
"""`{version: 1, items: {<id>: {text, reason, ..., atMs} or {rejected: true, atMs}}}`."""

MOST_WAITING: Final = 1_000
"""Items that wait at once. More are not taken: what floods it must not push out what waits."""

_MOST_REJECTED = 10_000
_LISTING = Listing("inbox")


class Inbox:
    """
    The items in *collection*, and the ids of those that a person rejected. Safe for threads.

    *clear* leaves no byte of what was deleted from it, and tells whether that was done.
    """

    def __init__(
        self, collection: Collection, *, clock: Clock, clear: Callable[[], bool] = lambda: True
    ) -> None:
        self._collection = collection
        self._clock = clock
        self._clear = clear
        self._is_cleared = True

    def clear(self) -> bool:
        """Leave no byte of items that are gone; tell whether that was done."""
        # What another process could not clear left a mark, or items beside it.
        with suppress(StateError):
            if not self._is_cleared or self._collection.count():
                self._is_cleared = self._clear()
            return self._is_cleared
        return False

    def _clear_now(self) -> None:
        self._is_cleared = False
        self.clear()

    def put(self, items: Iterable[InboxItem]) -> tuple[set[str], bool]:
        """
        Keep *items*, but such as wait already or were rejected, in one step.

        Returns the ids that were kept, and whether there was room for all.
        """
        given = {each.id: each for each in items}
        if not given:
            return set(), True

        def change(found: dict[str, Json]) -> tuple[dict[str, Json], tuple[set[str], bool]]:
            waiting = sum("text" in each for each in found.values() if isinstance(each, dict))
            new = [each for each in given.values() if each.id not in found]
            kept = new[: max(0, MOST_WAITING - waiting)]
            added = {each.id: _document(each) for each in kept}
            return {**found, **added}, ({each.id for each in kept}, len(kept) == len(new))

        return self._collection.change_all(change)

    def page(self, limit: int, after: str | None) -> Page[InboxItem]:
        """Return a page of items, the newest first; raises `InvalidError` for a bad *after*."""
        position = _LISTING.require_page(limit, after)
        # The marks of what was rejected stand in between, and are no items.
        items = (
            (at, item)
            for at, each in latest(self._collection, position, first=limit + 1)
            if (item := _item(each.key, each.value)) is not None
        )
        return _LISTING.page(items, limit)

    def require(self, item_id: str) -> InboxItem:
        """Return the item; raises `NotFoundError` where none waits."""
        found = self._collection.get(item_id)
        item = None if found is None else _item(item_id, found.value)
        if item is None:
            raise NotFoundError("item", item_id, "'clawstate memory inbox' shows what waits")
        return item

    def remove(self, item_id: str) -> None:
        """Let the item be gone, as one that a record was made of."""
        self._collection.update(item_id, lambda _: DELETE)
        self._clear_now()

    def reject(self, item_ids: Iterable[str]) -> int:
        """Forget the texts of items and never take them again; return how many waited."""
        named = list(dict.fromkeys(item_ids))
        at = to_ms(self._clock())

        def change(found: dict[str, Json]) -> tuple[dict[str, Json], int]:
            gone = [each for each in named if _item(each, found.get(each)) is not None]
            marks: dict[str, Json] = {each: {"rejected": True, "atMs": at} for each in gone}
            after = {**found, **marks}
            rejected = [key for key, value in after.items() if _item(key, value) is None]
            # In the order in which they came: the oldest marks go.
            for key in rejected[: max(0, len(rejected) - _MOST_REJECTED)]:
                del after[key]
            return after, len(gone)

        if count := self._collection.change_all(change):
            self._clear_now()
        return count

    def were_rejected(self, item_ids: Iterable[str]) -> set[str]:
        """Return those ids that a person rejected."""
        found = {each: self._collection.get(each) for each in item_ids}
        return {
            key
            for key, each in found.items()
            if each is not None and isinstance(each.value, dict) and each.value.get("rejected")
        }


def _document(item: InboxItem) -> Json:
    told = item.provenance
    return {
        "text": item.text,
        "reason": item.reason,
        "category": item.category,
        "importance": item.importance,
        "namespace": item.namespace,
        "who": told.who,
        "session": told.session,
        "message": told.message,
        "origin": told.origin,
        "atMs": to_ms(item.created_at),
    }


def _item(item_id: str, value: Json) -> InboxItem | None:
    """Return what *value* tells of an item; None for one that was rejected, or that is none."""
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        return None
    texts = {
        name: found if isinstance(found := value.get(name), str) else ""
        for name in ("text", "reason", "category", "namespace", "who", "session", "message")
    }
    importance, at = value.get("importance"), value.get("atMs")
    origin = value.get("origin")
    return InboxItem(
        item_id,
        texts["text"],
        texts["reason"],
        texts["category"] or "other",
        float(importance) if isinstance(importance, int | float) else 0.7,
        texts["namespace"] or "default",
        Provenance(
            texts["who"],
            texts["session"],
            texts["message"],
            origin if origin in ("owner", "agent") else "untrusted",
        ),
        from_ms(at) if isinstance(at, int | float) else 0.0,
    )
