"""The operations of nouns that have few: `status`, `doctor`, `store`, `plugins` and more."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from typing_extensions import TypedDict

from clawstate.doctor import examine, mend
from clawstate.gateway.bodies import PAGE_SIZE, After, Body, Limit
from clawstate.gateway.routing import Opened, Routes
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


class Findings(TypedDict):
    """What is wrong, or was mended."""

    ok: bool
    findings: list[forms.Finding]


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


@doctor.read("", Findings)
def findings(state: Opened, *, quick: Quick = True) -> Any:
    """Return what is wrong with the state."""
    found = examine(state, deep=not quick)
    return {"ok": all(each.severity == "info" for each in found), "findings": found}


@doctor.write("/fix", Findings, scope="admin")
def fix(state: Opened, *, quick: Quick = True) -> Any:
    """Mend what can be mended without loss, and return what was mended or is left."""
    found, left = mend(state, deep=not quick)
    return {"ok": all(each.severity == "info" for each in left), "findings": found}


@store.read("", forms.Summary)
def summary(state: Opened) -> Any:
    """Return which engine keeps the records, how many there are, and what lies in the other."""
    return state.records.summary()


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
