"""The links that let somebody in: the secret is in the fragment, which no server and log sees."""

from __future__ import annotations

from typing import Final

INVITATION: Final = "invite="
"""What the fragment of an invitation begins with, which lets in one device with a key."""

_TICKET: Final = "token="  # that of a ticket, which lets in one browser


def join_invitation(url: str, secret: str) -> str:
    """Return the link of an invitation at the gateway *url*."""
    return _link(url, INVITATION, secret)


def join_ticket(url: str, ticket: str) -> str:
    """Return the link of a *ticket* at the gateway *url*."""
    return _link(url, _TICKET, ticket)


def _link(url: str, kind: str, secret: str) -> str:
    return f"{url.rstrip('/')}/#{kind}{secret}"
