"""What a server says that gives no vectors, as a sentence that shows no secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_REFUSED_KEY = frozenset({401, 403})
_PASSING = frozenset({408, 409, 425, 429})
_NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_LONGEST = 200
_SECRETS = ("sk-", "Bearer ")


def refusal_of(status: int, data: bytes, hide: Callable[[str], str]) -> tuple[str, str, bool]:
    """Return what is wrong, what to do, and whether it may pass; *hide* takes the key out."""
    told = _error(data)
    if status in _REFUSED_KEY:
        # Nothing of what it says: it often repeats a part of the key.
        return f"refuses the key ({status})", "see apiKey in the configuration", False
    if status == 429 and told.get("code") in _NO_MONEY:
        return "has no credit left for this key (429)", "see the account of the provider", False
    said = _sentence(told.get("message"), hide)
    passes = status in _PASSING or status >= 500
    hint = "" if passes else "see baseUrl and model in the configuration"
    return f"answers {status}{said}", hint, passes


def _error(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) else {"message": error or found}


def _sentence(message: Any, hide: Callable[[str], str]) -> str:
    if not isinstance(message, str) or not message:
        return ""
    text = hide(" ".join(message.split()))
    if any(each in text for each in _SECRETS) or not text.isprintable():
        return ""
    return f": {text[:_LONGEST]}"
