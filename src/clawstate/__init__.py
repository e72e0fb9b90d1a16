"""
The persistence layer of a personal AI agent, in one state directory.

.. code-block:: python

    import clawstate

    with clawstate.open() as state:
        state.memory.add("Ada prefers tea", tags=["preference"])
        for hit in state.memory.search("what does Ada drink?"):
            print(hit.score, hit.record.text)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clawstate.errors import (
    ClosedError,
    ConfigError,
    ConflictError,
    CorruptError,
    CorruptWarning,
    DimensionError,
    EmbeddingError,
    FallbackWarning,
    InvalidError,
    LimitError,
    LockTimeoutError,
    MissingExtraError,
    NotFoundError,
    StateError,
    StateWarning,
    UnavailableError,
    VersionError,
)
from clawstate.version import __version__

if TYPE_CHECKING:
    from clawstate.files.paths import StatePaths, resolve_state_dir
    from clawstate.memory.records import Hit, MemoryRecord
    from clawstate.memory.service import Memory
    from clawstate.state import State
    from clawstate.state import open_state as open  # noqa: A004 - clawstate.open, as gzip.open

__all__ = [
    "ClosedError",
    "ConfigError",
    "ConflictError",
    "CorruptError",
    "CorruptWarning",
    "DimensionError",
    "EmbeddingError",
    "FallbackWarning",
    "Hit",
    "InvalidError",
    "LimitError",
    "LockTimeoutError",
    "Memory",
    "MemoryRecord",
    "MissingExtraError",
    "NotFoundError",
    "State",
    "StateError",
    "StatePaths",
    "StateWarning",
    "UnavailableError",
    "VersionError",
    "__version__",
    "open",
    "resolve_state_dir",
]

# Loaded when first used: an agent that imports clawstate at its start does not pay for it there.
_HOMES = {
    "Hit": ("clawstate.memory.records", "Hit"),
    "Memory": ("clawstate.memory.service", "Memory"),
    "MemoryRecord": ("clawstate.memory.records", "MemoryRecord"),
    "State": ("clawstate.state", "State"),
    "StatePaths": ("clawstate.files.paths", "StatePaths"),
    "open": ("clawstate.state", "open_state"),
    "resolve_state_dir": ("clawstate.files.paths", "resolve_state_dir"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
