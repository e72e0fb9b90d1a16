"""What may be shown of a secret."""

from __future__ import annotations

_LONG_ENOUGH = 16  # characters of which the first and the last two may be shown
_SHOWN = 2


def mask(secret: str) -> str:
    """Return `sk...cy`: two characters of each end, of a long secret only (reference, 19.5)."""
    text = secret.strip()
    if len(text) < _LONG_ENOUGH or not text.isprintable():
        return "***"
    return f"{text[:_SHOWN]}...{text[-_SHOWN:]}"
