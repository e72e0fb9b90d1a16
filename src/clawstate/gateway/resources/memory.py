"""The operations of the noun `memory`: remember, search, look at, change and forget."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NotRequired

from fastapi import Path, Query
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.errors import NotFoundError
from clawstate.gateway.answers import require_match
from clawstate.gateway.bodies import PAGE_SIZE, After, Body, Limit
from clawstate.gateway.routing import IfMatch, Opened, Routes
from clawstate.memory.capture.values import Origin
from clawstate.memory.function_words import common_words
from clawstate.memory.records import Hit, MemoryRecord
from clawstate.snippets import pieces, snippet
from clawstate.wire import to_wire
from clawstate.wire.schemas import memory as forms

routes = Routes("memory")

Id = Annotated[str, Path(description="The id of a record.", max_length=4096)]
Namespace = Annotated[str, Query(description="Whose memory.")]
Moment = float | str
Mode = Literal["hybrid", "words", "vector"]

_WORD = re.compile(r"\w+")


class NewRecord(Body):
    """A text to remember, and what is known about it; *ttl* in seconds."""

    text: str
    source: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    importance: float = 0.7
    category: str = "other"
    ttl: float | None = None
    namespace: str = "default"
    thread: str | None = None
    position: int | None = None
    title: str | None = None
    headings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class RecordChanges(Body):
    """The fields of a record that change; *ttl* in seconds from now."""

    text: str | None = None
    source: str | None = None
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None
    importance: float | None = None
    category: str | None = None
    ttl: float | None = None
    thread: str | None = None
    position: int | None = None
    title: str | None = None
    headings: list[str] | None = None
    names: list[str] | None = None


class Demands(Body):
    """Which records are meant; *namespace* null for all of them."""

    namespace: str | None = "default"
    tags: list[str] | None = None
    source: str | None = None
    where: dict[str, Any] | None = Field(
        default=None, description="Demands on metadata: values, lists of values, operators."
    )
    since: Moment | None = Field(default=None, description="Seconds since the epoch, or ISO text.")
    until: Moment | None = None


class Question(Demands):
    """A question to the memory."""

    query: str
    k: int = Field(default=10, description="How many hits at most.")
    mode: Mode = "hybrid"
    min_score: float = 0.0
    explain: bool = Field(default=False, description="Tell of each hit what gave its score.")
    as_of: Moment | None = Field(default=None, description="Ask the memory as it was then.")
    fresh: bool = Field(default=False, description="Do not answer from the cache.")
    snippets: bool = Field(
        default=False, description="Give the part of each text that shows why it came."
    )


class Made(TypedDict):
    """The id of a record that was made."""

    id: str


class Hits(TypedDict):
    """What a search found, the best first."""

    results: list[forms.Hit]
    mode: str


class Records(TypedDict):
    """A page of records, and the cursor of the next one."""

    records: list[forms.Record]
    next: str | None


class ForgottenRecords(TypedDict):
    """How many records were forgotten, and the receipt if it was asked for."""

    forgotten: int
    receipt: NotRequired[forms.Receipt]


@routes.write("/records", Made, status=201)
def add(state: Opened, body: NewRecord) -> Any:
    """Remember a text."""
    return {"id": state.memory.add(**body.given())}


@routes.read("/records", Records)
def records(
    state: Opened,
    *,
    limit: Limit = PAGE_SIZE,
    after: After = None,
    namespace: Namespace = "default",
    tag: Annotated[list[str] | None, Query(description="All of these tags.")] = None,
    source: Annotated[str | None, Query(description="A file, folder, name or pattern.")] = None,
    origin: Annotated[Origin | None, Query(description="Whose words they were.")] = None,
    since: Annotated[Moment | None, Query(description="Made since then.")] = None,
    until: Annotated[Moment | None, Query(description="Made until then.")] = None,
    everywhere: Annotated[bool, Query(description="Of all namespaces.")] = False,
) -> Any:
    """Return a page of what is kept, what was made last on top."""
    found = state.memory.page(
        limit,
        after,
        namespace=None if everywhere else namespace,
        tags=tag,
        source=source,
        where=None if origin is None else {"captured.origin": origin},
        since=since,
        until=until,
    )
    return {"records": found.items, "next": found.after}


@routes.write("/search", Hits, scope="read")
def search(state: Opened, body: Question) -> Any:
    """Return the records that answer a question, the best first."""
    given = body.given()
    if given.pop("snippets", False):
        return {"results": _with_snippets(state, given), "mode": body.mode}
    found: list[Hit] = state.memory.search(**given)
    return {"results": found, "mode": body.mode}


def _with_snippets(state: Opened, given: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Return hits, each with the part of its text that has the words for which it came.

    Without *explain* those are the words of the question that say something: to explain a hit
    takes ten times as long as to find it, and who types asks many times.
    """
    found: list[Hit] = state.memory.search(**given)
    forms: list[dict[str, Any]] = to_wire(found)
    asked = _telling_words(given["query"])
    for hit, form in zip(found, forms, strict=True):
        parts = () if hit.explanation is None else hit.explanation.parts
        words = [each.written for each in parts if each.written and each.field in {"", "text"}]
        text, matches = snippet(hit.record.text, words or asked)
        form["snippet"] = [
            {"text": piece, "marked": is_marked} for piece, is_marked in pieces(text, matches)
        ]
    return forms


def _telling_words(query: str) -> list[str]:
    """Return the words of *query* without those of grammar, or all where it has no others."""
    words = _WORD.findall(query)
    folded = [each.casefold() for each in words]
    common = common_words(folded)
    return [each for each, low in zip(words, folded, strict=True) if low not in common] or words


@routes.read("/records/{record_id:path}", forms.Record)
def get(state: Opened, record_id: Id) -> MemoryRecord:
    """Return one record."""
    return state.memory.require(record_id)


@routes.write("/records/{record_id:path}", forms.Record, method="PATCH")
def update(
    state: Opened, record_id: Id, body: RecordChanges, if_match: IfMatch = None
) -> MemoryRecord:
    """Change fields of a record, and return it."""
    expected = None
    if if_match is not None:
        before = state.memory.require(record_id)
        require_match(if_match, before, "memory", record_id)
        expected = before.updated_at
    return state.memory.update(record_id, expected_updated_at=expected, **body.given())


@routes.write("/records/{record_id:path}", ForgottenRecords, method="DELETE")
def forget(
    state: Opened,
    record_id: Id,
    *,
    if_match: IfMatch = None,
    receipt: Annotated[bool, Query(description="Clear the bytes at once, and tell.")] = False,
) -> Any:
    """Forget a record."""
    if if_match is not None:
        require_match(if_match, state.memory.require(record_id), "memory", record_id)
    if receipt:
        told = state.memory.forget([record_id])
        if not told.records:
            raise NotFoundError("memory", record_id)
        return {"forgotten": len(told.records), "receipt": told}
    if not state.memory.delete(record_id):
        raise NotFoundError("memory", record_id)
    return {"forgotten": 1}
