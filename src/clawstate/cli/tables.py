"""Plain tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clawstate.cli.printing import inline, style

LABELS = {
    "waiting": "without a vector yet",
    "cached_vectors": "vectors kept for reuse",
    "vector_index_bytes": "index of vectors",
    "bytes": "size of the file",
    "sources": "imported sources",
    "expired": "expired, not removed yet",
    "embedder": "embedding model",
    "dimensions": "numbers in a vector",
}
"""What people read in the place of a name that programs read."""


def table_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each of *values*, the names in one column; sizes in readable units."""
    labels = {name: LABELS.get(name, name.replace("_", " ")) for name in values}
    width = max(map(len, labels.values()), default=0)
    for name, value in values.items():
        told = style(labels[name].ljust(width), dim=True)
        yield f"{told}  {inline(readable(name, value))}"


def readable(name: str, value: Any) -> str:
    """Return *value* as people read it; a *name* with "bytes" makes it a size."""
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {readable(name, each)}" for key, each in value.items()) or "-"
    if "bytes" in name:
        return size(int(value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def number_of(count: int, what: str) -> str:
    """Return *count* of *what*, a noun of which there can be many."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def size(count: float) -> str:
    """Return *count* bytes as `1.5 MB`."""
    if count < 1000:
        return f"{count:.0f} B"
    scaled = count / 1000
    for unit in ("kB", "MB"):
        if scaled < 1000:
            return f"{scaled:.1f} {unit}"
        scaled /= 1000
    return f"{scaled:.1f} GB"
