"""`ClientTokens`: what a client of MCP holds once its owner let it in (OAuth 2.1; decision 062)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from clawstate.clock import Clock, system_clock, to_ms
from clawstate.errors import ConflictError, NotFoundError
from clawstate.records.contract import DELETE, Collection, Json, Mark
from clawstate.stores.devices import changes
from clawstate.stores.devices.device import Device, device_of, digest_of, new_token

CLIENT: Final = "mcp"
"""The role of a token that is good at `/mcp` alone."""

REFRESH: Final = "mcp-refresh"
"""The role of the token that brings the next one; it allows nothing itself."""

ACCESS_LIFETIME: Final = 3600.0
"""Seconds for which a client may ask before it has to refresh its token."""

REFRESH_LIFETIME: Final = 90 * 86_400.0
"""Seconds after which a client that was away has to ask its owner again."""

_GRACE = 60.0  # seconds in which an answer that was lost may be asked for again
_KIND = "refresh token"


@dataclass(frozen=True, slots=True)
class ClientToken:
    """A token of a client and the one that refreshes it, both shown this once."""

    device_id: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    scopes: tuple[str, ...]
    lifetime: float = ACCESS_LIFETIME


class ClientTokens:
    """
    Gives clients their tokens, which are kept with the *devices* that the clients are.

    So whoever revokes the device ends them all, and both tokens change in one step. A refresh
    token that comes a second time was copied: then the client is let in no more, unless the
    answer of before was lost.
    """

    def __init__(self, devices: Collection, *, clock: Clock = system_clock) -> None:
        self._devices = devices
        self._clock = clock

    def issue(self, device_id: str, *, request: str, client_id: str, resource: str) -> ClientToken:
        """
        Give the device that the mark *request* let in its tokens, in the place of all others.

        Raises `NotFoundError` if that request did not let it in, `ConflictError` after the first
        time.
        """
        now = self._clock()
        made = new_token(), new_token()
        scopes: list[str] = []

        def change(before: Json | None) -> Json:
            device = None if before is None else device_of(before)
            if device is None or device.revoked_at is not None or not isinstance(before, Mapping):
                raise NotFoundError("approval of device", device_id)
            if changes.COLLECTED in before:
                raise ConflictError("token of device", device_id, _AGAIN)
            changes.require_collectable(before, request, signed_at_ms=to_ms(now))
            scopes[:] = device.scopes
            about = {"client": client_id, "resource": resource}
            return {
                **before,
                changes.COLLECTED: to_ms(now),
                "tokens": _tokens(made, device.scopes, about, now=now),
            }

        self._devices.update(device_id, change)
        return ClientToken(device_id, *made, tuple(scopes))

    def refresh(self, token: str, *, client_id: str, resource: str | None = None) -> ClientToken:
        """
        Give the client new tokens for its refresh *token*, which is good no more.

        Raises `NotFoundError` for one that is unknown, over, of another client or for another
        resource, and for one that was used before; that one ends what the client may do.
        """
        digest, now = digest_of(token), self._clock()
        device_id = self._holder(digest)
        if device_id is None:
            raise NotFoundError(_KIND, _shorten(token), _AGAIN)
        made = new_token(), new_token()
        found: list[Device] = []

        def change(before: Json | None) -> Json | Mark:
            found.clear()
            device = None if before is None else device_of(before)
            if device is None or device.revoked_at is not None or not isinstance(before, Mapping):
                return DELETE if before is None else before
            held = _refresh_of(before)
            is_mine = held.get("client") == client_id and resource in {None, held.get("resource")}
            if not is_mine or not device.tokens[REFRESH].is_good(now):
                return before
            if held.get("hash") != digest and not _may_repeat(device, now=now):
                return changes.revoke(before, None, now=now)
            found.append(device)
            about = {name: held[name] for name in ("client", "resource")}
            scopes = device.tokens[CLIENT].scopes
            renewed = _tokens(made, scopes, about, now=now, previous=digest)
            return {**before, "tokens": renewed}

        self._devices.update(device_id, change)
        if not found:
            raise NotFoundError(_KIND, _shorten(token), _AGAIN)
        return ClientToken(device_id, *made, found[0].tokens[CLIENT].scopes)

    def revoke(self, token: str, *, client_id: str) -> bool:
        """Let the client that has *token*, of either role, in no more; False if it has none."""
        digest, now = digest_of(token), self._clock()
        device_id = self._holder(digest)
        done: list[bool] = []

        def change(before: Json | None) -> Json | Mark:
            done[:] = [_refresh_of(before).get("client") == client_id]
            if before is None or not done[0]:
                return DELETE if before is None else before
            return changes.revoke(before, None, now=now)

        if device_id is not None:
            self._devices.update(device_id, change)
        return done == [True]

    def _holder(self, digest: str) -> str | None:
        """Return the id of the client that has, or had just before, the token of *digest*."""
        for each in self._devices.scan():
            tokens = each.value.get("tokens") if isinstance(each.value, Mapping) else None
            for role in (CLIENT, REFRESH):
                held = tokens.get(role) if isinstance(tokens, Mapping) else None
                known = held if isinstance(held, Mapping) else {}
                digests = [str(known.get(name, "")) for name in ("hash", "previousHash")]
                if any(hmac.compare_digest(one, digest) for one in digests if one.isascii()):
                    return each.key
        return None


_AGAIN = "let the client ask its owner again"


def _tokens(
    made: tuple[str, str],
    scopes: tuple[str, ...],
    about: Mapping[str, Any],
    *,
    now: float,
    previous: str | None = None,
) -> dict[str, Any]:
    access, refresh = (digest_of(each) for each in made)
    renewing = {
        **changes.token(refresh, (), now=now, expires_at=now + REFRESH_LIFETIME),
        **about,
    }
    if previous is not None:
        renewing |= {"previousHash": previous, "lastUsedAtMs": to_ms(now)}
    # The client's own first: a device is described by its first token.
    return {
        CLIENT: changes.token(access, scopes, now=now, expires_at=now + ACCESS_LIFETIME),
        REFRESH: renewing,
    }


def _refresh_of(document: Json | None) -> Mapping[str, Any]:
    tokens = document.get("tokens") if isinstance(document, Mapping) else None
    held = tokens.get(REFRESH) if isinstance(tokens, Mapping) else None
    return held if isinstance(held, Mapping) else {}


def _may_repeat(device: Device, *, now: float) -> bool:
    """Tell whether the answer that brought *device* its tokens may have been lost."""
    held = device.tokens[CLIENT]
    return held.last_used_at is None or abs(now - held.created_at) <= _GRACE


def _shorten(token: str) -> str:
    return f"{token[:2]}…"
