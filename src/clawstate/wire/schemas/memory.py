"""What is remembered, and what searches give."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class Record(TypedDict):
    """A record of the memory; times as ISO text, and in milliseconds."""

    id: str
    text: str
    title: str | None
    headings: list[str]
    names: list[str]
    source: str | None
    tags: list[str]
    metadata: dict[str, Any]
    importance: float
    category: str
    namespace: str
    thread: str | None
    position: int | None
    createdAt: str
    updatedAt: str
    expiresAt: str | None
    createdAtMs: int
    updatedAtMs: int
    expiresAtMs: int | None


class LegScore(TypedDict):
    """How one leg of a search, words or vectors, ranked a record."""

    score: float
    best: float
    share: float
    rank: int
    compared: int


class ScorePart(TypedDict):
    """What one word, phrase or meaning gave to a score."""

    kind: str
    points: float
    value: float
    leg: str
    term: str
    written: str
    field: str
    language: str
    lenders: list[str]


class Explanation(TypedDict):
    """What gave a hit its score."""

    score: float
    parts: list[ScorePart]
    legs: dict[str, LegScore]
    factor: float
    top: float
    strength: float
    missing: list[str]
    equals: int


class SnippetPiece(TypedDict):
    """A piece of a text, and whether it is what was asked for."""

    text: str
    marked: bool


class Hit(Record):
    """A record that answers a question, its scores, and what gave them if that was asked for."""

    score: float
    wordsScore: float | None
    vectorScore: float | None
    explanation: NotRequired[Explanation]
    snippet: NotRequired[list[SnippetPiece]]


class Unmet(TypedDict):
    """A demand that a record does not meet, and what it has."""

    demand: str
    found: Any


class Verdict(TypedDict):
    """What became of a record in a search."""

    id: str
    reason: str
    sentence: str
    mode: str
    source: str | None
    score: float | None
    rank: int | None
    vectorScore: float | None
    compared: int
    hits: int
    least: float | None
    minScore: float
    legs: dict[str, LegScore]
    unmet: list[Unmet]
    expiredAtMs: int | None
    successors: list[str]
    endedAtMs: int | None
    isEmbedded: bool | None
    explanation: Explanation | None


class Forgotten(TypedDict):
    """What was forgotten of one record; *digest* is the SHA-256 of its text."""

    id: str
    digest: str
    words: int
    tags: int
    vector: bool
    sources: int
    versions: int


class Receipt(TypedDict):
    """What was forgotten, from where, and whether its bytes are gone."""

    records: list[Forgotten]
    missing: list[str]
    places: dict[str, int]
    gone: bool
    waitsFor: str | None


class Compaction(TypedDict):
    """What a compaction cleared; sizes in bytes."""

    changes: int
    before: int
    after: int
    complete: bool
    waitsFor: str | None


class RecordVersion(TypedDict):
    """A record as it was, from when until when, and what came then."""

    record: Record
    sinceMs: int
    untilMs: int | None
    ending: str | None
    successors: list[str]
    changed: list[str]


class Conflict(TypedDict):
    """Records that contradict each other in what is known about them."""

    kind: str
    records: list[str]
    about: str
    more: int
    advice: str


class DuplicateGroup(TypedDict):
    """Records that say nearly the same, the oldest first, with the cosine of each to that."""

    records: list[str]
    similarities: list[float]
    more: int


class RetentionReport(TypedDict):
    """What was archived and forgotten."""

    archived: list[str]
    forgotten: list[str]
    expired: int
    dryRun: bool


class Reembedding(TypedDict):
    """What giving all records other vectors did, or would do; its time in seconds."""

    before: str | None
    embedder: str
    dimensions: int
    records: int
    done: int
    texts: int
    characters: int
    seconds: float
    bytes: int
    local: bool | None
    complete: bool
    tokens: int
    price: float | None


class Provenance(TypedDict):
    """Where a text was said."""

    who: str
    session: str
    message: str
    origin: str


class InboxItem(TypedDict):
    """A text that waits for a person."""

    id: str
    text: str
    reason: str
    category: str
    importance: float
    namespace: str
    provenance: Provenance
    createdAtMs: int


class Captured(TypedDict):
    """What became of messages: kept, put before a person, passed over by reason."""

    records: list[str]
    inbox: list[str]
    skipped: dict[str, int]


class Recall(TypedDict):
    """What is remembered about a question, fenced as data for the context of a model."""

    text: str
    hits: list[Hit]
    tokens: int
    leftOut: int
