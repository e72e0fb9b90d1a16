"""`Announcer`: tells clients which tools, memories and sessions moved, by whatever process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import anyio
from anyio import from_thread, lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.subscriptions import ResourcesListChanged
from mcp_types import EmptyResult, NotificationParams, SubscribeRequestParams
from mcp_types import UnsubscribeRequestParams as UnsubscribeParams

from clawstate.mcp.calls import Calls, Context
from clawstate.mcp.places import memory_uri, session_uri, transcript_uri
from clawstate.mcp.tools import ToolHandlers
from clawstate.state import State
from clawstate.state.feed import Changes

INTERVAL: Final = 1.0
"""How often a server looks for what others changed, in seconds."""

_WAITING = 16  # looks whose changes wait to be told; more are told as one
_URIS = {"memory": memory_uri, "sessions": session_uri, "transcripts": transcript_uri}


class Announcer:
    """
    Follows the feed of a state and tells clients what moved.

    Those of 2026-07-28 ask for it by `subscriptions/listen`; the older ones are told of lists by
    themselves, and of the resources that they subscribed to.
    """

    def __init__(self, state: State, calls: Calls, tools: ToolHandlers) -> None:
        self._state = state
        self._calls = calls
        self._tools = tools
        self._bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self._bus)
        # By connection, so that one that is gone is forgotten with all that it asked for.
        self._older: WeakKeyDictionary[Connection, set[str]] = WeakKeyDictionary()

    @asynccontextmanager
    async def lifespan(self, _server: Server[Any]) -> AsyncIterator[None]:
        """Follow the feed while a server runs."""
        give, take = anyio.create_memory_object_stream[Changes](_WAITING)
        token = lowlevel.current_token()

        def pass_on(changes: Changes) -> None:
            # The server may be over by now, or so far behind that it will look at everything.
            with suppress(
                anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError, RuntimeError
            ):
                from_thread.run_sync(give.send_nowait, changes, token=token)

        subscription = await self._calls.run(
            lambda: self._state.subscribe(pass_on, interval=INTERVAL)
        )
        try:
            async with give, take, anyio.create_task_group() as tasks:
                tasks.start_soon(self._tell, take)
                yield
                self.listen.close()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(subscription.close)

    async def welcome(self, context: Context, _params: NotificationParams) -> None:
        """Note a client of an older protocol, which is told of lists without asking."""
        self._older.setdefault(_connection(context), set())

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Tell a client of an older protocol when the resource moves."""
        self._older.setdefault(_connection(context), set()).add(params.uri)
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeParams) -> EmptyResult:
        """Tell it no more."""
        self._older.setdefault(_connection(context), set()).discard(params.uri)
        return EmptyResult()

    async def _tell(self, changes: MemoryObjectReceiveStream[Changes]) -> None:
        async for each in changes:
            for event in await self._calls.run(partial(self._events, each)):
                await self._bus.publish(event)
                for connection, uris in list(self._older.items()):
                    await _notify(connection, event, uris)

    def _events(self, changes: Changes) -> list[ServerEvent]:
        return [*self._lists(changes), *_resources(changes)]

    def _lists(self, changes: Changes) -> Iterator[ServerEvent]:
        parts = {each.part for each in changes.items}
        if "config" in parts or not changes.complete:
            before = self._tools.names()
            self._state.plugins.refresh()
            if self._tools.names() != before:
                yield ToolsListChanged()
        if not changes.complete or parts & {"memory", "sessions"}:
            yield ResourcesListChanged()


def _resources(changes: Changes) -> Iterator[ServerEvent]:
    for each in changes.items:
        if each.part in _URIS:
            yield from (ResourceUpdated(_URIS[each.part](key)) for key in each.keys or ())


async def _notify(connection: Connection, event: ServerEvent, uris: set[str]) -> None:
    if isinstance(event, ToolsListChanged):
        await connection.send_tool_list_changed()
    elif isinstance(event, ResourcesListChanged):
        await connection.send_resource_list_changed()
    elif isinstance(event, ResourceUpdated) and event.uri in uris:
        await connection.send_resource_updated(event.uri)


def _connection(context: Context) -> Connection:
    # The SDK tells handlers of the request alone; what outlives it is known by its connection.
    return context.session._connection  # noqa: SLF001
