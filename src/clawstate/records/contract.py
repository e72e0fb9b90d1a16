"""
What every engine of records promises: `Backend`, `Collection`, `Capability`.

A collection is a named set of JSON records, each with a revision. A value is what JSON knows; it
comes back with its unknown fields and the order of its keys, as a copy that is the caller's own.
Keys are any text of 1 to 1,024 characters that UTF-8 can hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    from clawstate.health import Finding

from clawstate.paging import Position

A = TypeVar("A")

Json: TypeAlias = Any
"""What `json.loads` returns."""

Revision: TypeAlias = str
"""Names one value of one record; opaque. Another value under the key has another revision."""


class Mark(Enum):
    """What no JSON value can be mistaken for."""

    ABSENT = "absent"
    ANY = "any"
    DELETE = "delete"


ABSENT: Final = Mark.ABSENT
"""`put(expect=ABSENT)`: the key must be new."""
ANY: Final = Mark.ANY
"""`put(expect=ANY)`: whatever is there is replaced."""
DELETE: Final = Mark.DELETE
"""Returned by the change of an `update`: the record shall go."""


@dataclass(frozen=True, slots=True)
class Versioned:
    """A record as it was found: its key, its value and the revision of that value."""

    key: str
    value: Json = field(repr=False)  # it may be a secret
    revision: Revision


@dataclass(frozen=True, slots=True)
class ChangedKeys:
    """
    What moved since a cursor: keys put, replaced or deleted.

    With *complete* false the engine no longer knows: anything may have moved, and *keys* is empty.
    """

    cursor: str
    keys: frozenset[str]
    complete: bool = True


class Capability(Enum):
    """What an engine can do beyond the contract that all of them keep."""

    DURABLE = "what was acknowledged survives a power cut"
    SHARED = "several processes may change one collection at once"
    FILES = "the collection lies in a file of its own that other programs may write"
    LASTING_CURSORS = "a cursor is good in another process, and after a restart"


class Layout(Protocol):
    """
    How the records of a collection lie in one JSON document.

    Whatever in the document is no record of this collection stays as it is.
    """

    def decode(self, document: Json) -> dict[str, Json]:
        """
        Return the records of *document* (`None`: there is none yet), in its order.

        Raises `InvalidError` for a document that cannot hold them, `VersionError` for one of a
        newer format; the engine names the file.
        """

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return a new document with *records* in the place of those that *document* holds."""


@dataclass(frozen=True, slots=True)
class FileForm:
    """
    How an engine of files writes the document of a collection; other engines do not look at it.

    The file has *mode* from birth, ends with a line end unless *newline* is false, and is refused
    beyond *max_bytes*.
    """

    mode: int = 0o600
    newline: bool = True
    max_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """
    What an engine must know of a collection.

    *kind* names it in tables and messages, such as `devices` or `auth:main`. *path* is relative to
    the state directory. *order* names the member of the values by which `Collection.latest` goes,
    such as `updatedAt`; it must not be encrypted. With *secret_keys* no message, log or feed of
    changes shows a key.
    """

    kind: str
    path: PurePosixPath
    layout: Layout
    order: str | None = None
    secret_keys: bool = False
    file: FileForm = FileForm()


Change: TypeAlias = Callable[[Json | None], Json | Mark]
"""Old value (`None`: there is none; its own copy) to new value, or `DELETE`. Pure: it may be
called again."""

WholeChange: TypeAlias = Callable[[dict[str, Json]], tuple[Mapping[str, Json], A]]
"""All records that it may change (own copies) to these as they shall be, and an answer. Pure."""


class Lease(Protocol):
    """
    The right to do what one holder alone may do, of all threads and processes (decision 34).

    It is over after `release` or the `with` block, *ttl* seconds after the grant or the last
    `renew`, and for others as soon as its holder is proven dead. *fence* grows with every grant
    of the name: by it `Collection.fenced` refuses what a late holder writes. The wall clock
    plays no part. A forked child does not hold what its parent holds.
    """

    name: str
    ttl: float
    fence: int

    def is_held(self) -> bool:
        """Tell whether it is still held."""

    def require(self) -> None:
        """Raise `LeaseLostError` unless it is still held."""

    def renew(self) -> None:
        """Let its time begin anew; raises `LeaseLostError` when it is over."""

    def keep_alive(self) -> None:
        """Do as `renew` once a third of its time is over; before, this costs next to nothing."""

    def release(self) -> None:
        """Give it back; harmless when it is over."""

    def __enter__(self) -> Self:
        """Hold it for the length of a `with` block."""

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Give it back."""


class Collection(Protocol):
    """
    A named set of JSON records. Safe for threads.

    Every method raises `UnavailableError` when disk or server refuse, `ClosedError` after the
    backend was closed, `LockTimeoutError` when others write for too long. Reads never wait for
    writers. Changing raises `CorruptError` rather than overwrite what cannot be read, and
    `InvalidError` for a key or value that cannot be kept, with nothing written.
    """

    @property
    def spec(self) -> CollectionSpec:
        """What the collection was asked for with."""

    def get(self, key: str) -> Versioned | None:
        """Return the record of *key*."""

    def scan(
        self, prefix: str = "", *, after: str | None = None, limit: int | None = None
    ) -> Iterator[Versioned]:
        """
        Give the records whose keys start with *prefix*, by code point of their keys.

        *after* leaves out all keys up to and including it; at most *limit* records. All come from
        one moment.
        """

    def latest(self, limit: int, *, after: Position | None = None) -> Iterator[Versioned]:
        """
        Give at most *limit* records, those with the greatest number in `spec.order` first.

        Equal ones come by code point of their keys, values without such a number last. *after*
        leaves out all up to and including a position, see `rules.position_of`; no record need be
        there. All come from one moment.
        """

    def count(self, prefix: str = "") -> int:
        """Return how many records have a key that starts with *prefix*."""

    def put(self, key: str, value: Json, *, expect: Revision | Mark = ANY) -> Versioned:
        """
        Keep *value* under *key* if the record there is as expected, in one step.

        *expect* is a revision, `ABSENT` or `ANY`; otherwise raises `ConflictError`. An equal value
        is not written again and keeps its revision.
        """

    def delete(self, key: str, *, expect: Revision | Mark = ANY) -> bool:
        """Remove *key*; False when it was not there. Raises `ConflictError` as `put` does."""

    def update(self, key: str, change: Change) -> Versioned | None:
        """
        Put what *change* makes of the value of *key*, and return it; `None` when it is gone.

        No other change comes between; *change* may run again and must not use the collection.
        What it raises leaves everything as it was.
        """

    def change_all(self, change: WholeChange[A]) -> A:
        """Replace all records by what *change* makes of them, at once, and return its answer."""

    def change_some(self, keys: Iterable[str], change: WholeChange[A]) -> A:
        """
        Replace the records of *keys* by what *change* makes of them, at once; return its answer.

        It is given those that are there. In rows this costs what these keys cost, however many
        others there are. Raises `InvalidError` for a record that it returns under another key.
        """

    def changes(self, since: str | None = None) -> ChangedKeys:
        """Return which keys moved after the cursor *since*, and a cursor of now (`None`: only it).

        A cursor that the engine does not know gives incomplete `ChangedKeys`, never an error.
        """

    def version(self) -> object:
        """
        Return what is equal as long as no record is changed, by anybody.

        The cheapest question that can be asked: one stat, or one row. It may move without a
        change; `changes` tells what moved. See `CachedView`.
        """

    def fenced(self, lease: Lease) -> Collection:
        """
        Return the same collection, for changes that *lease* is needed for.

        Each raises `LeaseLostError`, with nothing written, once the lease is over: that is looked
        up in the step that writes, so who was late or stood still overwrites nothing. Raises
        `InvalidError` at once for what is no lease.
        """

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """
        Give what is wrong with the records: a damaged document or row, and how it is mended.

        Only looks, and raises nothing for damage. The `repair` of a finding loses nothing: what is
        damaged is put aside, and the last good copy takes its place where there is one. *deep*
        reads everything.
        """


class Backend(Protocol):
    """One engine over one state."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do beyond the contract."""

    def collection(self, spec: CollectionSpec) -> Collection:
        """Return the collection of *spec*; nothing is created before the first change."""

    def kinds(self, prefix: str = "") -> tuple[str, ...]:
        """
        Return the kinds of collections that hold something and start with *prefix*, sorted.

        In files these are collections that were asked for, and those that the engine was told of.
        """

    def lease(
        self,
        name: str,
        ttl: float,
        *,
        wait: float = 0.0,
        ticks: Callable[[], float] = time.monotonic,
    ) -> Lease:
        """
        Return the lease *name*, held for *ttl* seconds from now; see `Lease`.

        Raises `LockTimeoutError`, which names the holder, when another has it for *wait* seconds;
        `InvalidError`; and what a change raises. *ticks* is a steady clock in seconds that all
        processes of the machine share. Holders on other machines are given their whole *ttl* from
        when this engine first saw them: wait longer than that for them.
        """

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """Give what is wrong with the engine, and with all collections that it knows."""

    def close(self) -> None:
        """Close the engine; a call after this raises `ClosedError`."""
