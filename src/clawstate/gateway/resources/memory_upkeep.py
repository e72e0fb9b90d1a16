"""More operations of the noun `memory`: counts, the archive, policies, files, and upkeep."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import Body as FileBytes
from fastapi import Query
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.errors import InvalidError
from clawstate.files.atomic import write_atomic
from clawstate.files.safe_names import encode_name
from clawstate.gateway.bodies import Body, Limit
from clawstate.gateway.resources.memory import Demands, Namespace, Question
from clawstate.gateway.routing import Opened, Routes
from clawstate.interrupts import Mutex, load_modules
from clawstate.memory.retention import RetentionPolicy, RetentionRule
from clawstate.wire.members import without_old_names
from clawstate.wire.memory import statistics_form
from clawstate.wire.schemas import memory as forms
from clawstate.wire.schemas.records import FileImport

routes = Routes("memory")

DryRun = Annotated[bool, Query(alias="dryRun", description="Tell what would be done.")]


_ONE_BY_ONE = Mutex()  # files of one name would meet; one gateway serves a state


class Ids(Body):
    """The records that are meant."""

    ids: tuple[str, ...]


class Rule(Body):
    """What leaves: all that meets each demand that is given."""

    action: Literal["archive", "forget"] = "archive"
    older_than: float | None = Field(default=None, description="Seconds.")
    importance_below: float | None = None
    category: str | None = None
    source: str | None = None
    tag: str | None = None
    namespace: str | None = None


class Policy(Body):
    """Which records leave, and for how long the archive keeps them."""

    rules: tuple[Rule, ...] = ()
    archive_for: float | None = Field(default=None, description="Seconds.")
    dry_run: bool = True


class Forgetting(Demands):
    """All records that meet these demands; by default they are only counted."""

    dry_run: bool = True


class Missed(Question):
    """A question, and the id or source of a record that did not come."""

    name: str


class Count(TypedDict):
    """How many records that were."""

    count: int


class ArchivedRecords(TypedDict):
    """Archived records in the order of their ids, and the id to go on behind."""

    archived: list[forms.RecordVersion]
    next: str | None


class Verdicts(TypedDict):
    """What became of each record that was asked for."""

    verdicts: list[forms.Verdict]


@routes.read("/stats", dict[str, Any])
def stats(state: Opened) -> Any:
    """Return counts and sizes."""
    return without_old_names(statistics_form(state.memory.stats()))


@routes.write("/explain", Verdicts, scope="read")
def explain(state: Opened, body: Missed) -> Any:
    """Return what became of a record in a search, and why it came or did not."""
    given = body.given()
    for unused in ("explain", "fresh", "snippets"):
        given.pop(unused, None)
    return {"verdicts": state.memory.explain(given.pop("query"), given.pop("name"), **given)}


@routes.write("/forget", Count)
def forget_matching(state: Opened, body: Forgetting) -> Any:
    """Forget all records that meet some demands, or count them."""
    return {"count": state.memory.forget_matching(**body.given(dry_run=body.dry_run))}


@routes.write("/retain", forms.RetentionReport, scope="admin")
def retain(state: Opened, body: Policy) -> Any:
    """Archive and forget what a policy says, or tell what that would be."""
    rules = tuple(RetentionRule(**each.given(action=each.action)) for each in body.rules)
    policy = RetentionPolicy(rules=rules, archive_for=body.archive_for)
    return state.memory.retain(policy, dry_run=body.dry_run)


@routes.read("/archive", ArchivedRecords)
def archived(
    state: Opened,
    *,
    limit: Limit = 50,
    after: Annotated[str | None, Query(max_length=4096, description="An id.")] = None,
) -> Any:
    """Return a page of what is archived."""
    found = state.memory.archived(after=after, limit=limit)
    return {"archived": found, "next": found[-1].record.id if len(found) == limit else None}


@routes.write("/archive", Count)
def archive(state: Opened, body: Ids) -> Any:
    """Take records out of searches and lists; `restore` puts them back."""
    return {"count": state.memory.archive(body.ids)}


@routes.write("/restore", Count)
def restore(state: Opened, body: Ids) -> Any:
    """Put archived records back as they were."""
    return {"count": state.memory.restore(body.ids)}


@routes.write("/compact", forms.Compaction, scope="admin")
def compact(state: Opened) -> Any:
    """Clear the bytes of all that was forgotten or changed, and give back the space."""
    return state.memory.compact()


@routes.write("/optimize", dict[str, Any], scope="admin")
def optimize(state: Opened) -> Any:
    """Drop expired records, embed those that wait, bring the indexes up to date."""
    state.memory.optimize()
    return without_old_names(statistics_form(state.memory.stats()))


@routes.write("/import", FileImport)
def import_file(
    state: Opened,
    body: Annotated[bytes, FileBytes(media_type="application/octet-stream")],
    *,
    name: Annotated[str, Query(min_length=1, max_length=200, description="As of a file.")],
    namespace: Namespace = "default",
    tag: Annotated[list[str] | None, Query(description="Repeatable.")] = None,
    dry_run: DryRun = False,
) -> Any:
    """Take in a file, the body: notes, pages, chat exports; another of its name takes its place."""
    if PurePosixPath(name).name != name or name.startswith("."):
        raise InvalidError("name", "is no name of a file", "give one such as notes.md")
    # A place of its own for each name, since a source is known by its path: the next file of that
    # name takes the place of this one's records. The file itself is gone when they are kept.
    load_modules("clawstate.importers.sync")
    from clawstate.importers.sync import import_paths  # noqa: PLC0415 - seldom used, slow to load

    folder = state.paths.root / "uploads" / encode_name(namespace)
    place = folder / name
    with _ONE_BY_ONE:
        try:
            write_atomic(place, body)
            return import_paths(
                state.memory, [place], namespace=namespace, tags=tag or (), dry_run=dry_run
            )
        finally:
            place.unlink(missing_ok=True)
