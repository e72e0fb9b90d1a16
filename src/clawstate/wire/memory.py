"""The JSON form of what is remembered: records, and the hits of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.clock import from_ms, to_iso
from clawstate.memory.forgetting import Compaction, Forgotten, Receipt
from clawstate.memory.records import Hit, MemoryRecord
from clawstate.memory.replacement import Reembedding
from clawstate.wire.members import Members, dialect, times


def export_form(record: MemoryRecord) -> dict[str, Any]:
    """Return *record* in the form that `memory import` reads: all of it, its times as ISO text."""
    # The form of the import: what is exported can be taken in again, with all its fields.
    ends = record.expires_at
    return {
        "id": record.id,
        "text": record.text,
        "title": record.title,
        "headings": list(record.headings),
        "names": list(record.names),
        "source": record.source,
        "tags": list(record.tags),
        "metadata": dict(record.metadata),
        "importance": record.importance,
        "category": record.category,
        "namespace": record.namespace,
        "thread": record.thread,
        "position": record.position,
        "createdAt": to_iso(record.created_at),
        "updatedAt": to_iso(record.updated_at),
        "expiresAt": None if ends is None else to_iso(ends),
    }


def write_record(record: MemoryRecord) -> dict[str, Any]:
    """Return *record* as it is exported, with its times in milliseconds."""
    moments = times(
        createdAt=record.created_at, updatedAt=record.updated_at, expiresAt=record.expires_at
    )
    return {**export_form(record), **moments}


def read_record(document: Any) -> MemoryRecord:
    """Return the record of *document*."""
    told = Members(document, "record")
    return MemoryRecord(
        id=told.text("id"),
        text=told.text("text"),
        title=told.maybe_text("title"),
        headings=told.texts("headings"),
        names=told.texts("names"),
        source=told.maybe_text("source"),
        tags=told.texts("tags"),
        metadata=told.mapping("metadata"),
        importance=told.number("importance"),
        category=told.text("category"),
        namespace=told.text("namespace"),
        thread=told.maybe_text("thread"),
        position=told.maybe_integer("position"),
        created_at=told.moment("createdAt"),
        updated_at=told.moment("updatedAt"),
        expires_at=told.maybe_moment("expiresAt"),
    )


def write_hit(hit: Hit) -> dict[str, Any]:
    """Return *hit*: its record, scores to four places, and its explanation if it has one."""
    # No member at all without: documents of searches that ask for no reasons are as before.
    reasons = {}
    if hit.explanation is not None:
        from clawstate.wire.explanations import write_explanation  # noqa: PLC0415 - few ask for it

        reasons = {"explanation": write_explanation(hit.explanation)}
    return {
        **write_record(hit.record),
        # Further places are noise of float32, and would make outputs differ for nothing.
        "score": round(hit.score, 4),
        "wordsScore": None if hit.words_score is None else round(hit.words_score, 4),
        "vectorScore": None if hit.vector_score is None else round(hit.vector_score, 4),
        **reasons,
    }


def read_hit(document: Any) -> Hit:
    """Return the hit of *document*."""
    told = Members(document, "hit")
    scores = (told.maybe_number("wordsScore"), told.maybe_number("vectorScore"))
    explanation = None
    if (reasons := document.get("explanation")) is not None:
        from clawstate.wire.explanations import read_explanation  # noqa: PLC0415 - few have one

        explanation = read_explanation(reasons)
    return Hit(read_record(document), told.number("score"), *scores, explanation)


def write_forgotten(forgotten: Forgotten) -> dict[str, Any]:
    """Return *forgotten*; its digest is the SHA-256 of its text."""
    return {
        "id": forgotten.id,
        "digest": forgotten.digest,
        "words": forgotten.words,
        "tags": forgotten.tags,
        "vector": forgotten.vector,
        "sources": forgotten.sources,
        "versions": forgotten.versions,
    }


def read_forgotten(document: Any) -> Forgotten:
    """Return the forgotten record of *document*."""
    told = Members(document, "forgotten")
    return Forgotten(
        told.text("id"),
        told.text("digest"),
        words=told.integer("words"),
        tags=told.integer("tags"),
        vector=told.truth("vector"),
        sources=told.integer("sources"),
        versions=told.integer("versions"),
    )


def write_receipt(receipt: Receipt) -> dict[str, Any]:
    """Return *receipt*, with its counts by place."""
    return {
        "records": [write_forgotten(each) for each in receipt.records],
        "missing": list(receipt.missing),
        "places": dict(receipt.places),
        "gone": receipt.gone,
        "waitsFor": receipt.waits_for,
    }


def read_receipt(document: Any) -> Receipt:
    """Return the receipt of *document*."""
    told = Members(document, "receipt")
    return Receipt(
        tuple(map(read_forgotten, told.items("records"))),
        told.texts("missing"),
        gone=told.truth("gone"),
        waits_for=told.maybe_text("waitsFor"),
    )


def write_compaction(done: Compaction) -> dict[str, Any]:
    """Return *done*; sizes in bytes."""
    return {
        "changes": done.changes,
        "before": done.before,
        "after": done.after,
        "complete": done.complete,
        "waitsFor": done.waits_for,
    }


def read_compaction(document: Any) -> Compaction:
    """Return the compaction of *document*."""
    told = Members(document, "compaction")
    return Compaction(
        told.integer("changes"),
        told.integer("before"),
        told.integer("after"),
        complete=told.truth("complete"),
        waits_for=told.maybe_text("waitsFor"),
    )


def write_reembedding(done: Reembedding) -> dict[str, Any]:
    """Return *done*; its time in seconds, to the millisecond, what it needs in bytes."""
    return {
        "before": done.before,
        "embedder": done.embedder,
        "dimensions": done.dimensions,
        "records": done.records,
        "done": done.done,
        "texts": done.texts,
        "characters": done.characters,
        "seconds": round(done.seconds, 3),
        "bytes": done.bytes,
        "local": done.local,
        "complete": done.complete,
        "tokens": done.tokens,
        "price": done.price,
    }


def read_reembedding(document: Any) -> Reembedding:
    """Return the replacement of vectors of *document*."""
    told = Members(document, "reembedding")
    return Reembedding(
        told.maybe_text("before"),
        told.text("embedder"),
        told.integer("dimensions"),
        records=told.integer("records"),
        done=told.integer("done"),
        texts=told.integer("texts"),
        characters=told.integer("characters"),
        seconds=told.number("seconds"),
        bytes=told.integer("bytes"),
        local=told.maybe_truth("local"),
        complete=told.truth("complete"),
        tokens=told.integer("tokens"),
        price=told.maybe_number("price"),
    )


def statistics_form(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `memory.stats()` gave; names in camelCase stand beside those of the library."""
    told = counts.get("changed")
    # The engine keeps it as text, beside other notes about the database.
    changed = None if told is None else from_ms(float(str(told)))
    rest = {name: value for name, value in counts.items() if name != "changed"}
    return {**dialect(rest), "changed": told, **times(changed=changed)}
