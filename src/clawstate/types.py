"""
The values that a state gives and takes, each importable from here and from `clawstate`.

They are frozen: change one by the verb of its store. Times are seconds since the epoch. What their
fields mean stands in the reference of the Python interface, and in their docstrings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clawstate.config.history import Change
    from clawstate.config.issues import Issue
    from clawstate.config.written import WrittenSetting
    from clawstate.files.lock_options import LockOptions
    from clawstate.files.paths import StatePaths
    from clawstate.health import Finding
    from clawstate.importers.openclaw import Report as OpenClawImport
    from clawstate.importers.report import Report as FileImport
    from clawstate.memory.capture.values import Captured, InboxItem, Provenance, Recall
    from clawstate.memory.duplicates.values import DuplicateGroup
    from clawstate.memory.explanation import Explanation, LegScore, ScorePart
    from clawstate.memory.forgetting import Compaction, Forgotten, Receipt
    from clawstate.memory.map.values import MapColumn, MapRegion, MemoryMap
    from clawstate.memory.moves import MemoryChange, MemorySpan
    from clawstate.memory.records import Hit, MemoryRecord
    from clawstate.memory.replacement import Reembedding
    from clawstate.memory.retention import RetentionPolicy, RetentionReport, RetentionRule
    from clawstate.memory.verdict import Unmet, Verdict
    from clawstate.memory.versions import Conflict, RecordVersion
    from clawstate.openclaw.owner import Era, Owner
    from clawstate.paging import Page
    from clawstate.plugins.contract import Plugin, PluginInfo, Runtime
    from clawstate.plugins.tools import Tool
    from clawstate.records.merging import MergeResult
    from clawstate.state.encryption import EncryptionSummary, Outcome
    from clawstate.state.feed import Changes, PartChange
    from clawstate.state.openclaw_view import OpenClawCredential, OpenClawSession
    from clawstate.state.timeline import TimelineChange, TimelineSpan
    from clawstate.stores.auth.availability import Standing
    from clawstate.stores.auth.credentials import (
        ApiKey,
        AuthProblem,
        Credential,
        OAuth,
        Profile,
        Token,
    )
    from clawstate.stores.auth.legacy import AuthImport
    from clawstate.stores.auth.usage import Usage
    from clawstate.stores.dedupe.statistics import DedupeStatistics, NamespaceStatistics
    from clawstate.stores.device_auth.document import StoredToken
    from clawstate.stores.devices.device import Device, DeviceToken, IssuedToken
    from clawstate.stores.identity.store import DeviceIdentity
    from clawstate.stores.matrix.credentials import MatrixCredential
    from clawstate.stores.matrix.logins import MatrixStoragePaths
    from clawstate.stores.pairing.device_flow import Invitation, Proof
    from clawstate.stores.pairing.request import PairingRequest
    from clawstate.stores.sessions.archive import Archived
    from clawstate.stores.sessions.entry import SessionEntry
    from clawstate.stores.sessions.past_entries import SessionChange
    from clawstate.stores.sessions.selection import Pruned
    from clawstate.stores.transcripts.values import (
        Message,
        TranscriptHit,
        TranscriptImport,
        TranscriptInfo,
        TranscriptProblem,
    )

__all__ = [
    "ApiKey",
    "Archived",
    "AuthImport",
    "AuthProblem",
    "Captured",
    "Change",
    "Changes",
    "Compaction",
    "Conflict",
    "Credential",
    "DedupeStatistics",
    "Device",
    "DeviceIdentity",
    "DeviceToken",
    "DuplicateGroup",
    "EncryptionSummary",
    "Era",
    "Explanation",
    "FileImport",
    "Finding",
    "Forgotten",
    "Hit",
    "InboxItem",
    "Invitation",
    "Issue",
    "IssuedToken",
    "LegScore",
    "LockOptions",
    "MapColumn",
    "MapRegion",
    "MatrixCredential",
    "MatrixStoragePaths",
    "MemoryChange",
    "MemoryMap",
    "MemoryRecord",
    "MemorySpan",
    "MergeResult",
    "Message",
    "NamespaceStatistics",
    "OAuth",
    "OpenClawCredential",
    "OpenClawImport",
    "OpenClawSession",
    "Outcome",
    "Owner",
    "Page",
    "PairingRequest",
    "PartChange",
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
    "Standing",
    "StatePaths",
    "StoredToken",
    "TimelineChange",
    "TimelineSpan",
    "Token",
    "Tool",
    "TranscriptHit",
    "TranscriptImport",
    "TranscriptInfo",
    "TranscriptProblem",
    "Unmet",
    "Usage",
    "Verdict",
    "WrittenSetting",
]

_HOMES = {
    "ApiKey": "clawstate.stores.auth.credentials",
    "Archived": "clawstate.stores.sessions.archive",
    "AuthImport": "clawstate.stores.auth.legacy",
    "AuthProblem": "clawstate.stores.auth.credentials",
    "Change": "clawstate.config.history",
    "Changes": "clawstate.state.feed",
    "Compaction": "clawstate.memory.forgetting",
    "Credential": "clawstate.stores.auth.credentials",
    "DedupeStatistics": "clawstate.stores.dedupe.statistics",
    "Device": "clawstate.stores.devices.device",
    "DeviceIdentity": "clawstate.stores.identity.store",
    "DeviceToken": "clawstate.stores.devices.device",
    "EncryptionSummary": "clawstate.state.encryption",
    "Era": "clawstate.openclaw.owner",
    "Explanation": "clawstate.memory.explanation",
    "FileImport": "clawstate.importers.report:Report",
    "Finding": "clawstate.health",
    "Forgotten": "clawstate.memory.forgetting",
    "Hit": "clawstate.memory.records",
    "Issue": "clawstate.config.issues",
    "IssuedToken": "clawstate.stores.devices.device",
    "LegScore": "clawstate.memory.explanation",
    "LockOptions": "clawstate.files.lock_options",
    "MapColumn": "clawstate.memory.map.values",
    "MapRegion": "clawstate.memory.map.values",
    "MemoryChange": "clawstate.memory.moves",
    "MemoryMap": "clawstate.memory.map.values",
    "MemoryRecord": "clawstate.memory.records",
    "MemorySpan": "clawstate.memory.moves",
    "MergeResult": "clawstate.records.merging",
    "Message": "clawstate.stores.transcripts.values",
    "NamespaceStatistics": "clawstate.stores.dedupe.statistics",
    "OAuth": "clawstate.stores.auth.credentials",
    "OpenClawCredential": "clawstate.state.openclaw_view",
    "OpenClawImport": "clawstate.importers.openclaw:Report",
    "OpenClawSession": "clawstate.state.openclaw_view",
    "Outcome": "clawstate.state.encryption",
    "Owner": "clawstate.openclaw.owner",
    "Page": "clawstate.paging",
    "Invitation": "clawstate.stores.pairing.device_flow",
    "PairingRequest": "clawstate.stores.pairing.request",
    "Proof": "clawstate.stores.pairing.device_flow",
    "PartChange": "clawstate.state.feed",
    "Profile": "clawstate.stores.auth.credentials",
    "Pruned": "clawstate.stores.sessions.selection",
    "Receipt": "clawstate.memory.forgetting",
    "RecordVersion": "clawstate.memory.versions",
    "RetentionRule": "clawstate.memory.retention",
    "RetentionReport": "clawstate.memory.retention",
    "RetentionPolicy": "clawstate.memory.retention",
    "Conflict": "clawstate.memory.versions",
    "DuplicateGroup": "clawstate.memory.duplicates.values",
    "Reembedding": "clawstate.memory.replacement",
    "ScorePart": "clawstate.memory.explanation",
    "SessionChange": "clawstate.stores.sessions.past_entries",
    "SessionEntry": "clawstate.stores.sessions.entry",
    "Standing": "clawstate.stores.auth.availability",
    "StatePaths": "clawstate.files.paths",
    "StoredToken": "clawstate.stores.device_auth.document",
    "TimelineChange": "clawstate.state.timeline",
    "TimelineSpan": "clawstate.state.timeline",
    "Token": "clawstate.stores.auth.credentials",
    "TranscriptHit": "clawstate.stores.transcripts.values",
    "TranscriptImport": "clawstate.stores.transcripts.values",
    "TranscriptInfo": "clawstate.stores.transcripts.values",
    "TranscriptProblem": "clawstate.stores.transcripts.values",
    "Unmet": "clawstate.memory.verdict",
    "Usage": "clawstate.stores.auth.usage",
    "MatrixCredential": "clawstate.stores.matrix.credentials",
    "MatrixStoragePaths": "clawstate.stores.matrix.logins",
    "Plugin": "clawstate.plugins.contract",
    "PluginInfo": "clawstate.plugins.contract",
    "Runtime": "clawstate.plugins.contract",
    "Tool": "clawstate.plugins.tools",
    "Captured": "clawstate.memory.capture.values",
    "InboxItem": "clawstate.memory.capture.values",
    "Provenance": "clawstate.memory.capture.values",
    "Recall": "clawstate.memory.capture.values",
    "Verdict": "clawstate.memory.verdict",
    "WrittenSetting": "clawstate.config.written",
}
"""Where each lives, and its name there if that is another: loaded when first used."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
