"""The plugins that come with clawstate: the memory, over the engine that settings choose."""

from __future__ import annotations

from typing import Any

from clawstate.config.schema.memory import MemoryConfig
from clawstate.plugins.contract import MEMORY, Plugin, Runtime
from clawstate.plugins.memory_tools import memory_tools
from clawstate.version import __version__


def _register(runtime: Runtime) -> dict[str, Any]:
    memory = runtime.state.memory
    for tool in memory_tools(memory):
        runtime.tools.register_tool(tool)
    return {"db": memory, "initialized": True}


MEMORY_CORE = Plugin(
    "memory-core",
    _register,
    name="Memory",
    description="Search, read, change and forget what is remembered.",
    version=__version__,
    kind=MEMORY,
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

INCLUDED = (MEMORY_CORE, MEMORY_LANCEDB)
"""The plugins that come with clawstate."""
