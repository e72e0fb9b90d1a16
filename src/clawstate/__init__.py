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
    ElsewhereWarning,
    EmbeddingError,
    FallbackWarning,
    InvalidError,
    LeaseLostError,
    LimitError,
    LockLostError,
    LockTimeoutError,
    MissingExtraError,
    NotFoundError,
    StaleLockWarning,
    StateError,
    StateWarning,
    UnavailableError,
    UnresolvedWarning,
    VersionError,
)
from clawstate.version import __version__

if TYPE_CHECKING:
    from clawstate.aio import AsyncState, open_async
    from clawstate.caches.directory import DirectoryCache
    from clawstate.caches.ttl import TTLCache
    from clawstate.config.service import Config
    from clawstate.config.values import (
        get_config_value_at_path,
        resolve_config,
        set_config_value_at_path,
        unset_config_value_at_path,
    )
    from clawstate.files.atomic import write_json_file_atomically
    from clawstate.files.lock import FileLock, file_lock, with_file_lock
    from clawstate.files.lock_options import LockOptions
    from clawstate.files.paths import StatePaths, resolve_state_dir
    from clawstate.memory.map.values import MapColumn, MapRegion, MemoryMap
    from clawstate.memory.records import Hit, Hits, MemoryRecord
    from clawstate.memory.service import Memory
    from clawstate.plugins.memory_tools import (
        create_memory_get_tool,
        create_memory_search_tool,
        create_memory_update_tool,
    )
    from clawstate.state import State
    from clawstate.state import open_state as open  # noqa: A004 - clawstate.open, as gzip.open
    from clawstate.state.auth_functions import (
        load_auth_profile_store,
        reload_auth_profile_store,
        save_auth_profile_store,
        upsert_auth_profile,
    )
    from clawstate.state.matrix_functions import resolve_matrix_storage_paths
    from clawstate.state.session_functions import (
        resolve_and_persist_session_file,
        update_session_store,
    )
    from clawstate.stores.dedupe import PersistentDedupe
    from clawstate.stores.matrix import SimpleFsStorageProvider
    from clawstate.types import (
        ApiKey,
        Archived,
        AuthImport,
        AuthProblem,
        Captured,
        Change,
        Changes,
        Compaction,
        Conflict,
        Credential,
        DedupeStatistics,
        Device,
        DeviceIdentity,
        DeviceToken,
        DuplicateGroup,
        EncryptionSummary,
        Era,
        Explanation,
        FileImport,
        Finding,
        Forgotten,
        InboxItem,
        Invitation,
        Issue,
        IssuedToken,
        LegScore,
        MatrixCredential,
        MatrixStoragePaths,
        MemoryChange,
        MemorySpan,
        MergeResult,
        Message,
        NamespaceStatistics,
        OAuth,
        OpenClawCredential,
        OpenClawImport,
        OpenClawSession,
        Outcome,
        Owner,
        Page,
        PairingRequest,
        PartChange,
        Plugin,
        PluginInfo,
        Profile,
        Proof,
        Provenance,
        Pruned,
        Recall,
        Receipt,
        RecordVersion,
        Reembedding,
        RetentionPolicy,
        RetentionReport,
        RetentionRule,
        Runtime,
        ScorePart,
        SessionChange,
        SessionEntry,
        Standing,
        StoredToken,
        TimelineChange,
        TimelineSpan,
        Token,
        Tool,
        TranscriptHit,
        TranscriptImport,
        TranscriptInfo,
        TranscriptProblem,
        Unmet,
        Usage,
        Verdict,
        WrittenSetting,
    )

__all__ = [
    "ApiKey",
    "Archived",
    "AsyncState",
    "AuthImport",
    "AuthProblem",
    "Captured",
    "Change",
    "Changes",
    "ClosedError",
    "Compaction",
    "Config",
    "ConfigError",
    "Conflict",
    "ConflictError",
    "CorruptError",
    "CorruptWarning",
    "Credential",
    "DedupeStatistics",
    "Device",
    "DeviceIdentity",
    "DeviceToken",
    "DimensionError",
    "DirectoryCache",
    "DuplicateGroup",
    "ElsewhereWarning",
    "EmbeddingError",
    "EncryptionSummary",
    "Era",
    "Explanation",
    "FallbackWarning",
    "FileImport",
    "FileLock",
    "Finding",
    "Forgotten",
    "Hit",
    "Hits",
    "InboxItem",
    "InvalidError",
    "Invitation",
    "Issue",
    "IssuedToken",
    "LeaseLostError",
    "LegScore",
    "LimitError",
    "LockLostError",
    "LockOptions",
    "LockTimeoutError",
    "MapColumn",
    "MapRegion",
    "MatrixCredential",
    "MatrixStoragePaths",
    "Memory",
    "MemoryChange",
    "MemoryMap",
    "MemoryRecord",
    "MemorySpan",
    "MergeResult",
    "Message",
    "MissingExtraError",
    "NamespaceStatistics",
    "NotFoundError",
    "OAuth",
    "OpenClawCredential",
    "OpenClawImport",
    "OpenClawSession",
    "Outcome",
    "Owner",
    "Page",
    "PairingRequest",
    "PartChange",
    "PersistentDedupe",
    "Plugin",
    "PluginInfo",
    "Profile",
    "Proof",
    "Provenance",
    "Pruned",
    "Recall",
    "Receipt",
    "RecordVersion",
    "Reembedding",
    "RetentionPolicy",
    "RetentionReport",
    "RetentionRule",
    "Runtime",
    "ScorePart",
    "SessionChange",
    "SessionEntry",
    "SimpleFsStorageProvider",
    "StaleLockWarning",
    "Standing",
    "State",
    "StateError",
    "StatePaths",
    "StateWarning",
    "StoredToken",
    "TTLCache",
    "TimelineChange",
    "TimelineSpan",
    "Token",
    "Tool",
    "TranscriptHit",
    "TranscriptImport",
    "TranscriptInfo",
    "TranscriptProblem",
    "UnavailableError",
    "Unmet",
    "UnresolvedWarning",
    "Usage",
    "Verdict",
    "VersionError",
    "WrittenSetting",
    "__version__",
    "create_memory_get_tool",
    "create_memory_search_tool",
    "create_memory_update_tool",
    "file_lock",
    "get_config_value_at_path",
    "load_auth_profile_store",
    "open",
    "open_async",
    "reload_auth_profile_store",
    "resolve_and_persist_session_file",
    "resolve_config",
    "resolve_matrix_storage_paths",
    "resolve_state_dir",
    "save_auth_profile_store",
    "set_config_value_at_path",
    "unset_config_value_at_path",
    "update_session_store",
    "upsert_auth_profile",
    "with_file_lock",
    "write_json_file_atomically",
]

# Loaded when first used: an agent that imports clawstate at its start does not pay for it there.
_HOMES = {
    "AsyncState": ("clawstate.aio", "AsyncState"),
    "Config": ("clawstate.config.service", "Config"),
    "DirectoryCache": ("clawstate.caches.directory", "DirectoryCache"),
    "FileLock": ("clawstate.files.lock", "FileLock"),
    "Hit": ("clawstate.memory.records", "Hit"),
    "Hits": ("clawstate.memory.records", "Hits"),
    "LockOptions": ("clawstate.files.lock_options", "LockOptions"),
    "Memory": ("clawstate.memory.service", "Memory"),
    "MapColumn": ("clawstate.memory.map.values", "MapColumn"),
    "MapRegion": ("clawstate.memory.map.values", "MapRegion"),
    "MemoryMap": ("clawstate.memory.map.values", "MemoryMap"),
    "MemoryRecord": ("clawstate.memory.records", "MemoryRecord"),
    "PersistentDedupe": ("clawstate.stores.dedupe", "PersistentDedupe"),
    "SimpleFsStorageProvider": ("clawstate.stores.matrix", "SimpleFsStorageProvider"),
    "State": ("clawstate.state", "State"),
    "StatePaths": ("clawstate.files.paths", "StatePaths"),
    "TTLCache": ("clawstate.caches.ttl", "TTLCache"),
    "create_memory_get_tool": ("clawstate.plugins.memory_tools", "create_memory_get_tool"),
    "create_memory_search_tool": ("clawstate.plugins.memory_tools", "create_memory_search_tool"),
    "create_memory_update_tool": ("clawstate.plugins.memory_tools", "create_memory_update_tool"),
    "file_lock": ("clawstate.files.lock", "file_lock"),
    "get_config_value_at_path": ("clawstate.config.values", "get_config_value_at_path"),
    "load_auth_profile_store": ("clawstate.state.auth_functions", "load_auth_profile_store"),
    "open": ("clawstate.state", "open_state"),
    "open_async": ("clawstate.aio", "open_async"),
    "reload_auth_profile_store": ("clawstate.state.auth_functions", "reload_auth_profile_store"),
    "resolve_and_persist_session_file": (
        "clawstate.state.session_functions",
        "resolve_and_persist_session_file",
    ),
    "resolve_config": ("clawstate.config.values", "resolve_config"),
    "resolve_matrix_storage_paths": (
        "clawstate.state.matrix_functions",
        "resolve_matrix_storage_paths",
    ),
    "resolve_state_dir": ("clawstate.files.paths", "resolve_state_dir"),
    "save_auth_profile_store": ("clawstate.state.auth_functions", "save_auth_profile_store"),
    "set_config_value_at_path": ("clawstate.config.values", "set_config_value_at_path"),
    "unset_config_value_at_path": ("clawstate.config.values", "unset_config_value_at_path"),
    "update_session_store": ("clawstate.state.session_functions", "update_session_store"),
    "upsert_auth_profile": ("clawstate.state.auth_functions", "upsert_auth_profile"),
    "with_file_lock": ("clawstate.files.lock", "with_file_lock"),
    "write_json_file_atomically": ("clawstate.files.atomic", "write_json_file_atomically"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # What is not listed above is a type of values.
    module, attribute = _HOMES.get(name, ("clawstate.types", name))
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
