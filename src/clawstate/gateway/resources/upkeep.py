"""The operations of nouns that have few: `status`, `doctor`, `store`, `plugins` and more."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path as FilePath
from types import ModuleType
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.gateway.bodies import PAGE_SIZE, After, Body, Limit
from clawstate.gateway.jobs import JobForm, Tell
from clawstate.gateway.resources.jobs import jobs_of
from clawstate.gateway.routing import Opened, Routes
from clawstate.health import Finding
from clawstate.interrupts import load_modules
from clawstate.wire import to_wire
from clawstate.wire.members import without_old_names
from clawstate.wire.schemas import records as forms
from clawstate.wire.status import status_of

status = Routes("status")
doctor = Routes("doctor")
store = Routes("store")
plugins = Routes("plugins")
dedupe = Routes("dedupe")
agents = Routes("agents")
changes = Routes("changes")

PluginId = Annotated[str, Path(description="The id of a plugin.", max_length=512)]
Quick = Annotated[bool, Query(description="Do not read every page.")]


class Mark(Body):
    """A key, such as the id of a message, and where it counts."""

    key: str
    namespace: str = "global"


class Move(Body):
    """What is moved where to: `file`, `sqlite`, `lancedb` or `postgresql://...`."""

    to: Annotated[str, Field(min_length=1, max_length=4096)]
    what: Literal["records", "memory"] = "records"
    dry_run: bool = Field(default=False, description="Tell what would move.")


class MendableFinding(forms.Finding):
    """What is wrong, and whether the gateway can mend it without loss."""

    mendable: bool


class Findings(TypedDict):
    """What is wrong, or was mended."""

    ok: bool
    findings: list[MendableFinding]


class Place(TypedDict):
    """How many bytes a file or folder of the state has, with all below it."""

    name: str
    bytes: int


class Space(TypedDict):
    """How many bytes the state takes, where, and how many its disk has left."""

    bytes: int
    places: list[Place]
    freeBytes: int
    totalBytes: int


class Plugins(TypedDict):
    """The plugins, and why each runs or does not."""

    plugins: list[forms.PluginInfo]


class NewMark(TypedDict):
    """Whether a key was new."""

    new: bool


class ForgottenMark(TypedDict):
    """Whether there was a mark."""

    forgotten: bool


class Namespaces(TypedDict):
    """How many marks each namespace of a page has, and the cursor of the next page."""

    namespaces: dict[str, forms.NamespaceStatistics]
    next: str | None


class PrunedMarks(TypedDict):
    """How many marks were removed."""

    pruned: int


class Agents(TypedDict):
    """The agents that may have credentials."""

    agents: list[str]


@status.read("", dict[str, Any])
def read_status(state: Opened) -> Any:
    """Return what is kept and where: sizes, counts, versions, the last durable write."""
    return without_old_names(status_of(state).document)


@status.read("/space", Space)
def space(state: Opened) -> Any:
    """Return how many bytes the state takes, the largest place first, and how many are free."""
    return _space_of(state.paths.root)


@doctor.read("", Findings)
def findings(state: Opened, *, quick: Quick = True) -> Any:
    """Return what is wrong with the state, and what of it can be mended."""
    found = _doctor().examine(state, deep=not quick)
    return _findings(found, found)


@doctor.write("/fix", Findings, scope="admin")
def fix(
    state: Opened,
    *,
    quick: Quick = True,
    code: Annotated[str | None, Query(description="Mend findings of this code alone.")] = None,
    path: Annotated[str | None, Query(description="Mend findings of this path alone.")] = None,
) -> Any:
    """Mend what can be mended without loss, and return what was mended or is left."""

    def is_wanted(finding: Finding) -> bool:
        return code in {None, finding.code} and path in {None, finding.path}

    found, left = _doctor().mend(state, deep=not quick, wanted=is_wanted)
    return _findings(found, left)


@store.read("", forms.Summary)
def summary(state: Opened) -> Any:
    """Return which engine keeps the records, how many there are, and what lies in the other."""
    return state.records.summary()


@store.write("/migrate", JobForm, scope="admin", status=202)
def migrate(request: Request, state: Opened, body: Move) -> Any:
    """
    Begin to move all records, or the memory, to another engine, and keep them there from now on.

    All are copied and compared before the setting changes, and what they lay in stays. Cancelled or
    killed at any point nothing is lost: called again it goes on. The job's `result` is what
    `clawstate store migrate` tells.
    """

    def work(tell: Tell) -> Any:
        if body.what == "memory":
            return state.records.migrate_memory(body.to, dry_run=body.dry_run, tell=tell)
        return state.records.migrate(body.to, dry_run=body.dry_run, tell=tell)

    return jobs_of(request).begin("store.migrate", work).form


@plugins.read("", Plugins)
def list_plugins(state: Opened) -> Any:
    """Return each plugin, whether it runs, and why."""
    return {"plugins": state.plugins.list()}


@plugins.write("/enable/{plugin_id:path}", forms.PluginInfo, scope="admin")
def enable(state: Opened, plugin_id: PluginId) -> Any:
    """Let a plugin run from the next start on."""
    return state.plugins.enable(plugin_id)


@plugins.write("/disable/{plugin_id:path}", forms.PluginInfo, scope="admin")
def disable(state: Opened, plugin_id: PluginId) -> Any:
    """Let a plugin not run from the next start on."""
    return state.plugins.disable(plugin_id)


@dedupe.write("/check", NewMark)
def check(state: Opened, body: Mark) -> Any:
    """Mark a key, and tell whether it is new."""
    return {"new": state.dedupe.check_and_record(body.key, body.namespace)}


@dedupe.write("/forget", ForgottenMark)
def forget(state: Opened, body: Mark) -> Any:
    """Remove the mark of a key, which is new again then."""
    return {"forgotten": state.dedupe.forget(body.key, body.namespace)}


@dedupe.read("", Namespaces)
def stats(state: Opened, *, limit: Limit = PAGE_SIZE, after: After = None) -> Any:
    """Return how many marks each namespace of a page has."""
    page = state.dedupe.page(limit, after)
    return {"namespaces": {name: state.dedupe.stats(name) for name in page}, "next": page.after}


@dedupe.write("/prune", PrunedMarks)
def prune(state: Opened, *, namespace: Annotated[str | None, Query()] = None) -> Any:
    """Remove marks that expired, and the oldest of those too many."""
    return {"pruned": state.dedupe.prune(namespace)}


@agents.read("", Agents)
def list_agents(state: Opened) -> Any:
    """Return the agents that may have credentials, `main` first."""
    return {"agents": state.agents()}


@changes.read("", forms.Changes)
def since(
    state: Opened,
    *,
    since: Annotated[
        str | None, Query(description="A cursor; without one only that of now.")
    ] = None,
) -> Any:
    """Return what moved in the state after a cursor, by any process."""
    return state.changes(since)


def _doctor() -> ModuleType:
    """Return what looks for what is wrong: it knows all parts, and takes long to load."""
    load_modules("clawstate.doctor")
    return import_module("clawstate.doctor")


def _findings(found: Iterable[Finding], left: Iterable[Finding]) -> dict[str, Any]:
    return {
        "ok": all(each.severity == "info" for each in left),
        "findings": [{**to_wire(each), "mendable": each.repair is not None} for each in found],
    }


def _space_of(root: FilePath) -> dict[str, Any]:
    places: list[dict[str, Any]] = []
    with suppress(FileNotFoundError), os.scandir(root) as entries:
        places = [{"name": each.name, "bytes": _size_of(each)} for each in entries]
    places.sort(key=lambda each: (-each["bytes"], each["name"]))
    there = next(each for each in (root, *root.parents) if each.exists())
    disk = shutil.disk_usage(there)
    return {
        "bytes": sum(each["bytes"] for each in places),
        "places": places,
        "freeBytes": disk.free,
        "totalBytes": disk.total,
    }


def _size_of(entry: os.DirEntry[str]) -> int:
    """Return the bytes of *entry* and of all below it; what goes meanwhile counts nothing."""
    with suppress(OSError):
        if not entry.is_dir(follow_symlinks=False):
            return entry.stat(follow_symlinks=False).st_size
        with os.scandir(entry) as below:
            return sum(map(_size_of, below))
    return 0
