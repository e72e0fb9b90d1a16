"""More operations of the noun `memory`: capture, the inbox, recall, and what records were."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.errors import NotFoundError
from clawstate.gateway.bodies import PAGE_SIZE, After, Body, Limit
from clawstate.gateway.resources.memory import Id, Made, Namespace
from clawstate.gateway.routing import Opened, Routes
from clawstate.wire.schemas import memory as forms

routes = Routes("memory")

Similarity = Annotated[
    float,
    Query(alias="minSimilarity", ge=0.8, le=1, description="The least cosine of two alike."),
]
ItemId = Annotated[str, Path(description="The id of an item of the inbox.", max_length=4096)]


class Said(Body):
    """Messages with `role` and `content`, and if there are `id`, `sender` and `origin`."""

    messages: list[dict[str, Any]]
    session: str = ""
    who: str = "owner"
    origin: Literal["owner", "agent", "untrusted"] | None = None
    namespace: str = "default"
    max_chars: int = 500


class Wanted(Body):
    """What is asked for, and how many tokens the answer may have."""

    query: str
    budget_tokens: int = 1_000
    namespace: str | None = "default"
    tags: tuple[str, ...] | None = None
    min_score: float = 0.3


class Acceptance(Body):
    """What is remembered in the place of the item's text, if anything."""

    text: str | None = None


class Rejection(Body):
    """The items that are never taken again."""

    ids: tuple[str, ...]


class Successor(Body):
    """The record that gives way, and what takes its place: an id, or a text with changes."""

    old: str
    new: str
    tags: tuple[str, ...] | None = None
    metadata: dict[str, Any] | None = None
    importance: float | None = None
    category: str | None = None
    source: str | None = None
    title: str | None = None
    ttl: Annotated[float | None, Field(description="Seconds from now.")] = None


class Inbox(TypedDict):
    """A page of what waits for a person, and the cursor of the next one."""

    items: list[forms.InboxItem]
    next: str | None


class RejectedItems(TypedDict):
    """How many items waited."""

    rejected: int


class Versions(TypedDict):
    """What a record was and is, the oldest first."""

    versions: list[forms.RecordVersion]


class Conflicts(TypedDict):
    """Records that contradict each other."""

    conflicts: list[forms.Conflict]


class Duplicates(TypedDict):
    """A page of groups of records that say nearly the same, and the cursor of the next one."""

    groups: list[forms.DuplicateGroup]
    next: str | None


class Settlement(Body):
    """A conflict with a file: an id of its records, or the path of a file that is gone."""

    about: str
    keep: Literal["mine", "file", "both"]
    namespace: str | None = None


class Settled(TypedDict):
    """How many records gave way, or were forgotten."""

    gone: int


class Cleared(TypedDict):
    """How many versions were forgotten."""

    forgotten: int


@routes.write("/capture", forms.Captured)
def capture(state: Opened, body: Said) -> Any:
    """Remember what is worth it of messages; what is in doubt waits in the inbox."""
    return state.memory.capture(**body.given())


@routes.write("/recall", forms.Recall, scope="read")
def recall(state: Opened, body: Wanted) -> Any:
    """Return what is remembered about a question as a fenced block for the context of a model."""
    return state.memory.recall(**body.given())


@routes.read("/inbox", Inbox)
def inbox(state: Opened, *, limit: Limit = PAGE_SIZE, after: After = None) -> Any:
    """Return a page of what was captured and waits for a person, the newest first."""
    page = state.memory.inbox(limit, after)
    return {"items": page.items, "next": page.after}


@routes.write("/inbox/accept/{item_id:path}", Made)
def accept(state: Opened, item_id: ItemId, body: Acceptance) -> Any:
    """Remember an item of the inbox, and return the id of the record."""
    return {"id": state.memory.accept(item_id, text=body.text)}


@routes.write("/inbox/reject", RejectedItems)
def reject(state: Opened, body: Rejection) -> Any:
    """Forget items of the inbox, and never take them again."""
    return {"rejected": state.memory.reject(body.ids)}


@routes.read("/history/{record_id:path}", Versions)
def history(state: Opened, record_id: Id) -> Any:
    """Return what a record was and is, with those before it and behind it."""
    return {"versions": state.memory.history(record_id)}


@routes.write("/history/{record_id:path}", Cleared, method="DELETE")
def forget_history(state: Opened, record_id: Id) -> Any:
    """Forget what a record was; the record itself stays."""
    if state.memory.get(record_id) is None:
        raise NotFoundError("memory", record_id)
    return {"forgotten": state.memory.forget_history(record_id)}


@routes.write("/supersede", forms.Record)
def supersede(state: Opened, body: Successor) -> Any:
    """Put a record in the place of another, and return it."""
    given = body.given()
    return state.memory.supersede(given.pop("old"), given.pop("new"), **given)


@routes.read("/conflicts", Conflicts)
def conflicts(
    state: Opened,
    *,
    namespace: Namespace = "default",
    everywhere: Annotated[bool, Query(description="Of all namespaces.")] = False,
) -> Any:
    """Return records that contradict each other, or the files they came from, with advice."""
    return {"conflicts": state.memory.conflicts(namespace=None if everywhere else namespace)}


@routes.read("/duplicates", Duplicates)
def duplicates(
    state: Opened,
    *,
    limit: Limit = PAGE_SIZE,
    after: After = None,
    min_similarity: Similarity = 0.95,
    namespace: Namespace = "default",
) -> Any:
    """
    Return groups of records that say nearly the same, the most alike first.

    The first record of a group is the oldest; *similarities* are cosines to it. All records are
    compared, which takes some seconds of 100,000; an unchanged memory answers again at once.
    """
    page = state.memory.duplicates(limit, after, min_similarity=min_similarity, namespace=namespace)
    return {"groups": page.items, "next": page.after}


@routes.write("/conflicts/resolve", Settled)
def resolve(state: Opened, body: Settlement) -> Any:
    """Settle a conflict between the memory and a file, by what is to stay."""
    return {"gone": state.memory.resolve(**body.given())}
