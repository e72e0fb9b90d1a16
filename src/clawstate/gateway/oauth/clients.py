"""`Clients`: who asks for tokens, by an id that says it, or by a document that they publish."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from clawstate.gateway.oauth.documents import fetch_document, is_document_url
from clawstate.gateway.oauth.errors import OAuthError
from clawstate.interrupts import Mutex

_PREFIX: Final = "c1"
_MOST_URIS = 8
_LONGEST_URI = 512
_LONGEST_ID = 4096
_LONGEST_NAME = 100
_KEPT = 600.0  # seconds for which a document is not fetched again
_MOST_KEPT = 64
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# A browser would run or show these itself, instead of handing them to a program.
_UNSAFE = frozenset({"javascript", "data", "vbscript", "blob", "file", "about", "view-source"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

Fetch = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Client:
    """A program that asks: its id, what it calls itself, and where its answers may go."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]

    def require_redirect(self, wanted: str | None) -> str:
        """Return where the answer goes; raises `OAuthError` for what was not registered."""
        if wanted is None and len(self.redirect_uris) == 1:
            return self.redirect_uris[0]
        if wanted is None or not any(_is_same(wanted, each) for each in self.redirect_uris):
            problem = "redirect_uri is none of those that the client registered"
            raise OAuthError("invalid_request", problem)
        return wanted


class Clients:
    """
    Knows the clients that registered, and those that publish a document about themselves.

    Nothing of them is kept: an id that was given out holds what was registered, sealed with a key
    made from *secret*. So whoever registers without end fills nothing.
    """

    def __init__(
        self, secret: str, *, clock: Callable[[], float], fetch: Fetch = fetch_document
    ) -> None:
        self._key = hashlib.sha256(f"clawstate oauth clients|{secret}".encode()).digest()
        self._clock = clock
        self._fetch = fetch
        self._mutex = Mutex()
        self._documents: OrderedDict[str, tuple[float, Client]] = OrderedDict()

    def register(self, wish: Any) -> dict[str, Any]:
        """Return the answer to a registration (RFC 7591); raises `OAuthError`."""
        found = client_of("", wish, kind="invalid_client_metadata")
        told = {"n": found.name, "r": found.redirect_uris, "t": int(self._clock())}
        text = _encode(json.dumps(told, separators=(",", ":")).encode())
        client_id = f"{_PREFIX}.{text}.{self._seal(text)}"
        if len(client_id) > _LONGEST_ID:
            raise OAuthError("invalid_client_metadata", "names or addresses are too long")
        return {
            "client_id": client_id,
            "client_id_issued_at": told["t"],
            "client_name": found.name,
            "redirect_uris": list(found.redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            # Whatever it asked for: a secret that each copy of a program has protects nothing.
            "token_endpoint_auth_method": "none",
        }

    def require(self, client_id: str | None) -> Client:
        """Return the client of that id; raises `OAuthError`."""
        if client_id is not None and len(client_id) <= _LONGEST_ID:
            if is_document_url(client_id):
                return self._fetch_client(client_id)
            prefix, _, rest = client_id.partition(".")
            text, _, seal = rest.partition(".")
            is_ours = seal.isascii() and hmac.compare_digest(self._seal(text), seal)
            if prefix == _PREFIX and is_ours:
                told = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
                return Client(client_id, told["n"], tuple(told["r"]))
        raise OAuthError("invalid_client", "this client is not registered here; let it register")

    def _fetch_client(self, url: str) -> Client:
        now = self._clock()
        with self._mutex:
            known = self._documents.get(url)
        if known is not None and 0 <= now - known[0] < _KEPT:
            return known[1]
        document = self._fetch(url)
        if not isinstance(document, dict) or document.get("client_id") != url:
            raise OAuthError("invalid_client", f"what {url} gives is no document about that client")
        found = client_of(url, document, kind="invalid_client")
        with self._mutex:
            self._documents[url] = now, found
            while len(self._documents) > _MOST_KEPT:
                self._documents.popitem(last=False)
        return found

    def _seal(self, text: str) -> str:
        return _encode(hmac.digest(self._key, text.encode(), "sha256"))


def client_of(client_id: str, told: Any, *, kind: str) -> Client:
    """Return the client that *told* describes (RFC 7591); raises `OAuthError` of that *kind*."""
    if not isinstance(told, dict):
        raise OAuthError(kind, "the description of a client is an object")
    uris, name = told.get("redirect_uris"), told.get("client_name", "")
    if not isinstance(uris, list) or not 0 < len(uris) <= _MOST_URIS:
        raise OAuthError("invalid_redirect_uri", f"redirect_uris is a list of 1 to {_MOST_URIS}")
    for each in uris:
        _require_redirect(each)
    if not isinstance(name, str):
        raise OAuthError(kind, "client_name is text")
    _require_grants(told, kind)
    shown = "".join(each for each in name if each.isprintable()).strip()[:_LONGEST_NAME]
    return Client(client_id, shown, tuple(uris))


def place_of(redirect_uri: str) -> str:
    """Return what people read of *redirect_uri*: the host, or the scheme of a program's own."""
    place = urlsplit(redirect_uri)
    is_web = place.scheme in {"http", "https"}
    return place.hostname or redirect_uri if is_web else f"{place.scheme}:"


def _require_grants(told: dict[str, Any], kind: str) -> None:
    for name, needed in (("grant_types", "authorization_code"), ("response_types", "code")):
        given = told.get(name)
        if given is not None and (not isinstance(given, Iterable) or needed not in given):
            raise OAuthError(kind, f"{name} has to hold {needed!r}: nothing else is offered")


def _require_redirect(uri: Any) -> None:
    problem = "is no https address, none of this machine, and none of a program's own scheme"
    found = None
    if isinstance(uri, str) and len(uri) <= _LONGEST_URI and uri.isascii() and uri.isprintable():
        with suppress(ValueError):
            found = urlsplit(uri)
    if found is None or found.fragment or " " in uri or not _SCHEME.fullmatch(found.scheme):
        raise OAuthError("invalid_redirect_uri", f"a redirect_uri {problem}")
    is_plain = found.scheme == "http" and found.hostname not in _LOOPBACK
    is_nowhere = found.scheme in {"http", "https"} and not found.hostname
    if found.scheme in _UNSAFE or is_plain or is_nowhere or found.username is not None:
        raise OAuthError("invalid_redirect_uri", f"{found.scheme}: {problem}")


def _is_same(wanted: str, known: str) -> bool:
    """Tell whether *wanted* is *known*; a program on a loopback may listen at any port."""
    if wanted == known:
        return True
    with suppress(ValueError):
        one, other = urlsplit(wanted), urlsplit(known)
        # RFC 8252, section 7.3: the port is what was free when the program began to listen.
        if one.scheme == other.scheme == "http" and _is_loopback(one.hostname):
            _ = one.port
            return (
                one._replace(netloc="") == other._replace(netloc="")
                and one.hostname == other.hostname
                and one.username is None
            )
    return False


def _is_loopback(name: str | None) -> bool:
    if name == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(name or "").is_loopback
    return False


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
