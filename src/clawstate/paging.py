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

MAX_HITS: Final = 1000
"""How many hits a search of the memory gives at most; it ranks all of them, and has no pages."""

_SURROGATE = re.compile("[\ud800-\udfff]")
# What an error repeats of a cursor, which may come from anybody: a name such as ours, nothing else.
_NAME = re.compile("[a-z ]{1,20}")
_HINT = "give what the page before gave, or leave it out"
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


@dataclass(frozen=True, slots=True)
class Listing:
    """
    A listing by its *name*, which its cursors carry, so that those of another one are refused.

    Listings of one name have one order, whatever they leave out (agents, tags, revoked devices):
    a cursor is the same place in all of them.
    """

    name: str

    def page(self, found: Iterable[tuple[Position, T]], limit: int) -> Page[T]:
        """Return the first *limit* of what was *found*; one more is looked at, if there is one."""
        # One more than asked for tells whether there is a next page; counting would read all.
        taken = list(islice(found, limit + 1))
        items = tuple(item for _, item in taken[:limit])
        return Page(items, self.encode_cursor(taken[limit - 1][0]) if len(taken) > limit else None)

    def require_page(self, limit: int, after: str | None) -> Position | None:
        """Return the position that the cursor *after* means; raises `InvalidError` for no page."""
        require_count("limit", limit, least=1)
        return None if after is None else self.decode_cursor(after)

    def encode_cursor(self, position: Position) -> str:
        """Return *position* as letters, digits, `-` and `_`, which need no quotes anywhere."""
        text = json.dumps((self.name, *position), separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def decode_cursor(self, cursor: str) -> Position:
        """Return what `encode_cursor` was given; raises `InvalidError` for another text."""
        found = None
        if isinstance(cursor, str) and len(cursor) <= _LONGEST:
            with contextlib.suppress(ValueError, RecursionError):
                padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
                found = json.loads(base64.b64decode(padded, b"-_", validate=True))
        match found:
            case [self.name, float(rank), str(key)] if not math.isnan(rank):
                if not _SURROGATE.search(key):
                    return rank, key
            case [str(other), float(), str()] if other != self.name and _NAME.fullmatch(other):
                problem = f"is a cursor of the listing '{other}', not of '{self.name}'"
                raise InvalidError("after", problem, _HINT)
        raise self.not_a_cursor()

    def not_a_cursor(self) -> InvalidError:
        """Return the error for what cannot be a cursor of this listing."""
        return InvalidError("after", f"is no cursor of the listing '{self.name}'", _HINT)
