"""The operations of the noun `config`: read, change and check the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.config.view import View
from clawstate.errors import CorruptError, InvalidError
from clawstate.gateway.answers import require_match
from clawstate.gateway.bodies import PAGE_SIZE, Agent, Body, Limit
from clawstate.gateway.routing import IfMatch, Opened, Routes
from clawstate.json5.parse import parse_document
from clawstate.wire import to_wire
from clawstate.wire.schemas import records as forms

routes = Routes("config")

KeyPath = Annotated[
    str, Query(max_length=4096, description="Such as `gateway.port` or `agents.list[0].id`.")
]
Force = Annotated[bool, Query(description="Write even what looks like an accident.")]
Number = Annotated[int | None, Query(ge=1, description="Of a change; by default the last one.")]


class Setting(Body):
    """A value for a path; secrets go in here, never into an address."""

    path: str
    value: Any
    force: bool = Field(default=False, description="Write even what looks like an accident.")


class Text(Body):
    """The whole text of the file, and the one that it takes the place of."""

    text: str
    expected: str | None = Field(default=None, description="Refuse if the file says another one.")
    force: bool = False


class Undo(Body):
    """Which change is taken back, by default the last one that stands."""

    number: Annotated[int, Field(ge=1)] | None = None
    force: bool = False


class Value(TypedDict):
    """The value of a path that counts, its secrets replaced."""

    path: str | None
    value: Any


class Written(TypedDict):
    """Whether something changed, and what."""

    changed: bool
    change: forms.Change | None


class WholeText(TypedDict):
    """The text of the configuration as it is on disk."""

    path: str
    text: str


class Validity(TypedDict):
    """What is wrong with the configuration."""

    valid: bool
    issues: list[forms.Issue]
    warnings: list[forms.Issue]


class Settings(TypedDict):
    """The file that settings are written to, and all that are written, wherever."""

    file: str
    settings: list[forms.WrittenSetting]


class History(TypedDict):
    """Changes, the newest first, and the number to go on behind."""

    changes: list[forms.Change]
    next: int | None


class Diff(TypedDict):
    """A change as a unified diff without secrets."""

    diff: str


@routes.read("/value", Value)
def value(
    state: Opened,
    *,
    path: Annotated[str | None, Query(max_length=4096)] = None,
    agent: Agent = None,
) -> Any:
    """Return the value of a path, or everything, with defaults; secrets are replaced."""
    return {"path": path, "value": state.config.redacted(path, agent_id=agent)}


@routes.write("/value", Written, method="PUT", scope="admin")
def set_value(
    state: Opened, body: Setting, *, agent: Agent = None, if_match: IfMatch = None
) -> Any:
    """Set a path to a value; comments and all else in the file stay."""
    seen = _require_version(state, if_match, body.path, agent)
    change = state.config.set(body.path, body.value, expect=seen, force=body.force, agent_id=agent)
    return _change_document(state, change)


@routes.write("/value", Written, method="DELETE", scope="admin")
def unset_value(
    state: Opened,
    *,
    path: KeyPath,
    force: Force = False,
    agent: Agent = None,
    if_match: IfMatch = None,
) -> Any:
    """Remove what stands at a path."""
    seen = _require_version(state, if_match, path, agent)
    change = state.config.unset(path, expect=seen, force=force, agent_id=agent)
    return _change_document(state, change)


@routes.read("/settings", Settings, scope="admin")
def settings(state: Opened) -> Any:
    """Return each setting that is written, with its file and line; secrets are left out."""
    root = state.paths.root
    written = to_wire(state.config.written(), root=root)
    file = state.config.path
    shown = file.relative_to(root) if file.is_relative_to(root) else file
    return {"file": shown.as_posix(), "settings": written}


@routes.read("/text", WholeText, scope="admin")
def text(state: Opened, *, agent: Agent = None) -> Any:
    """Return the text of the file as it is, for an editor: its secrets are in it."""
    return {"path": str(state.config.path), "text": state.config.text(agent_id=agent)}


@routes.write("/text", Written, method="PUT", scope="admin")
def replace_text(
    state: Opened, body: Text, *, agent: Agent = None, if_match: IfMatch = None
) -> Any:
    """Make a text the whole text of the file."""
    try:
        parse_document(body.text, path=Path("text"))
    except CorruptError as error:  # of what was sent: the file itself is as it was
        raise InvalidError("text", error.problem) from None
    expected = body.expected
    if if_match is not None:
        now = state.config.text(agent_id=agent)
        shown = {"path": str(state.config.path), "text": now}
        require_match(if_match, shown, "configuration", shown["path"])
        expected = now
    change = state.config.replace(body.text, expected=expected, force=body.force, agent_id=agent)
    return _change_document(state, change)


@routes.read("/issues", Validity)
def validate(state: Opened, *, agent: Agent = None) -> Any:
    """Return what is wrong with the configuration, and where."""
    issues = state.config.issues(agent_id=agent)
    errors = [each for each in issues if each.severity == "error"]
    warnings = [each for each in issues if each.severity == "warning"]
    file = state.config.path
    return {
        "valid": not errors,
        "issues": to_wire(errors, file=file),
        "warnings": to_wire(warnings, file=file),
    }


@routes.read("/schema", dict[str, Any])
def schema(_state: Opened) -> Any:
    """Return the JSON Schema of the configuration, from which a form can be drawn."""
    from clawstate.config.schema.root import json_schema  # noqa: PLC0415 - slow

    return json_schema()


@routes.read("/history", History, scope="admin")
def history(
    state: Opened,
    *,
    agent: Agent = None,
    limit: Limit = PAGE_SIZE,
    after: Annotated[int | None, Query(ge=1, description="The number of a change.")] = None,
) -> Any:
    """Return a page of the changes that are remembered, the newest first."""
    changes = state.config.history(agent_id=agent)
    found = [each for each in reversed(changes) if after is None or each.number < after]
    more = found[limit - 1].number if len(found) > limit else None
    return {"changes": to_wire(found[:limit], root=state.paths.root), "next": more}


@routes.read("/diff", Diff)
def diff(state: Opened, *, number: Number = None, agent: Agent = None) -> Any:
    """Return what a change did, without secrets."""
    return {"diff": state.config.diff(number, agent_id=agent)}


@routes.write("/undo", Written, scope="admin")
def undo(state: Opened, body: Undo, *, agent: Agent = None) -> Any:
    """Put back what was there before a change."""
    done = state.config.undo(number=body.number, force=body.force, agent_id=agent)
    return _change_document(state, done)


def _change_document(state: Opened, change: Any) -> dict[str, Any]:
    return {
        "changed": change is not None,
        "change": None if change is None else to_wire(change, root=Path(state.paths.root)),
    }


def _require_version(
    state: Opened, if_match: str | None, path: str, agent: str | None
) -> View | None:
    """Return the settings that `If-Match` is about; the step that writes compares once more."""
    if if_match is None:
        return None
    if not path:
        raise InvalidError("path", "is empty", "name a setting")
    # Looked at before what is shown: a change in between is one that the writing step finds.
    seen = state.config.view() if agent is None else state.config.agent_view(agent)
    shown = {"path": path, "value": state.config.redacted(path, agent_id=agent)}
    require_match(if_match, shown, "setting", path)
    return seen
