"""`Page`: one page of a listing, and cursors that stay right while others write."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, TypeAlias, TypeVar

from clawstate.arguments import require_count
from clawstate.errors import InvalidError

T = TypeVar("T")

Position: TypeAlias = tuple[float, str]
"""Where something stands in a listing: a rank, the least first, and a key among equals."""

PAGE: Final = 50
"""How many a page has unless the caller says otherwise."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST = 1 << 14  # characters of a cursor: a key has at most 1,024, each at most 12 in JSON


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """
    One page of a listing, in its order, and the cursor *after* it (`None`: it is the last).

    A cursor is text for whoever lists next, and means a place, not a number of items: what others
    add, change or remove meanwhile neither repeats nor hides what stays where it is.
    """

    items: tuple[T, ...]
    after: str | None = None

    def __iter__(self) -> Iterator[T]:
        """Give the items."""
        return iter(self.items)

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.items)


def page_of(found: Iterable[tuple[Position, T]], limit: int) -> Page[T]:
    """Return the first *limit* of what was *found*; one more is looked at, if there is one."""
    # One more than asked for tells whether there is a next page; counting would read all.
    taken = list(islice(found, limit + 1))
    items = tuple(item for _, item in taken[:limit])
    return Page(items, encode_cursor(taken[limit - 1][0]) if len(taken) > limit else None)


def require_page(limit: int, after: str | None) -> Position | None:
    """Return the position that the cursor *after* means; raises `InvalidError` for no page."""
    require_count("limit", limit)
    if limit < 1:
        raise InvalidError("limit", "is 0", "ask for at least one")
    return None if after is None else decode_cursor(after)


def encode_cursor(position: Position) -> str:
    """Return *position* as letters, digits, `-` and `_`, which need no quotes anywhere."""
    text = json.dumps(position, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> Position:
    """Return what `encode_cursor` was given; raises `InvalidError` for another text."""
    found = None
    if isinstance(cursor, str) and len(cursor) <= _LONGEST:
        with contextlib.suppress(ValueError, RecursionError):
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            found = json.loads(base64.b64decode(padded, b"-_", validate=True))
    match found:
        case [float(rank), str(key)] if not math.isnan(rank) and not _SURROGATE.search(key):
            return rank, key
    raise not_a_cursor()


def not_a_cursor() -> InvalidError:
    """Return the error for what cannot be the cursor of a listing."""
    hint = "give what the page before gave, or leave it out"
    return InvalidError("after", "is no cursor of this listing", hint)
