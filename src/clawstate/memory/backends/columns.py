"""Records and vectors as columns of a database, and back: the same bytes on every engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from clawstate.clock import from_ms, to_ms
from clawstate.interrupts import load_modules
from clawstate.memory.embedder import EmbedderIdentity
from clawstate.memory.records import MemoryRecord
from clawstate.memory.validation import metadata_text
from clawstate.sqlite import DamagedValueError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TURN: Final = "turn"  # how many times all vectors were replaced before


def record_of(row: Sequence[Any]) -> MemoryRecord:
    """Return the record in a row that `SELECT` gave."""
    # Most records have neither; parsing twice a record is felt in a page of thousands.
    tags: list[str] = [] if row[13] == "[]" else json.loads(row[13])
    metadata: Any = {} if row[12] == "{}" else json.loads(row[12])
    fields: Any = {} if row[14] == "{}" else json.loads(row[14])
    if row[3] is None or not isinstance(metadata, dict) or not isinstance(fields, dict):
        raise DamagedValueError("a record without text, or with metadata of another kind")
    return MemoryRecord(
        id=row[1],
        namespace=row[2],
        text=row[3],
        source=row[4],
        created_at=from_ms(row[5]),
        updated_at=from_ms(row[6]),
        expires_at=None if row[7] is None else from_ms(row[7]),
        category=row[8],
        importance=row[9],
        thread=row[10],
        position=row[11],
        metadata=metadata,
        tags=tuple(tags),
        title=fields.get("title"),
        headings=tuple(fields.get("headings", ())),
        names=tuple(fields.get("names", ())),
    )


def columns_of(record: MemoryRecord, place: tuple[float, float, int | None]) -> tuple[Any, ...]:
    """Return the columns from `source` to `metadata`; *place* settles times and position."""
    created_at, updated_at, position = place
    return (
        record.source,
        to_ms(created_at),
        to_ms(updated_at),
        None if record.expires_at is None else to_ms(record.expires_at),
        record.category,
        float(record.importance),
        record.thread,
        position,
        metadata_text(record.metadata),
    )


@lru_cache(maxsize=8)  # each search asks, of one text or two
def embedder_from(text: str) -> EmbedderIdentity:
    """Return the embedder that `meta` names by *text*."""
    try:
        told = json.loads(text)
        told.pop(_TURN, None)
        return EmbedderIdentity(**told)
    except (TypeError, AttributeError) as error:
        raise DamagedValueError("an embedder without a name") from error


def embedder_text(embedder: EmbedderIdentity, *, after: str | None = None) -> str:
    """
    Return what `meta` keeps of *embedder*.

    Where its vectors take the place of those of the one that the text *after* names, the text is
    one that was never there before.
    """
    told: dict[str, object] = {
        "model": embedder.model,
        "dimensions": embedder.dimensions,
        "normalised": embedder.normalised,
    }
    if after is not None:
        told[_TURN] = 1 + json.loads(after).get(_TURN, 0)
    return json.dumps(told)


def pack(vector: NDArray[np.float32]) -> bytes:
    """Return *vector* as kept: little-endian float16, which costs a cosine less than 0.001."""
    # The byte order is fixed, since a database may be carried to another machine.
    return vector.astype("<f2").tobytes()


def unpack(blobs: Sequence[bytes]) -> NDArray[np.float32]:
    """Return the kept vectors *blobs* as rows of float32."""
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - costs 170 ms, and word searches do without

    if not blobs:
        return np.empty((0, 0), np.float32)
    try:
        packed = np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(blobs), -1)
    except (ValueError, TypeError) as error:
        raise DamagedValueError("vectors of different lengths") from error
    vectors = packed.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise DamagedValueError("a vector that is no vector")
    return vectors


def subwords_of(blob: bytes | None) -> NDArray[np.uint16] | None:
    """Return the kept subwords of a text; None where its embedder has none."""
    if blob is None:
        return None
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - as above

    return np.frombuffer(blob, "<u2")
