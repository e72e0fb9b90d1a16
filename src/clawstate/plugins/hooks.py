"""The events of an agent that plugins listen to; one that fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clawstate.arguments import require_callable, require_text
from clawstate.errors import InvalidError
from clawstate.interrupts import Mutex

Callback = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""Is given what the event tells; what it returns is added to what `Hooks.run` gives back."""

EVENTS = (
    "before_model_resolve",
    "before_prompt_build",
    "before_agent_start",
    "llm_input",
    "llm_output",
    "agent_end",
    "before_compaction",
    "after_compaction",
    "before_reset",
    "message_received",
    "message_sending",
    "message_sent",
    "before_tool_call",
    "after_tool_call",
    "tool_result_persist",
    "before_message_write",
    "session_start",
    "session_end",
    "gateway_start",
    "gateway_stop",
)
"""The names of the events, as OpenClaw has them."""

JOINED = ("prependContext", "appendContext")
"""Texts of which each plugin may give a part: the parts are put one below the other."""


@dataclass(frozen=True, slots=True)
class _Listener:
    owner: str
    priority: int
    number: int
    callback: Callback


class Hooks:
    """Who listens to which event. Thread-safe."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._mutex = Mutex()
        self._listeners: dict[str, tuple[_Listener, ...]] = {}
        self._number = 0

    def add(self, owner: str, name: str, callback: Callback, *, priority: int = 0) -> None:
        """Let *callback* of the plugin *owner* listen to *name*; raises `InvalidError`."""
        require_callable("callback", callback)
        if require_text("event", name) not in EVENTS:
            raise InvalidError("event", f"{name!r} is unknown", f"use one of {', '.join(EVENTS)}")
        if isinstance(priority, bool) or not isinstance(priority, int):
            raise InvalidError("priority", "is not a whole number")
        with self._mutex:
            self._number += 1
            added = _Listener(owner, priority, self._number, callback)
            listeners = (*self._listeners.get(name, ()), added)
            ordered = sorted(listeners, key=lambda each: (-each.priority, each.number))
            self._listeners[name] = tuple(ordered)

    def remove(self, owner: str) -> None:
        """Let nothing of the plugin *owner* listen any more."""
        with self._mutex:
            for name, listeners in self._listeners.items():
                self._listeners[name] = tuple(each for each in listeners if each.owner != owner)

    def run(self, name: str, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """
        Tell all who listen to *name* what happened, and return what they answered, as one mapping.

        A later answer counts more, except that parts of `prependContext` and `appendContext` are
        put together. The error of a plugin is logged, by its kind alone; the others are called all
        the same. Raises `InvalidError` for an unknown event.
        """
        if name not in EVENTS:
            raise InvalidError("event", f"{name!r} is unknown", f"use one of {', '.join(EVENTS)}")
        answer: dict[str, Any] = {}
        for each in self._listeners.get(name, ()):
            try:
                given = each.callback(dict(told or {}))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises is its own fault
                # Not the text: it may hold what somebody wrote, or a key.
                kind = type(error).__name__
                self._logger.warning("plugin %s failed at %s: %s", each.owner, name, kind)
                continue
            for key, value in (given or {}).items():
                if key in JOINED and isinstance(value, str) and isinstance(answer.get(key), str):
                    answer[key] = f"{answer[key]}\n{value}"
                else:
                    answer[key] = value
        return answer
