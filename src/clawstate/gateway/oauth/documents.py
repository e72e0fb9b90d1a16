"""Documents that clients publish about themselves, fetched from the public network alone."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from clawstate.gateway.oauth.errors import OAuthError

_PATIENCE: Final = 5.0  # seconds, altogether
_LONGEST: Final = 64 * 1024
_LONGEST_URL: Final = 1024
_BLOCK: Final = 4096


def is_document_url(client_id: str) -> bool:
    """Tell whether *client_id* is the address of a document, as MCP describes one."""
    if not client_id.startswith("https://") or len(client_id) > _LONGEST_URL:
        return False
    with suppress(ValueError):
        place = urlsplit(client_id)
        is_plain = client_id.isascii() and client_id.isprintable() and " " not in client_id
        steps = place.path.split("/")
        is_path = place.path not in {"", "/"} and not {".", ".."} & set(steps)
        whole = place.port is None or place.port > 0
        return bool(
            is_plain and place.hostname and is_path and whole and "#" not in client_id
        ) and (place.username is None)
    return False


def is_public(address: str) -> bool:
    """Tell whether *address* is of the public network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast


def fetch_document(
    url: str,
    *,
    allow: Callable[[str], bool] = is_public,
    context: ssl.SSLContext | None = None,
) -> Any:
    """
    Return the JSON at *url*; raises `OAuthError`.

    Anybody can name an address, so none is asked but what *allow* lets through, by default the
    public network: behind it are services that trust whoever is on this machine. Nothing is
    followed, and what is large or slow is given up.
    """
    place = urlsplit(url)
    until = time.monotonic() + _PATIENCE
    try:
        address = _public_address(place.hostname or "", place.port or 443, allow)
        connection = _Pinned(place.hostname or "", place.port or 443, address, context)
        # The limit of a socket is for each of its bytes: who sends one now and then keeps to it.
        alarm = threading.Timer(_PATIENCE, connection.cut)
        alarm.daemon = True
        alarm.start()
        try:
            target = place.path + (f"?{place.query}" if place.query else "")
            connection.request("GET", target, headers={"Accept": "application/json"})
            with connection.getresponse() as answer:
                text = _read(answer, until)
        finally:
            alarm.cancel()
            connection.close()
        if answer.status != http.client.OK:
            raise OAuthError("invalid_client", f"{url} answers {answer.status}, not 200")
        return json.loads(text)
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        problem = f"the document at {url} could not be read"
        raise OAuthError("invalid_client", problem) from error


def _public_address(host: str, port: int, allow: Callable[[str], bool]) -> str:
    found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    # All of them: a name that means both a public and a private address is a trick.
    if not found or not all(allow(each) for each in found):
        raise OAuthError("invalid_client", f"{host} is no address of the public network")
    return found[0]


def _read(answer: http.client.HTTPResponse, until: float) -> bytes:
    read = b""
    while block := answer.read1(_BLOCK):
        read += block
        if len(read) > _LONGEST or time.monotonic() > until:
            raise OAuthError("invalid_client", "the document is too large, or comes too slowly")
    return read


class _Pinned(http.client.HTTPSConnection):
    """A connection to the address that was looked at: asked again, the name could mean another."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None) -> None:
        self._tls = context or ssl.create_default_context()
        super().__init__(host, port, timeout=_PATIENCE, context=self._tls)
        self._address = address
        self._reached: socket.socket | None = None

    def connect(self) -> None:
        """Connect to that address, and have the certificate name the host."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self._reached = self.sock = plain
        self._reached = self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)

    def cut(self) -> None:
        """End what is going on, from another thread."""
        with suppress(OSError):
            # Not `sock`: an answer that ends with its connection has taken that over.
            if self._reached is not None:
                self._reached.shutdown(socket.SHUT_RDWR)
