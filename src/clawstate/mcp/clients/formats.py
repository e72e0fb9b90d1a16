"""Texts of settings of three kinds, in which one entry is put or removed, and all else stays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from clawstate.errors import CorruptError, UnavailableError

Document = dict[str, Any]


class Format(Protocol):
    """How a client writes its settings."""

    def parse(self, text: str, file: Path) -> Document:
        """Return what *text* means; raises `CorruptError`."""

    def put(self, text: str, table: tuple[str, ...], name: str, value: Document, file: Path) -> str:
        """Return *text* with *value* as the member *name* of *table*."""

    def remove(self, text: str, table: tuple[str, ...], name: str, file: Path) -> str:
        """Return *text* without the member *name* of *table*, which is there."""


def entry_of(document: Mapping[str, Any], table: tuple[str, ...], name: str) -> Any:
    """Return the member *name* of *table* in *document*, `None` if there is none."""
    found: Any = document
    for step in (*table, name):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def without_entry(document: Mapping[str, Any], table: tuple[str, ...], name: str) -> Document:
    """Return *document* without that member, nor the tables that hold nothing then."""
    if not table:
        return {key: each for key, each in document.items() if key != name}
    inner = document.get(table[0])
    if not isinstance(inner, Mapping):
        return {key: each for key, each in document.items() if key != table[0] or each is not None}
    left = without_entry(inner, table[1:], name)
    others = {key: each for key, each in document.items() if key != table[0]}
    return {**others, table[0]: left} if left else others


def require_object(found: Any, file: Path) -> Document:
    """Return *found*, which has to be an object; nothing at all is an empty one."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise CorruptError(str(file), "holds no settings by name", "look into it with its program")
    return found


def require_meaning(
    texts: tuple[str, str],
    wanted: Document | None,
    place: tuple[str, ...],
    file: Path,
    *,
    how: Format,
) -> str:
    """Return the second of *texts* if it differs from the first by *wanted* at *place* alone."""
    before, after = texts
    table, name = place[:-1], place[-1]
    problem = f"is written in a way in which {'.'.join(place)} cannot be changed alone"
    refusal = UnavailableError(str(file), problem, "change it by hand, or with its own program")
    try:
        found = how.parse(after, file)
    except CorruptError:
        raise refusal from None
    same = without_entry(found, table, name) == without_entry(how.parse(before, file), table, name)
    if not same or entry_of(found, table, name) != wanted:
        raise refusal
    return after


def quote(value: Any) -> str:
    """Return *value* as JSON: YAML reads all of it, TOML its texts and truth values."""
    return json.dumps(value, ensure_ascii=False, default=str)


def line_end(text: str) -> str:
    """Return how the lines of *text* end."""
    return "\r\n" if "\r\n" in text else "\n"
