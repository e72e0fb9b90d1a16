"""
The persistence layer of a personal AI agent, in one state directory.

.. code-block:: python

    import clawstate

    with clawstate.open() as state:
        state.memory.add("Ada prefers tea", tags=["preference"])
        for hit in state.memory.search("what does Ada drink?"):
            print(hit.score, hit.record.text)
"""

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
from clawstate.files.paths import StatePaths, resolve_state_dir
from clawstate.memory.records import Hit, MemoryRecord
from clawstate.memory.service import Memory
from clawstate.state import State
from clawstate.state import open_state as open  # noqa: A004 - clawstate.open, as gzip.open
from clawstate.version import __version__

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
