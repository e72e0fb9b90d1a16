"""`Connection`: one of HTTP whose every step ends at a deadline, through a proxy if one is set."""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from clawstate.memory.embedders.address import Address

Remaining = Callable[[], float]
"""Returns how many seconds there are left; raises `TimeoutError` when there are none."""

_LINE = 1024  # of what a proxy says that refuses
_OK = 200


class RefusedError(OSError):
    """What is asked for is not done, and asking again would change nothing; *hint* says why."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class Connection(http.client.HTTPConnection):
    """
    A connection to *address*; *remaining* bounds all that it does, and may be set anew.

    Plain HTTP is spoken with this machine and its private network alone, unless *allow_plain*.
    """

    sock: Any

    def __init__(
        self,
        address: Address,
        remaining: Remaining,
        *,
        allow_plain: bool,
        context: Callable[[], ssl.SSLContext],
    ) -> None:
        super().__init__(address.host, address.port)
        self.default_port = 443 if address.is_tls else 80  # or `Host` would name the usual port
        self.remaining = remaining
        self.is_idle = False
        """Whether it waits for the next request."""
        self._address = address
        self._allow_plain = allow_plain
        self._tls = context

    def connect(self) -> None:
        """Open it; raises `OSError`, and `RefusedError` for what may not be."""
        proxy = proxy_for(self._address)
        if proxy is None:
            near = not (self._address.is_tls or self._allow_plain)
            opened = _open(self.host, self.port, self.remaining, only_near=near)
        else:
            opened = _open(proxy.hostname or "", proxy.port or 80, self.remaining)
        try:
            if proxy is not None:
                _ask_proxy(opened, proxy, self.host, self.port, self.remaining)
            if self._address.is_tls:
                opened.settimeout(self.remaining())
                opened = self._tls().wrap_socket(opened, server_hostname=self.host)
        except BaseException:
            opened.close()
            raise
        self.sock = _Wire(opened, lambda: self.remaining())  # noqa: PLW0108 - set anew for a request

    def abort(self) -> None:
        """Wake whoever reads from it or writes to it, in any thread, with an error."""
        wire = self.sock
        if wire is not None:
            wire.abort()


class _Wire:
    """What `http.client` needs of a socket, each step within what is *remaining*."""

    def __init__(self, wrapped: socket.socket, remaining: Remaining) -> None:
        self._socket = wrapped
        self._remaining = remaining

    def sendall(self, data: Any) -> None:
        self._socket.settimeout(self._remaining())
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode  # it is only read from
        return io.BufferedReader(_Reader(self._socket, self._remaining))

    def abort(self) -> None:
        with suppress(OSError, ValueError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()


class _Reader(io.RawIOBase):
    # `socket.makefile` waits as long for each piece as for the first: a server that sends one byte
    # a second would never be given up.
    def __init__(self, wrapped: socket.socket, remaining: Remaining) -> None:
        super().__init__()
        self._socket = wrapped
        self._remaining = remaining

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._remaining())
        return self._socket.recv_into(buffer)


def proxy_for(address: Address) -> SplitResult | None:
    """
    Return the proxy that the environment has for *address*; None to go there directly.

    Plain HTTP goes to near machines, which no proxy has to reach, and the key would lie open to it.
    """
    if not address.is_tls or address.is_loopback or proxy_bypass(address.host):
        return None
    proxies = getproxies()
    url = proxies.get("https") or proxies.get("all")
    if not url:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usable = parts.scheme == "http" and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if not usable:
        # Its text is not shown: it may hold a password.
        raise RefusedError("cannot use the proxy of HTTPS_PROXY", "write one like http://host:3128")
    return parts


def _ask_proxy(
    opened: socket.socket, proxy: SplitResult, host: str, port: int, remaining: Remaining
) -> None:
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {name} HTTP/1.1", f"Host: {name}"]
    if proxy.username is not None:
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {b64encode(pair.encode()).decode()}")
    wire: Any = _Wire(opened, remaining)
    wire.sendall("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
    response = http.client.HTTPResponse(wire, method="CONNECT")
    try:
        response.begin()
        if response.status != _OK:
            raise OSError(f"the proxy answers {response.status}")
    finally:
        response.close()


def _open(host: str, port: int, remaining: Remaining, *, only_near: bool = False) -> socket.socket:
    """Return a socket that is connected to *host*; *only_near* refuses addresses of the world."""
    found = _resolve(host, port, remaining)
    if only_near and not all(_is_near(place[0]) for *_, place in found):
        problem = "is not asked over plain HTTP, which would show the key and the texts"
        raise RefusedError(problem, "write https://, or set allowPlainHttp")
    failed: OSError = OSError("has no address")
    for family, kind, protocol, _, place in found:
        try:
            opened = socket.socket(family, kind, protocol)
        except OSError as error:
            failed = error
            continue
        try:
            opened.settimeout(remaining())
            opened.connect(place)
            # A request is one piece; waiting for more to send with it only delays it.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            opened.close()
            failed = error
        except BaseException:
            opened.close()
            raise
        else:
            return opened
    raise failed


def _resolve(host: str, port: int, remaining: Remaining) -> list[Any]:
    """Return the addresses of *host*; the system's resolver knows no deadline, so not from here."""
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answer.append(error)

    try:
        ipaddress.ip_address(host)
    except ValueError:
        asking = threading.Thread(target=ask, name="clawstate-resolve", daemon=True)
        asking.start()
        asking.join(remaining())
    else:
        ask()
    if not answer:
        raise TimeoutError
    (found,) = answer
    if isinstance(found, OSError):
        raise found
    return list(found)


def _is_near(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return not (mapped or found).is_global
