"""Files of many kinds as passages that a memory can take in."""

from __future__ import annotations

from clawstate.importers.discover import Found, Kind, detect, discover, read_passages
from clawstate.importers.passages import Item, Json, Passage, Problem

__all__ = [
    "Found",
    "Item",
    "Json",
    "Kind",
    "Passage",
    "Problem",
    "detect",
    "discover",
    "read_passages",
]
