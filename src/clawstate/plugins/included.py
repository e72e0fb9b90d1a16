"""The plugins that come with clawstate: the memory, over the engine that settings choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.config.schema.memory import MemoryConfig, MemoryHooks
from clawstate.plugins.contract import MEMORY, Plugin, Runtime
from clawstate.plugins.memory_tools import memory_tools
from clawstate.version import __version__

_SHORTEST_PROMPT = 5
"""Characters of a prompt for which memories are recalled (OpenClaw's)."""

_BUDGET = 1_000  # tokens of what is recalled by itself


def _register(runtime: Runtime) -> dict[str, Any]:
    memory = runtime.state.memory
    settings: MemoryHooks = runtime.config

    def recall(told: Mapping[str, Any]) -> dict[str, Any] | None:
        prompt = told.get("prompt")
        if not isinstance(prompt, str) or len(prompt.strip()) < _SHORTEST_PROMPT:
            return None
        found = memory.recall(prompt, budget_tokens=_BUDGET)
        return {"prependContext": found.text} if found.text else None

    def capture(told: Mapping[str, Any]) -> None:
        messages = told.get("messages")
        # An answer that failed may hold half of what was meant.
        if isinstance(messages, list) and told.get("success", True):
            session = told.get("sessionKey") or told.get("sessionId") or ""
            memory.capture(messages, session=str(session), max_chars=settings.capture_max_chars)

    for tool in memory_tools(memory):
        runtime.tools.register_tool(tool)
    if settings.auto_recall:
        runtime.hooks.on("before_agent_start", recall)
    if settings.auto_capture:
        runtime.hooks.on("agent_end", capture)
    return {"db": memory, "initialized": True}


MEMORY_CORE = Plugin(
    "memory-core",
    _register,
    name="Memory",
    description="Search, read, change and forget what is remembered.",
    version=__version__,
    kind=MEMORY,
    config_schema=MemoryHooks,
)

MEMORY_LANCEDB = Plugin(
    "memory-lancedb",
    _register,
    name="Memory, as the plugin of OpenClaw has it",
    description="The same tools; its settings choose LanceDB and embeddings by OpenAI.",
    version=__version__,
    kind=MEMORY,
    config_schema=MemoryConfig,
)

OUR_PLUGINS = (MEMORY_CORE, MEMORY_LANCEDB)
"""The plugins that come with clawstate."""
