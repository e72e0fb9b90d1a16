"""What happens to records that are kept: the rules of every engine, without its storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from clawstate.clock import to_ms
from clawstate.errors import ConflictError, DimensionError, EmbeddingError
from clawstate.memory.contract import Embedded, EmbedderIdentity
from clawstate.memory.records import MemoryRecord, content_hash, fields_text
from clawstate.memory.replacement import Begun
from clawstate.memory.validation import metadata_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Place = tuple[float, float, int | None]
"""When a record was made and changed (seconds), and its place in its thread."""


class Known(NamedTuple):
    """What an engine knows of a record that it keeps; times in milliseconds."""

    id: str
    key: int
    namespace: str
    digest: bytes
    has_vector: bool
    created_ms: int
    thread: str | None
    position: int | None
    updated_ms: int
    expires_ms: int | None
    fields: str


class Arrival(NamedTuple):
    """A record on its way in, its content hash, and what of the same id is `known`."""

    embedded: Embedded
    digest: bytes
    place: Place
    known: Known | None

    @property
    def keeps_vector(self) -> bool:
        """True where the vector that is there is that of the text, and none was brought."""
        known = self.known
        is_same = known is not None and known.digest == self.digest and known.has_vector
        return is_same and self.embedded.vector is None

    @property
    def stays(self) -> bool:
        """True where text and fields are the same and need no new vector: its key remains."""
        known = self.known
        if known is None or known.digest != self.digest:
            return False
        if known.fields != fields_text(self.embedded.record):
            return False
        # A key stands for one text with one vector for ever (decision 4). A vector that arrives for
        # a text without one is a change that caches of vectors must see, so it gets a new key.
        return known.has_vector or self.embedded.vector is None


def is_changed(old: MemoryRecord, arrival: Arrival) -> bool:
    """Tell whether *arrival* says anything else than *old*, in whose place it comes."""
    created_at, _, position = arrival.place
    new = replace(
        arrival.embedded.record,
        created_at=created_at,
        updated_at=old.updated_at,
        position=position,
        metadata=old.metadata,
        tags=old.tags,
    )
    record = arrival.embedded.record
    return (
        new != old
        or set(record.tags) != set(old.tags)
        or metadata_text(record.metadata) != metadata_text(old.metadata)
    )


def once(given: Sequence[Embedded]) -> list[Embedded]:
    """Return *given* with one record for each id, the last of them."""
    # The last counts, as if they had been written one after the other.
    return list({each.record.id: each for each in given}.values())


def newest_ms(given: Sequence[Embedded]) -> int:
    """Return when the last of *given* was changed."""
    return to_ms(max((each.record.updated_at for each in given), default=0.0))


def arrivals(
    given: Sequence[Embedded],
    known: Mapping[str, Known],
    last: Callable[[str, str], int | None],
) -> Iterator[Arrival]:
    """
    Yield what becomes of *given*, of which *known* are kept and not expired.

    *last* tells the highest position in a namespace's thread. Raises `ConflictError` for an id
    that lives in another namespace.
    """
    taken: dict[tuple[str, str], int] = {}
    for each in given:
        record = each.record
        found = known.get(record.id)
        # Moving it would take a record away from somebody who only knows the other namespace.
        if found is not None and found.namespace != record.namespace:
            hint = f"it is kept in namespace {found.namespace!r}; ids are unique in a state"
            raise ConflictError("record", record.id, hint)
        created = updated = record.updated_at
        if found is not None:
            created = found.created_ms / 1000
            # Later than what it replaces, so that no version can be taken for another.
            updated = max(updated, (found.updated_ms + 1) / 1000)
        position = record.position
        if record.thread is not None:
            position = _position(record, found, taken, last)
        place = (record.created_at or created, updated, position)
        yield Arrival(each, content_hash(record.text), place, found)


def fill(
    given: Sequence[Embedded], known: Mapping[str, Known]
) -> Iterator[tuple[Embedded, bytes, Known]]:
    """Yield those of *given* whose vectors are still waited for, with their hashes."""
    for each in given:
        found = known.get(each.record.id)
        digest = content_hash(each.record.text)
        # Embedding took time without a lock: the text may be another one by now, or be gone.
        if found is None or found.has_vector or found.digest != digest or each.vector is None:
            continue
        yield each, digest, found


def claim(
    kept: EmbedderIdentity | None, given: Sequence[Embedded], embedder: EmbedderIdentity | None
) -> EmbedderIdentity | None:
    """
    Return whose vectors are kept once *given* are, of which *embedder* made the vectors.

    Raises `EmbeddingError` or `DimensionError` when *given* brings vectors of another than *kept*.
    """
    if all(each.vector is None for each in given):
        return kept
    if embedder is None or (kept is not None and kept != embedder):
        name = "no embedder" if embedder is None else embedder.model
        problem = f"vectors of {name}, but the state keeps those of {kept.model if kept else '-'}"
        raise EmbeddingError("memory", problem, "open the state with the embedder it was made with")
    # An identity names a model, but an embedder of the caller's own may not keep to it.
    require_lengths((each.vector for each in given if each.vector is not None), embedder)
    return embedder


def require_lengths(vectors: Iterable[NDArray[np.float32]], embedder: EmbedderIdentity) -> None:
    """Raise `DimensionError` unless all *vectors* are as long as those of *embedder* are."""
    for each in vectors:
        if len(each) != embedder.dimensions:
            raise DimensionError(embedder.dimensions, len(each))


def require_same_replacement(begun: EmbedderIdentity | None, wanted: EmbedderIdentity) -> None:
    """Raise `ConflictError` unless a replacement by vectors of *wanted* is what was begun."""
    if begun != wanted:
        hint = "nothing is begun now" if begun is None else f"one by {begun.model} is begun now"
        raise ConflictError("replacement by vectors of", wanted.model, hint)


def replacement_stats(begun: Begun | None) -> dict[str, object]:
    """Return what statistics tell of a replacement that is under way."""
    return {
        "reembedding": None if begun is None else begun.embedder.model,
        "reembedded": 0 if begun is None else begun.done,
    }


def _position(
    record: MemoryRecord,
    found: Known | None,
    taken: dict[tuple[str, str], int],
    last: Callable[[str, str], int | None],
) -> int:
    run = (record.namespace, str(record.thread))
    if run not in taken:
        highest = last(*run)
        taken[run] = -1 if highest is None else highest
    position = record.position
    if position is None:
        position = taken[run] + 1
        if found is not None and found.thread == record.thread and found.position is not None:
            position = found.position
    # Remembered for the next of the same batch: *last* sees only what was there before it.
    taken[run] = max(taken[run], position)
    return position
