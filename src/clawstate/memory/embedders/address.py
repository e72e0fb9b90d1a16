"""`Address`: where a server for embeddings answers, as a `baseUrl` names it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from clawstate.errors import InvalidError

_VERSION = "/v1"
_RESOURCE = "/embeddings"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """An address of HTTP: `target` is what a request asks for there, path and query."""

    scheme: str
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        # Without the query: some servers take a key there.
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target.partition('?')[0]}"

    @property
    def is_tls(self) -> bool:
        """Whether it is asked over TLS."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def at(self, location: str) -> Address | None:
        """Return the address that *location* means, seen from here; None if it is elsewhere."""
        try:
            other = _parse(urljoin(f"{self.scheme}://{self._authority}{self.target}", location))
        except InvalidError:
            return None
        same = (other.scheme, other.host, other.port) == (self.scheme, self.host, self.port)
        return replace(self, target=other.target) if same else None

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(base_url: str) -> Address:
    """
    Return the address of the resource `embeddings` at *base_url*.

    Without a path, `/v1` is meant. Raises `InvalidError`, which does not repeat what was given: an
    address may hold a password.
    """
    base = _parse(base_url)
    path, mark, query = base.target.partition("?")
    path = path.rstrip("/") or _VERSION
    if not path.endswith(_RESOURCE):
        path += _RESOURCE
    return replace(base, target=f"{path}{mark}{query}")


def _parse(url: str) -> Address:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise _invalid("is no address")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # `from None`: what urllib says repeats the address.
        raise _invalid("is no address") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise _invalid("is no address of http or https")
    if parts.username is not None or parts.password is not None:
        raise _invalid("holds a user or a password", "give the key as apiKey")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], target)


def _invalid(problem: str, hint: str = "write one like https://api.openai.com/v1") -> InvalidError:
    return InvalidError("baseUrl", problem, hint)
