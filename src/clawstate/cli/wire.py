"""
One dialect of JSON for all documents that are printed.

Names are in camelCase. A time has a name that ends in `Ms`, in milliseconds since the epoch; the
names beside it are those of the store's own file (ISO text or milliseconds), and stay for those who
read them already.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.clock import to_iso, to_ms

if TYPE_CHECKING:
    from clawstate.config.history import Change


def times(**moments: float | None) -> dict[str, int | None]:
    """Return *moments*, seconds since the epoch, under the names `<name>Ms`."""
    return {
        f"{name}Ms": None if moment is None else to_ms(moment) for name, moment in moments.items()
    }


def dialect(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return *document* with its names in camelCase, beside those with underscores."""
    return {**document, **{camel(name): value for name, value in document.items()}}


def camel(name: str) -> str:
    """Return *name*, words with underscores or blanks between them, in camelCase."""
    first, *rest = name.replace(" ", "_").split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in rest)


def change_document(change: Change, *, root: Path | None = None) -> dict[str, Any]:
    """Return *change* as a program wants it, with paths relative to *root* if they are below it."""
    also = [
        {"file": _relative(each.file, root), "before": each.before, "after": each.after}
        for each in change.also
    ]
    return {
        "number": change.number,
        "at": to_iso(change.at),
        **times(at=change.at),
        "file": _relative(change.file, root),
        "paths": list(change.paths),
        "by": change.by,
        "undoes": change.undoes,
        "before": change.before,
        "after": change.after,
        "also": also,
    }


def _relative(file: str, root: Path | None) -> str:
    path = Path(file)
    is_below = root is not None and path.is_relative_to(root)
    return path.relative_to(root).as_posix() if root is not None and is_below else file
