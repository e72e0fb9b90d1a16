"""The link of an invitation, which lets one device in."""

from __future__ import annotations

from typing import Final

INVITATION: Final = "invite="
"""What its fragment begins with."""


def join_invitation(url: str, secret: str) -> str:
    """Return the link of an invitation: the secret is in the fragment, which no server sees."""
    return f"{url.rstrip('/')}/#{INVITATION}{secret}"
