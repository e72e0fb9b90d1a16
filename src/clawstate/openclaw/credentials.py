"""Documents of credentials, laid over one another as OpenClaw does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SECTIONS = ("profiles", "order", "lastGood", "usageStats")


def joined(*documents: Mapping[str, Any]) -> dict[str, Any]:
    """Return one `auth-profiles.json` of *documents*, in which a later one counts for more."""
    found: dict[str, Any] = {"version": 1, "profiles": {}}
    for document in documents:
        for name, value in document.items():
            if name in _SECTIONS and isinstance(value, Mapping):
                found[name] = {**found.get(name, {}), **value}
            else:
                found[name] = value
    return found
