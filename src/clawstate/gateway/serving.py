"""`serve`: one gateway from its first socket to its clean end."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import uvicorn

from clawstate.errors import ConfigError, UnavailableError
from clawstate.gateway.address import Address
from clawstate.gateway.app import create_app
from clawstate.gateway.connection import Connection
from clawstate.gateway.holders import describe_holder, free_port
from clawstate.gateway.instance import Instance
from clawstate.gateway.jobs import Jobs
from clawstate.gateway.journal import Journal, ServerLog
from clawstate.gateway.links import join_ticket
from clawstate.gateway.tickets import Tickets
from clawstate.gateway.tokens import owner_token, token_path
from clawstate.gateway.web_socket import WebSocketConnection
from clawstate.state import State

Ready = Callable[[str, str], object]
"""Is told the address, and the link that lets its first reader in."""

_BACKLOG = 1024
_MOST_FILES = 16_384
_GRACE = 3  # seconds that open requests have at the end
_KEEP_ALIVE = 30
_LONGEST_HEAD = 64 * 1024
_LONGEST_MESSAGE = 1 << 20
_LOOPBACK: Final = ("127.0.0.1", "::1")


def serve(
    state: State,
    address: Address,
    journal: Journal,
    *,
    ready: Ready,
    reopen: Callable[[], State],
) -> None:
    """
    Serve *state* at *address* until a signal comes, and tell *ready* when it can be asked.

    When its records were moved to another engine, what *reopen* gives is served in its place, on
    the same sockets. Raises `UnavailableError` that says who has the port, or which gateway serves
    this state.
    """
    instance = Instance(state.paths)
    instance.claim()
    log, handler = logging.getLogger("uvicorn"), ServerLog(journal)
    log.addHandler(handler)
    log.propagate = False
    sockets: list[socket.socket] = []
    try:
        sockets, address = _listen(address)
        _allow_many_sockets()
        _require_certificate(address)
        token = owner_token(token_path(state.paths))
        jobs, tickets = Jobs(state.clock, journal.note_defect), Tickets(state.clock)

        def tell() -> None:
            instance.tell(address.url)
            ready(address.url, join_ticket(address.url, tickets.issue()))

        while True:
            app = create_app(state, address, token, journal, jobs=jobs, tickets=tickets)
            server = _Server(_settings(app, address), tell)
            # The server closes those that it is given; who comes meanwhile waits in the queue.
            asyncio.run(server.serve(sockets=[each.dup() for each in sockets]))
            if not server.has_moved:
                break
            state.close()
            state, tell = reopen(), lambda: None  # where it listens is known
        jobs.close()
    finally:
        for each in sockets:
            each.close()
        log.removeHandler(handler)
        instance.release()


def _allow_many_sockets() -> None:
    """Let this process have as many files open as it may: each listener is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Server(uvicorn.Server):
    """
    A server that tells when it listens, and ends its process in peace.

    *has_moved* tells that it ended since the state has to be opened anew.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready
        self.has_moved = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell."""
        await super().startup(sockets)
        if self.started:
            self.config.app.state.backup_runs.start()  # type: ignore[union-attr]
            self.config.app.state.move_watch.start(self._leave)  # type: ignore[union-attr]
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let those go who only listen, then wait for what is being answered."""
        app = self.config.app
        await app.state.backup_runs.stop()  # type: ignore[union-attr]
        await app.state.move_watch.stop()  # type: ignore[union-attr]
        app.state.hub.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)
        await app.state.mcp.close()  # type: ignore[union-attr]

    def _leave(self) -> None:
        self.has_moved = self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as the wish to end."""
        with super().capture_signals():
            yield
            # It would raise them again at the end: a gateway that was asked to stop did not fail.
            self._captured_signals.clear()


def _settings(app: Any, address: Address) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Forwarding headers come from anybody; behind a proxy all share its address.
        proxy_headers=False,
        http=Connection,
        ws=WebSocketConnection,
        ws_max_size=_LONGEST_MESSAGE,
        # A window of its own for each of a thousand sockets would fill the memory.
        ws_per_message_deflate=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        ssl_certfile=address.certificate,
        ssl_keyfile=None if address.key is None else str(address.key),
    )


def _require_certificate(address: Address) -> None:
    """Raise `ConfigError` unless the files for TLS, if there are to be any, can be used."""
    if address.certificate is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(address.certificate, address.key)
    except (OSError, ValueError) as error:  # an `SSLError` is one
        files = f"{address.certificate} and {address.key}"
        problem = f"{files} cannot be used ({getattr(error, 'reason', None) or error})"
        hint = "name a certificate and its key, both PEM, in certPath and keyPath"
        raise ConfigError("gateway.tls", problem, hint) from error


def _listen(address: Address) -> tuple[list[socket.socket], Address]:
    """
    Return sockets that listen at *address*, and that address with the port that they got.

    The name `localhost` means both loopbacks.
    """
    hosts = _LOOPBACK if address.host == "localhost" else (address.host,)
    found: list[socket.socket] = []
    try:
        for host in hosts:
            try:
                found.append(_bind(host, address))
            except _NotHereError:
                if not found:  # where there is no IPv6, the other loopback is enough
                    raise
            address = replace(address, port=found[0].getsockname()[1])
    except BaseException:
        for each in found:
            each.close()
        raise
    return found, address


class _NotHereError(UnavailableError):
    """This machine has no such address."""


def _bind(host: str, address: Address) -> socket.socket:
    try:
        infos = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = infos[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        hint = "name another one in gateway.host"
        raise _NotHereError(
            host, f"is no address of this machine ({error.strerror})", hint
        ) from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(place)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        if error.errno != errno.EADDRINUSE:
            kind_of = _NotHereError if error.errno == errno.EADDRNOTAVAIL else UnavailableError
            raise kind_of(f"{host}:{address.port}", f"cannot be used ({error.strerror})") from error
        holder = describe_holder(address.port)
        hint = f"run 'clawstate gateway run --port {free_port(address.port + 1)}'"
        raise UnavailableError(f"port {address.port}", f"is held by {holder}", hint) from error
    return made
