"""The tools that plugins offer to an agent, with schemas, called by name."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clawstate.arguments import require_kind, require_mapping, require_text
from clawstate.errors import ConflictError, InvalidError, NotFoundError, StateError
from clawstate.interrupts import Mutex
from clawstate.memory.capture.fence import fence_document
from clawstate.plugins.schemas import check_value, validator_of

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

PROGRAM = "program"
"""The owner of tools that no plugin brought."""

_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Tool:
    """
    One thing that an agent can ask for, in the terms of MCP.

    *input_schema* and *output_schema* are JSON Schemas of objects. *run* is given the arguments,
    which were checked, and returns a value that has a JSON form: a mapping, or it becomes the
    member `result` of one. *is_read_only* says that it changes nothing, *is_destructive* that what
    it removes does not come back, *is_idempotent* that a second call changes nothing more.
    *is_recall* says that what it gives was remembered, by whomever it came from: a model is given
    that within a fence that marks it as data (decision 050). *aliases* are other names for
    arguments, which are taken and not shown.
    """

    name: str
    description: str
    input_schema: Mapping[str, Any]
    run: Callable[[Mapping[str, Any]], Any]
    output_schema: Mapping[str, Any] | None = None
    title: str = ""
    is_read_only: bool = False
    is_destructive: bool = False
    is_idempotent: bool = False
    is_recall: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, **arguments: Any) -> Any:
        """Run the tool with *arguments* by name, checked against its schema."""
        given = self.rename_arguments(arguments)
        check_value(validator_of(f"schema of {self.name}", self.input_schema), "input", given)
        return self.run(given)

    def rename_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return *arguments* by the names of the schema; raises `InvalidError` for both names."""
        given: dict[str, Any] = {}
        for name, value in arguments.items():
            known = self.aliases.get(name, name)
            if known in given:
                raise InvalidError(f"arguments.{known}", f"is given as {name} too", "give one")
            given[known] = value
        return given

    def description_form(self) -> dict[str, Any]:
        """Return the entry of the tool in a list of tools of MCP."""
        form: dict[str, Any] = {
            "name": self.name,
            "title": self.title or self.name.replace("_", " ").capitalize(),
            "description": self.description,
            "inputSchema": dict(self.input_schema),
            "annotations": {
                "readOnlyHint": self.is_read_only,
                "destructiveHint": self.is_destructive,
                "idempotentHint": self.is_idempotent or self.is_read_only,
                "openWorldHint": False,
            },
        }
        if self.output_schema is not None:
            form["outputSchema"] = dict(self.output_schema)
        return form


@dataclass(frozen=True, slots=True)
class _Offered:
    owner: str
    tool: Tool
    validator: Validator


class Tools:
    """The tools of all plugins that are loaded, by name. Thread-safe."""

    def __init__(self, write: Callable[[Any], Any], logger: logging.Logger) -> None:
        """*write* gives the JSON form of a public value."""
        self._write = write
        self._logger = logger
        self._mutex = Mutex()
        self._offered: dict[str, _Offered] = {}

    def register_tool(self, tool: Tool, *, owner: str = PROGRAM) -> None:
        """
        Offer *tool*, by default as one of the program itself.

        Raises `ConflictError` for a name that is taken, `InvalidError` for one that is none.
        """
        require_kind("tool", tool, Tool)
        name = require_text("name of the tool", tool.name)
        if not name.replace("_", "").replace("-", "").isalnum() or len(name) > _LONGEST_NAME:
            hint = f"use letters, digits, _ and -, at most {_LONGEST_NAME}"
            raise InvalidError("name of the tool", f"{name!r} is no name of a tool", hint)
        validator = validator_of(f"schema of {name}", tool.input_schema)
        with self._mutex:
            other = self._offered.get(name)
            if other is not None:
                hint = f"{other.owner!r} offers it; disable one of the two, or choose another name"
                raise ConflictError("tool", name, hint)
            self._offered[name] = _Offered(owner, tool, validator)

    def remove(self, owner: str) -> None:
        """Offer nothing of the plugin *owner* any more."""
        with self._mutex:
            kept = {name: each for name, each in self._offered.items() if each.owner != owner}
            self._offered = kept

    def names(self, owner: str | None = None) -> tuple[str, ...]:
        """Return the names of the tools, of all plugins or of one, in order."""
        offered = self._offered.items()
        return tuple(sorted(name for name, each in offered if owner in {None, each.owner}))

    def get(self, name: str) -> Tool:
        """Return the tool; raises `NotFoundError`."""
        return self._require(name).tool

    def descriptions(self) -> list[dict[str, Any]]:
        """Return all tools as a list of tools of MCP has them, by name."""
        return [self.get(name).description_form() for name in self.names()]

    def call(self, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """
        Run the tool *name* and return what it gives as a JSON object.

        Raises `NotFoundError` for an unknown tool, `InvalidError` for *arguments* that its schema
        refuses, and what the tool raises.
        """
        offered = self._require(name)
        given = offered.tool.rename_arguments(require_mapping("arguments", arguments or {}))
        check_value(offered.validator, "arguments", given)
        written = self._write(offered.tool.run(given))
        return written if isinstance(written, dict) else {"result": written}

    def result(self, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """
        Run the tool *name* and return a result of MCP: `content`, `structuredContent`, `isError`.

        The content is the JSON of the structured content, within a fence where that was remembered.
        What goes wrong is in it as a sentence that says what to do; nothing is raised but what ends
        a program.
        """
        try:
            found = self.call(name, arguments)
        except StateError as error:
            return _failure(str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises is its own fault
            # Not the text: it may hold what somebody wrote, or a key.
            self._logger.warning("tool %s failed: %s", name, type(error).__name__)
            return _failure(f"{name} failed: {type(error).__name__}; see the log of its plugin")
        is_recall = self.get(name).is_recall
        text = fence_document(found) if is_recall else json.dumps(found, ensure_ascii=False)
        content = [{"type": "text", "text": text}]
        return {"content": content, "structuredContent": found, "isError": False}

    def _require(self, name: str) -> _Offered:
        found = self._offered.get(require_text("name of the tool", name))
        if found is None:
            known = ", ".join(self.names())
            hint = f"there are {known}" if known else "no plugin is loaded; call plugins.start()"
            raise NotFoundError("tool", name, hint)
        return found


def _failure(sentence: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": sentence}], "isError": True}
