"""`MatrixClient`: matrix-nio's client, on the storage of a state."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nio import (
    AsyncClient,
    AsyncClientConfig,
    Event,
    ForwardedRoomKeyEvent,
    MatrixRoom,
    MegolmEvent,
    MessageDirection,
    OlmEvent,
    RoomKeyEvent,
    RoomMemberEvent,
    RoomMessagesResponse,
    SyncResponse,
    ToDeviceEvent,
)

from clawstate.errors import UnavailableError
from clawstate.matrix.key_store import KeyStore
from clawstate.matrix.waiting import WaitingEvents

if TYPE_CHECKING:
    from clawstate.clock import Clock
    from clawstate.records.contract import Lease
    from clawstate.stores.dedupe import PersistentDedupe
    from clawstate.stores.matrix import BotStorage

Handler = Callable[[MatrixRoom, Any], Awaitable[object]]
"""A coroutine function that is given a room and an event in it."""

_PAGE = 100  # events that are fetched at once
_MOST_PAGES = 1_000
_HANDLED = "matrix"


class MatrixClient(AsyncClient):  # type: ignore[misc]
    """
    A client whose position and keys survive kills, by `open_client` or `log_in`.

    The position moves on once all event callbacks of a sync are over: what a kill interrupts is
    given to them again (see `once`). Of rooms in which more happened than a sync tells, the rest is
    fetched, so that no message is left out. Close it; it is the only client of its device.
    """

    def __init__(
        self,
        homeserver: str,
        user_id: str,
        device_id: str,
        *,
        store_path: str,
        config: AsyncClientConfig,
        storage: BotStorage,
        lease: Lease,
        clock: Clock,
    ) -> None:
        super().__init__(homeserver, user_id, device_id, store_path, config)
        self.next_batch: str = ""
        self._storage = storage
        self._lease = lease
        self._waiting = WaitingEvents(storage, clock=clock)
        self._is_broken = False

    def once(
        self,
        handler: Handler,
        kinds: type[Event] | tuple[type[Event], ...],
        dedupe: PersistentDedupe,
        *,
        namespace: str = _HANDLED,
    ) -> None:
        """
        Call *handler* for each event of *kinds*, and never again once it returned.

        A kill while it runs lets it be called again: answer with `reply`, of which the server takes
        one for each event. Events of this user are left out.
        """

        async def handle(room: MatrixRoom, event: Event) -> None:
            if event.sender == self.user_id:
                return
            if await asyncio.to_thread(dedupe.seen, event.event_id, namespace):
                return
            await handler(room, event)
            await asyncio.to_thread(dedupe.check_and_record, event.event_id, namespace)

        self.add_event_callback(handle, kinds)

    async def reply(
        self, room_id: str, content: dict[str, Any], *, to: Event, kind: str = "m.room.message"
    ) -> Any:
        """
        Send *content* as the one answer to the event *to*: repeated, the server takes the first.

        Raises `UnavailableError` if the server refuses.
        """
        digest = hashlib.sha256(to.event_id.encode()).hexdigest()[:32]
        answer = await self.room_send(
            room_id, kind, content, tx_id=f"clawstate-{digest}", ignore_unverified_devices=True
        )
        if not hasattr(answer, "event_id"):
            raise UnavailableError(self.homeserver, f"did not take an answer ({answer})")
        return answer

    async def sync_forever(self, *args: Any, full_state: bool | None = None, **kwargs: Any) -> None:
        """
        Sync until cancelled or stopped, as `AsyncClient` does.

        With a position from before, the first sync brings the members and settings of all rooms
        (*full_state*): they are not kept, and without them nothing could be encrypted for a room.
        """
        resumes = bool(self.loaded_sync_token) and not self.rooms
        whole = resumes if full_state is None else full_state
        await super().sync_forever(*args, full_state=whole, **kwargs)

    async def close(self) -> None:
        """Close the connections and the database, and let others be the client of the device."""
        try:
            await super().close()
        finally:
            if isinstance(self.store, KeyStore):
                self.store.close()
            await asyncio.to_thread(self._lease.release)

    # Below: steps of `AsyncClient` that are private to it, and are the only places where they can
    # be made whole.

    async def _handle_sync(self, response: SyncResponse) -> None:
        self._require_whole()
        before = self.next_batch
        try:
            await super()._handle_sync(response)
            await asyncio.to_thread(self._keep_position, response.next_batch)
        except BaseException:
            # What was not handled to its end is asked for again.
            self.next_batch = before
            raise
        if isinstance(self.store, KeyStore):
            self.store.forget_received()

    def _keep_position(self, token: str) -> None:
        self._lease.keep_alive()
        self._storage.set_sync_token(token)

    def _handle_decrypt_to_device(self, to_device_event: ToDeviceEvent) -> ToDeviceEvent | None:
        store = self.store
        if not isinstance(store, KeyStore) or not isinstance(to_device_event, OlmEvent):
            return super()._handle_decrypt_to_device(to_device_event)
        content = json.dumps(to_device_event.source, sort_keys=True)
        try:
            with store.transaction():
                if store.was_received(content):
                    return None
                found = super()._handle_decrypt_to_device(to_device_event)
                store.note_received(content)
                return found
        except BaseException:
            # The sessions in memory went on, and those on disk did not.
            self._is_broken = True
            raise

    async def _on_to_device(self, event: ToDeviceEvent) -> None:
        if isinstance(event, RoomKeyEvent | ForwardedRoomKeyEvent):
            self._waiting.note_key(event.session_id)
        await super()._on_to_device(event)

    async def _on_event(self, event: Event, room: MatrixRoom) -> None:
        if isinstance(event, MegolmEvent):
            await asyncio.to_thread(self._waiting.keep, event)
        await super()._on_event(event, room)

    async def _read_waiting(self) -> None:
        """Give the callbacks what waited for a key that has come."""
        olm = self.olm
        if olm is None:
            return
        for room_id, event_id, event in self._waiting.readable(olm._decrypt_megolm_no_error):  # noqa: SLF001
            if room_id in self.rooms:
                await self._on_event(event, self.rooms[room_id])
            await asyncio.to_thread(self._waiting.forget, event_id)

    async def _handle_joined_rooms(self, response: SyncResponse) -> None:
        since = self._since()
        for room_id, info in response.rooms.join.items():
            if since and info.timeline.limited:
                missed = await self._fetch_missed(room_id, info.timeline.prev_batch, since)
                info.timeline.events[:0] = missed
        await super()._handle_joined_rooms(response)
        await self._read_waiting()

    def _since(self) -> str:
        return self._storage.get_sync_token() or ""

    async def _fetch_missed(self, room_id: str, end: str, since: str) -> list[Event]:
        """Return what happened in a room between the position *since* and *end*, oldest first."""
        found: list[Event] = []
        start = end
        for _ in range(_MOST_PAGES):
            page = await self.room_messages(
                room_id, start, since, direction=MessageDirection.back, limit=_PAGE
            )
            if not isinstance(page, RoomMessagesResponse):
                raise UnavailableError(self.homeserver, f"did not give what was missed ({page})")
            for event in page.chunk:
                found.append(event)
                if self._is_own_joining(event):
                    return found[::-1]  # what was said before was not said to us
            if not page.chunk or not page.end or page.end == start:
                break
            start = page.end
        return found[::-1]

    def _is_own_joining(self, event: Event) -> bool:
        if not isinstance(event, RoomMemberEvent) or event.state_key != self.user_id:
            return False
        return bool(event.membership == "join" and event.prev_membership != "join")

    def _require_whole(self) -> None:
        if self._is_broken:
            problem = "could not be written, and is behind what is in memory"
            raise UnavailableError("the database of keys", problem, "open the client again")

    def share_anew(self) -> None:
        """Give the server the keys of the device again: a logout has made it forget them."""
        if self.olm is not None:
            self.olm.account.shared = False
            self.olm.save_account()

    def share_keys_durably(self) -> None:
        """Let one-time keys be on disk before they are given to the server."""
        olm = self.olm
        if olm is None:
            return
        share = olm.share_keys

        def share_kept() -> dict[str, Any]:
            made: dict[str, Any] = share()
            # A key that the server hands out, and that a kill took from us, is one with which
            # others send what can never be read.
            olm.save_account()
            return made

        with suppress(AttributeError):
            olm.share_keys = share_kept
