"""What `Memory.reembed` asks of an engine: new vectors beside those kept, and a switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clawstate.memory.embedder import EmbedderIdentity, KnownVector


@dataclass(frozen=True, slots=True)
class Reembedding:
    """
    What `Memory.reembed` did, or would do where it only looked.

    `before` is the model whose vectors searches used, `embedder` the one that made the new ones, of
    `dimensions` numbers. `done` of so many `records` have theirs; `texts` are the distinct ones
    that were embedded, or are still to be, with so many `characters`. `seconds` is what that took,
    or will by the speed of a sample; `bytes` what it needs on disk meanwhile. `local`: texts stay
    on this machine; None where the embedder does not say. `complete`: searches use the new vectors.
    `tokens` are about how many the texts have, `price` what they cost in USD; None if not known.
    """

    before: str | None
    embedder: str
    dimensions: int
    records: int = 0
    done: int = 0
    texts: int = 0
    characters: int = 0
    seconds: float = 0.0
    bytes: int = 0
    local: bool | None = None
    complete: bool = False
    tokens: int = 0
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A replacement that is under way: `done` records have a vector of `embedder`."""

    embedder: EmbedderIdentity
    done: int


@dataclass(frozen=True, slots=True)
class Text:
    """The text of the record `key`, which it stands for as long as the record is kept."""

    key: int
    digest: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Workload:
    """
    What is to be done: `records` kept, `texts` without a new vector and their `characters`.

    `size` is how many bytes the switch writes anew, beside the new vectors.
    """

    records: int
    texts: int
    characters: int
    size: int = 0


class VectorReplacement(Protocol):
    """
    Vectors of another embedder, made beside those that searches use until they take their place.

    Each call that changes anything is one step, whole or not done at all. What is forgotten or gets
    another text loses its new vector in the step that does it. *embedder* is whose vectors are
    made: a call for another than was begun raises `ConflictError`, since somebody else discarded
    what was begun, or came to its end.
    """

    def begun(self) -> Begun | None:
        """Return what is under way; None if nothing is."""

    def begin(self, embedder: EmbedderIdentity) -> None:
        """Begin, or go on with what was begun; `ConflictError` while one of another is."""

    def workload(self) -> Workload:
        """Return what is to be done yet."""

    def texts(self, count: int, characters: int) -> list[Text]:
        """
        Return texts without a new vector, oldest first: *count* at most.

        No more once they have so many *characters*, but one at least while there is one.
        """

    def find(self, digests: Sequence[bytes]) -> dict[bytes, KnownVector]:
        """Return the new vectors of texts that have one under another key."""

    def put(self, made: Mapping[int, KnownVector], embedder: EmbedderIdentity) -> None:
        """Keep new vectors, by the keys of their texts; of texts that are gone none is kept."""

    def switch(self, embedder: EmbedderIdentity, *, waiting: int) -> bool:
        """
        Put the new vectors in the place of those kept, in one step; tell whether that was done.

        It is not while more than so many *waiting* records have no new vector. Those that have none
        wait for one afterwards.
        """

    def discard(self) -> bool:
        """Forget what was begun; tell whether anything was."""
