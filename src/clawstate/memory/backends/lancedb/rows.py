"""Records as rows of the table, and back."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import apsw

from clawstate.clock import to_ms
from clawstate.errors import InvalidError
from clawstate.interrupts import load_modules
from clawstate.memory.backends.columns import record_of, unpack
from clawstate.memory.backends.lancedb.messages import Message
from clawstate.memory.backends.sqlite.rows import SELECT, stored_embedder
from clawstate.memory.contract import Embedded, EmbedderIdentity
from clawstate.memory.records import MemoryRecord, content_hash
from clawstate.memory.validation import record_from

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of OpenClaw's plugin, which stores nothing of the model: its dimensions tell.
_PLUGIN_MODELS = {1536: "text-embedding-3-small", 3072: "text-embedding-3-large"}
_OWN_COLUMNS = {"id", "text", "importance", "category", "created_at", "updated_at"}
_KEPT = [each.name for each in fields(MemoryRecord) if each.name not in _OWN_COLUMNS]
_OTHER = "other"
_USUAL = 0.7
# What a row of another program may raise when it is read: its JSON is whatever they wrote.
_NO_RECORD = (
    *(InvalidError, ValueError, TypeError, AttributeError, LookupError),
    *(OverflowError, RecursionError),
)
_MOST_OF_A_VECTOR = 65_504.0
_VECTOR_OF = "vectorOf"
"""Of which text the vector and the subwords of a row are, by its hash."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: the record, its vector and subwords, and whose vector it is."""

    embedded: Embedded
    model: EmbedderIdentity | None
    is_ours: bool
    """Whether all of the record is in the row; of another program's only a part is."""

    def with_vector_of(self, embedder: EmbedderIdentity | None) -> Embedded:
        """Return the record, with its vector if that is of *embedder*."""
        return self.embedded if self.model == embedder else Embedded(self.embedded.record)


def read_rows(
    connection: apsw.Connection, ids: Sequence[str], *, dimensions: int, ours: bool
) -> tuple[list[str], Message, bytes]:
    """
    Return those of *ids* that are kept no more, the others in columns, and their vectors.

    A table of so many *dimensions* takes the vectors of our embedder where clawstate made it
    (*ours*), or where it is the one of OpenClaw's plugin.
    """
    embedder = stored_embedder(connection)
    fits = embedder is not None and embedder.dimensions == dimensions
    fits = fits and (ours or is_plugin_embedder(embedder))
    wanted = json.dumps(list(ids))
    where = "WHERE m.id IN (SELECT value FROM json_each(?)) ORDER BY m.docno"
    sql = f"SELECT m.embedding, m.subwords FROM memories m {where}"
    beside: list[Any] = connection.execute(sql, (wanted,)).fetchall()
    records = [record_of(row) for row in connection.execute(f"{SELECT} {where}", (wanted,))]
    given = [vector if fits else None for vector, _ in beside]
    model = None if embedder is None else asdict(embedder)
    columns: Message = {
        "id": [each.id for each in records],
        "text": [each.text for each in records],
        "importance": [float(each.importance) for each in records],
        "category": [each.category for each in records],
        "createdAt": [float(to_ms(each.created_at)) for each in records],
        "updatedAt": [float(to_ms(each.updated_at)) for each in records],
        "record": [
            _rest_of(record, model if vector else None, subwords)
            for record, vector, (_, subwords) in zip(records, given, beside, strict=True)
        ],
        "has_vector": [each is not None for each in given],
    }
    vectors = [each for each in given if each is not None]
    kept = set(columns["id"])
    gone = [each for each in ids if each not in kept]
    return gone, columns, unpack(vectors).astype("<f4").tobytes() if vectors else b""


def is_plugin_embedder(embedder: EmbedderIdentity | None) -> bool:
    """Tell whether *embedder* makes the vectors that OpenClaw's plugin has of such a length."""
    if embedder is None:
        return False
    name = _PLUGIN_MODELS.get(embedder.dimensions)
    return name is not None and embedder.model.endswith(name)


def rows_of(columns: Message, blob: bytes, embedder: EmbedderIdentity | None, now: float) -> Rows:
    """Return the records in *columns*, as a scan gives them; *embedder* is that of the state."""
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - costs 170 ms, and word searches do without

    has_vector = columns["has_vector"]
    matrix = np.frombuffer(blob, "<f4").reshape(sum(has_vector), -1) if any(has_vector) else None
    found: dict[str, Row] = {}
    refused, number = 0, 0
    for place, given in enumerate(has_vector):
        vector = None
        if given and matrix is not None:
            vector, number = matrix[number], number + 1
        try:
            row = _row({name: each[place] for name, each in columns.items()}, vector, embedder, now)
        except _NO_RECORD:
            refused += 1
        else:
            found[row.embedded.record.id] = row
    return Rows(found, refused, len(has_vector) - refused - len(found))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows by id; `refused` are no records, and so many `repeated` had the id of another."""

    found: dict[str, Row]
    refused: int
    repeated: int


def _row(
    values: dict[str, Any],
    vector: NDArray[np.float32] | None,
    embedder: EmbedderIdentity | None,
    now: float,
) -> Row:
    rest = json.loads(values.get("record") or "{}")
    created = _number(values["createdAt"], now * 1000) / 1000
    updated = _number(values.get("updatedAt"), created * 1000) / 1000
    record = record_from(
        {
            **{name: rest[name] for name in _KEPT if name in rest},
            "id": _text(values["id"]),
            "text": _text(values["text"]),
            "category": values["category"] or _OTHER,
            "importance": min(1.0, max(0.0, _number(values["importance"], _USUAL))),
            "created_at": created,
            "updated_at": updated,
        },
        now=now,
    )
    is_ours = "namespace" in rest
    if is_ours and rest.get(_VECTOR_OF, _text_hash(record.text)) != _text_hash(record.text):
        # Another program changed the text alone: what we made of the old one says nothing of it.
        vector = None
    model = _model(rest, vector, embedder)
    subwords = None
    if "subwords" in rest and model is not None:
        load_modules("numpy")
        import numpy as np  # noqa: PLC0415 - as above

        subwords = np.frombuffer(base64.b64decode(rest["subwords"]), "<u2")
    kept = None
    if vector is not None and model is not None:
        kept = _finite(vector) if is_ours else _unit(vector)
    return Row(Embedded(record, kept, subwords), model, is_ours)


def _model(
    rest: dict[str, Any], vector: NDArray[np.float32] | None, embedder: EmbedderIdentity | None
) -> EmbedderIdentity | None:
    if vector is None:
        return None
    if "embedder" in rest:
        found = EmbedderIdentity(**rest["embedder"])
        return found if found.dimensions == len(vector) else None
    is_same = embedder is not None and embedder.dimensions == len(vector)
    return embedder if is_same and is_plugin_embedder(embedder) else None


def _finite(vector: NDArray[np.float32]) -> NDArray[np.float32] | None:
    # The catalogue keeps them as float16; a NaN is larger than nothing.
    return vector if float(abs(vector).max()) <= _MOST_OF_A_VECTOR else None


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32] | None:
    length = math.sqrt(float((vector.astype("f8") ** 2).sum()))
    if not math.isfinite(length) or length == 0:
        return None
    unit: NDArray[np.float32] = (vector / length).astype("f4")
    return unit


def _rest_of(record: MemoryRecord, model: dict[str, Any] | None, subwords: bytes | None) -> str:
    rest: dict[str, Any] = {name: getattr(record, name) for name in _KEPT}
    rest["metadata"] = dict(record.metadata)
    if model is not None:
        rest["embedder"] = model
        rest[_VECTOR_OF] = _text_hash(record.text)
    if subwords is not None:
        rest["subwords"] = base64.b64encode(subwords).decode()
    return json.dumps(rest, ensure_ascii=False, separators=(",", ":"))


def _text_hash(text: str) -> str:
    return content_hash(text).hex()


def _number(value: Any, otherwise: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return otherwise


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidError("row", "has no text where one is needed")
    return value
