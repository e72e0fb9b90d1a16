"""`serve_stdio`: the server on standard input and output, until either is over."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from mcp_types import (
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)

from clawstate.mcp.malformed import refuse_malformed
from clawstate.mcp.server import NOTIFIED

_LOGGER = logging.getLogger("clawstate.mcp")
_LONGEST: Final = 64 << 20  # bytes of one message
_BLOCK: Final = 1 << 16
# What a pipe takes at once when it is writable: more could block, and nothing else would run.
_PIPE_BUF: Final = 4096
_ENDLESS: Final = "subscriptions/listen"
_CANCELLED: Final = "notifications/cancelled"


def serve_stdio(server: Server[Any]) -> bool:
    """
    Serve *server* on the standard streams until the input ends; True if SIGINT ended it.

    Only messages of the protocol reach the standard output: what anything else prints there goes
    to standard error. SIGTERM and SIGINT end it once the calls that run are over; the second one
    ends the process at once.
    """
    return anyio.run(_serve, server)


async def _serve(server: Server[Any]) -> bool:
    wire = _Wire(*_take_streams())
    caught: list[int] = []

    async def end_by_signal(
        scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                caught.append(number)
                break
        scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(end_by_signal, tasks.cancel_scope)
            incoming, outgoing = await tasks.start(wire.run)
            await server.run(incoming, outgoing, server.create_initialization_options(NOTIFIED))
            tasks.cancel_scope.cancel()
    except* (BrokenPipeError, ConnectionResetError):
        _LOGGER.info("the client closed its end")
    return signal.SIGINT in caught


def _take_streams() -> tuple[int, int]:
    """Return the standard streams as descriptors of our own, and leave harmless ones behind."""
    # Whatever prints, reads or starts a process from here on cannot reach the wire.
    sys.stdout.flush()
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return reading, writing


class _Wire:
    """Messages, one a line, on two descriptors that nothing else uses."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._unanswered: set[str | int] = set()
        self._all_answered = anyio.Event()
        self._lock = anyio.Lock()

    async def run(
        self,
        *,
        task_status: TaskStatus[
            tuple[
                MemoryObjectReceiveStream[SessionMessage | Exception],
                MemoryObjectSendStream[SessionMessage],
            ]
        ],
    ) -> None:
        """Carry messages between the descriptors and two streams, which are told by the status."""
        give, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, take = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write_all, take)
            task_status.started((incoming, outgoing))
            async with give:
                try:
                    async for line in self._lines():
                        await self._accept(line, give)
                except anyio.BrokenResourceError:
                    return  # the server is over
                # A client may close its end as soon as it has asked; it still wants the answers.
                if self._unanswered:
                    await self._all_answered.wait()

    async def _accept(
        self, line: bytes, give: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            await self._write(refuse_malformed(line))
            return
        if isinstance(message, JSONRPCRequest) and message.method != _ENDLESS:
            self._unanswered.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == _CANCELLED:
            self._forget_request((message.params or {}).get("requestId"))  # it may get no answer
        await give.send(SessionMessage(message))

    async def _write_all(self, messages: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with messages:
            async for each in messages:
                await self._write(each.message)

    async def _write(self, message: Any) -> None:
        # An error without an id has to say so, which is what tells it from a notification.
        unset = not (isinstance(message, JSONRPCError) and message.id is None)
        text = message.model_dump_json(by_alias=True, exclude_unset=unset)
        left = memoryview(text.encode() + b"\n")
        async with self._lock:
            while left:
                await _when_writable(self._writing)
                left = left[os.write(self._writing, left[:_PIPE_BUF]) :]
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._forget_request(message.id)

    def _forget_request(self, request_id: Any) -> None:
        self._unanswered.discard(request_id)
        if not self._unanswered:
            self._all_answered.set()
            self._all_answered = anyio.Event()

    async def _lines(self) -> AsyncIterator[bytes]:
        """Give the lines of the input that hold anything, until it ends."""
        kept = bytearray()
        while True:
            await _when_readable(self._reading)
            try:
                block = os.read(self._reading, _BLOCK)
            except ConnectionResetError:  # a socket whose other end is gone
                break
            if not block:
                break
            kept += block
            if b"\n" in block:
                *lines, rest = kept.split(b"\n")
                kept = bytearray(rest)
                for line in lines:
                    if line.strip():
                        yield bytes(line)
            elif len(kept) > _LONGEST:
                _LOGGER.error("a message has more than %d bytes; the server ends", _LONGEST)
                return
        if kept.strip():
            yield bytes(kept)


async def _when_readable(descriptor: int) -> None:
    try:
        await anyio.wait_readable(descriptor)
    except PermissionError:  # a file, which never blocks, and which epoll therefore refuses
        await anyio.lowlevel.checkpoint()


async def _when_writable(descriptor: int) -> None:
    try:
        await anyio.wait_writable(descriptor)
    except PermissionError:
        await anyio.lowlevel.checkpoint()
