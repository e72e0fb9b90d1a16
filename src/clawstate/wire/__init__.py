"""
`to_wire` and `from_wire`: the JSON form of every public value, the same for all faces.

A form holds objects, lists, texts, numbers, booleans and nulls. Names are in camelCase, times end
in `Ms` (see `moments`). No form holds a secret: where one is to be handed out, such as a token
that was just issued, the face adds it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar

from clawstate.errors import InvalidError

T = TypeVar("T")

# By name, so that a face loads the stores that it shows and no others.
FORMS = {
    "clawstate.backup.manifest:Backup": "backups:backup",
    "clawstate.backup.restoring:Restored": "backups:restored",
    "clawstate.backup.schedule:BackupStatus": "backups:status",
    "clawstate.backup.verifying:Verification": "backups:verification",
    "clawstate.config.history:Change": "settings:change",
    "clawstate.config.issues:Issue": "settings:issue",
    "clawstate.config.written:WrittenSetting": "settings:setting",
    "clawstate.health:Finding": "findings:finding",
    "clawstate.importers.openclaw.report:Remark": "imports:remark",
    "clawstate.importers.openclaw.report:Report": "imports:openclaw_import",
    "clawstate.importers.report:Report": "imports:file_import",
    "clawstate.memory.capture.values:Captured": "captures:captured",
    "clawstate.memory.capture.values:InboxItem": "captures:inbox_item",
    "clawstate.memory.capture.values:Provenance": "captures:provenance",
    "clawstate.memory.capture.values:Recall": "captures:recall",
    "clawstate.memory.explanation:Explanation": "explanations:explanation",
    "clawstate.memory.explanation:LegScore": "explanations:leg",
    "clawstate.memory.explanation:ScorePart": "explanations:part",
    "clawstate.memory.filters:Filter": "filters:filter",
    "clawstate.memory.forgetting:Compaction": "memory:compaction",
    "clawstate.memory.duplicates.values:DuplicateGroup": "versions:duplicates",
    "clawstate.memory.forgetting:Forgotten": "memory:forgotten",
    "clawstate.memory.forgetting:Receipt": "memory:receipt",
    "clawstate.memory.moves:MemoryChange": "timeline:memory_change",
    "clawstate.memory.moves:MemorySpan": "timeline:memory_span",
    "clawstate.memory.records:Hit": "memory:hit",
    "clawstate.memory.records:MemoryRecord": "memory:record",
    "clawstate.memory.replacement:Reembedding": "memory:reembedding",
    "clawstate.memory.verdict:Unmet": "explanations:unmet",
    "clawstate.memory.verdict:Verdict": "explanations:verdict",
    "clawstate.memory.retention:RetentionPolicy": "versions:policy",
    "clawstate.memory.retention:RetentionReport": "versions:retention",
    "clawstate.memory.retention:RetentionRule": "versions:rule",
    "clawstate.memory.versions:Conflict": "versions:conflict",
    "clawstate.memory.versions:RecordVersion": "versions:version",
    "clawstate.openclaw.description:Description": "findings:description",
    "clawstate.openclaw.owner:Era": "findings:era",
    "clawstate.openclaw.owner:Owner": "findings:owner",
    "clawstate.paging:Page": "collections:page",
    "clawstate.plugins.contract:PluginInfo": "plugins:plugin_info",
    "clawstate.plugins.tools:Tool": "plugins:tool",
    "clawstate.records.merging:MergeResult": "collections:merge_result",
    "clawstate.state.encryption:EncryptionSummary": "credentials:encryption_summary",
    "clawstate.state.encryption:Outcome": "credentials:outcome",
    "clawstate.state.feed:Changes": "collections:changes",
    "clawstate.state.feed:PartChange": "collections:part_change",
    "clawstate.state.moved_records:Aside": "collections:aside",
    "clawstate.state.moved_records:Summary": "collections:summary",
    "clawstate.state.openclaw_view:OpenClawCredential": "credentials:openclaw_credential",
    "clawstate.state.openclaw_view:OpenClawSession": "sessions:openclaw_session",
    "clawstate.state.memory_moves:MemoryMigration": "collections:memory_migration",
    "clawstate.state.timeline:TimelineChange": "timeline:change",
    "clawstate.state.timeline:TimelineSpan": "timeline:span",
    "clawstate.stores.sessions.past_entries:SessionChange": "timeline:session_change",
    "clawstate.state.record_moves:Migration": "collections:migration",
    "clawstate.stores.auth.availability:Standing": "credentials:standing",
    "clawstate.stores.auth.credentials:Credential": "credentials:credential",
    "clawstate.stores.auth.credentials:AuthProblem": "credentials:problem",
    "clawstate.stores.auth.credentials:Profile": "credentials:profile",
    "clawstate.stores.auth.legacy:AuthImport": "credentials:legacy_import",
    "clawstate.stores.auth.usage:Usage": "credentials:usage",
    "clawstate.stores.dedupe.statistics:DedupeStatistics": "collections:dedupe_statistics",
    "clawstate.stores.dedupe.statistics:NamespaceStatistics": "collections:namespace_statistics",
    "clawstate.stores.device_auth.document:StoredToken": "devices:held_token",
    "clawstate.stores.devices.device:Device": "devices:device",
    "clawstate.stores.devices.device:DeviceToken": "devices:device_token",
    "clawstate.stores.devices.device:IssuedToken": "devices:issued_token",
    "clawstate.stores.identity.store:DeviceIdentity": "devices:identity",
    "clawstate.stores.matrix.credentials:MatrixCredential": "matrix:credential",
    "clawstate.stores.matrix.logins:MatrixStoragePaths": "matrix:paths",
    "clawstate.stores.pairing.device_flow:Invitation": "devices:invitation",
    "clawstate.stores.pairing.device_flow:Proof": "devices:proof",
    "clawstate.stores.pairing.request:PairingRequest": "devices:pairing_request",
    "clawstate.stores.sessions.archive:Archived": "sessions:archived",
    "clawstate.stores.sessions.entry:SessionEntry": "sessions:entry",
    "clawstate.stores.sessions.selection:Pruned": "sessions:pruned",
    "clawstate.stores.transcripts.values:TranscriptHit": "transcripts:found",
    "clawstate.stores.transcripts.values:TranscriptInfo": "transcripts:info",
    "clawstate.stores.transcripts.values:TranscriptImport": "transcripts:line_import",
    "clawstate.stores.transcripts.values:Message": "transcripts:message",
    "clawstate.stores.transcripts.values:TranscriptProblem": "transcripts:problem",
}
"""The form of each class: a module of this package, and the name behind `write_` and `read_`."""


def to_wire(value: Any, /, **context: Any) -> Any:
    """
    Return *value* as JSON has it; lists, tuples and mappings of values as well.

    *context* is what the form of a value tells besides, and the value does not know: the `standing`
    of a `Profile`, when a `PairingRequest` `expires_at`, the `root` that the paths of a `Change`
    are relative to, the `file` whose name an `Issue` leaves out. Raises `InvalidError` for a value
    without a form.
    """
    try:
        return _write(value, context)
    except RecursionError:
        raise InvalidError("value", "is nested too deeply, or holds itself") from None


def _write(value: Any, context: Mapping[str, Any]) -> Any:
    if (form := _form(type(value))) is not None:
        return getattr(form[0], f"write_{form[1]}")(value, **context)
    # What is JSON already. Values of our own are looked up first, since some of them are texts.
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidError("value", f"{value} is no number of JSON")
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_write(each, context) for each in value]
    if isinstance(value, Mapping):
        written = {str(key): _write(each, context) for key, each in value.items()}
        if len(written) != len(value):
            raise InvalidError("value", "has two members of one name")
        return written
    raise InvalidError("value", f"{type(value).__name__} has no JSON form", "see FORMS")


def from_wire(kind: type[T], document: Any, /, **context: Any) -> T:
    """
    Return the value of *kind* that `to_wire` gave *document* for.

    What a form leaves out, such as the digest of a token, is empty; times are exact to the
    millisecond. *context* is what the form does not tell: the `session_id` of a `Message`. Raises
    `InvalidError` for what is no such form, and for a *kind* that has no way back.
    """
    form = _form(kind)
    read = None if form is None else getattr(form[0], f"read_{form[1]}", None)
    if read is None:
        raise InvalidError("kind", f"{kind.__name__} cannot be read from JSON", "read it by hand")
    found = read(document, **context)
    # A form may read what is no such value, such as a request without a code, as `None`.
    if not isinstance(found, kind):
        raise InvalidError("document", f"is {type(found).__name__}, not {kind.__name__}")
    return found


def _form(kind: type) -> tuple[Any, str] | None:
    # By name, so that a class which no face has loaded is not loaded for this either.
    for each in kind.__mro__:  # a type of credentials that is declared elsewhere has that of all
        if place := FORMS.get(f"{each.__module__}:{each.__qualname__}"):
            module, _, name = place.partition(":")
            return import_module(f"clawstate.wire.{module}"), name
    return None
