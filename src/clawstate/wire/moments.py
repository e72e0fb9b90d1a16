"""
One dialect of JSON for all documents.

Names are in camelCase. A time has a name that ends in `Ms`, in milliseconds since the epoch; the
names beside it are those of the store's own file (ISO text or milliseconds), and stay for those who
read them already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.clock import to_ms


def times(**moments: float | None) -> dict[str, int | None]:
    """Return *moments*, seconds since the epoch, under the names `<name>Ms`."""
    return {
        f"{name}Ms": None if moment is None else to_ms(moment) for name, moment in moments.items()
    }


def dialect(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return *document* with its names in camelCase, beside those with underscores."""
    # Both, as the names with underscores were printed before, and scripts read them.
    return {**document, **{camel(name): value for name, value in document.items()}}


def camel(name: str) -> str:
    """Return *name*, words with underscores or blanks between them, in camelCase."""
    first, *rest = name.replace(" ", "_").split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in rest)
