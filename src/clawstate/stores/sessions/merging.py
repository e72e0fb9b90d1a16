"""What an update makes of an entry: the rules of OpenClaw's `updateSessionStoreEntry`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from clawstate.arguments import require_mapping, require_whole
from clawstate.errors import InvalidError
from clawstate.files.json_text import is_same_json
from clawstate.records.contract import CollectionSpec
from clawstate.records.merging import MergeResult, merge_records
from clawstate.records.rules import normalise_value
from clawstate.stores.sessions.entry import (
    Document,
    is_session_id,
    require_session_id,
    require_small,
    updated_ms,
)
from clawstate.stores.sessions.index_format import IndexFormat

EntryChange: TypeAlias = Callable[[Document], Mapping[str, Any] | None]
"""An entry (its own copy) to the entry as it shall be; `None`: as it is. Pure."""

_MODEL: Final = ("model", "modelProvider")
_OF_ONE_RUN: Final = frozenset(
    {
        "abortCutoffMessageSid",
        "abortCutoffTimestamp",
        "abortedLastRun",
        "authProfileOverrideCompactionCount",
        "cacheRead",
        "cacheWrite",
        "claudeCliSessionId",
        "cliSessionIds",
        "compactionCount",
        "fallbackNoticeActiveModel",
        "fallbackNoticeReason",
        "fallbackNoticeSelectedModel",
        "forkedFromParent",
        "inputTokens",
        "lastHeartbeatSentAt",
        "lastHeartbeatText",
        "memoryFlushAt",
        "memoryFlushCompactionCount",
        "outputTokens",
        "systemPromptReport",
        "systemSent",
        "totalTokens",
        "totalTokensFresh",
    }
)
"""Members that tell of one transcript, and do not outlive a reset."""


def as_change(change: EntryChange | Mapping[str, Any]) -> EntryChange:
    """Return *change*, or the change that a patch means; raises `InvalidError` for neither."""
    if callable(change):
        return _without_stale_provider(change)
    patch = dict(_require_mapping(change, "give a mapping, or a function of the entry"))

    def apply_patch(old: Document) -> Document:
        new = {**old, **patch}
        # A model belongs to its provider; with another model the old provider is wrong.
        if "model" in patch and "modelProvider" not in patch and patch["model"] != old.get("model"):
            new.pop("modelProvider", None)
        return new

    return apply_patch


def merge_entry(
    key: str, old: Document, new: Mapping[str, Any], *, form: IndexFormat, now_ms: int
) -> Document:
    """
    Return what is kept when *new* takes the place of *old*.

    The session id stays unless *new* has another one; the time is the newest of both and now; a
    `modelProvider` goes when its model does. Raises `InvalidError`.
    """
    document = dict(new)
    # Only what is new is judged: a member that was there before must not block other changes.
    changed = {name: each for name, each in new.items() if name not in old or old[name] != each}
    require_whole(f"session {key!r}", changed)
    given = document.get("sessionId")
    document["sessionId"] = require_session_id(old.get("sessionId") if given is None else given)
    # The file was that of the old session; another session has its own.
    if document["sessionId"] != old.get("sessionId") and document.get("sessionFile") == old.get(
        "sessionFile"
    ):
        document.pop("sessionFile", None)
    # Never backwards, whatever the clock: merges and listings go by this time.
    document["updatedAt"] = max(updated_ms(old), updated_ms(document), now_ms)
    _trim_model(document)
    document = form.add_identity(key, document)
    require_small(key, document)
    return document


def create_entry(
    key: str, session_id: str, *, form: IndexFormat, now_ms: int, old: Document
) -> Document:
    """Return a new entry, with the members of an *old* one that had no id."""
    document = {"sessionId": session_id, "updatedAt": now_ms}
    # Twice: first for the order of members, then because they count over those of *old*.
    return form.add_identity(key, {**document, **old, **document})


def begin_anew(
    key: str, old: Document, session_id: str, *, form: IndexFormat, now_ms: int
) -> Document:
    """Return *old* with another session id, without what tells of the old transcript."""
    kept = {name: value for name, value in old.items() if name not in _OF_ONE_RUN}
    kept.pop("sessionFile", None)
    time = max(updated_ms(old), now_ms)
    return form.add_identity(key, {**kept, "sessionId": session_id, "updatedAt": time})


def _without_stale_provider(change: EntryChange) -> EntryChange:
    def apply_change(old: Document) -> Mapping[str, Any] | None:
        before = {name: old.get(name) for name in _MODEL}
        # Its own copy: it may alter what it is given, however deep, and *old* is compared later.
        new = change(json.loads(json.dumps(old)))
        if new is None:
            return None
        _require_mapping(new, "return a mapping, or None to leave it as it is")
        moved = new.get("model") != before["model"]
        if moved and new.get("modelProvider") == before["modelProvider"]:
            return {name: value for name, value in new.items() if name != "modelProvider"}
        return new

    return apply_change


def _require_mapping(found: object, hint: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise InvalidError("change", f"{type(found).__name__} is no entry", hint)
    return found


def _trim_model(new: Document) -> None:
    for name in _MODEL:
        if isinstance(new.get(name), str):
            new[name] = new[name].strip()
    if not new.get("model"):
        new.pop("modelProvider", None)


def merge_entries(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    form: IndexFormat,
    spec: CollectionSpec,
    *,
    replace: bool,
    is_archived: Callable[[str, Any], bool],
) -> tuple[dict[str, Any], MergeResult]:
    """
    Return *ours* with those of *theirs* that were updated later, and what was done with each.

    Ours stays if both were updated at one time, unless *replace*. A session that *is_archived* was
    deleted here, and is not brought back, unless *replace*.
    """
    named = {
        form.key(key): _identify(form, key, entry)
        for key, entry in require_mapping("entries", theirs).items()
    }
    # Only keys that are not here: each look is a read of the archive.
    missing = () if replace else named.keys() - ours.keys()
    gaps = {key for key in missing if is_archived(key, named[key])}

    def refuse(key: str, entry: Any) -> None:
        if not isinstance(entry, dict):
            raise InvalidError("entry", "is no object")
        if not is_session_id(entry.get("sessionId")):
            raise InvalidError("entry", "has no usable sessionId")
        require_small(key, entry)
        normalise_value(spec, key, entry)

    records, answer = merge_records(
        ours,
        {key: entry for key, entry in named.items() if key not in gaps},
        refuse=refuse,
        is_same=lambda _, old, new: is_same_json(old, new),
        gives_way=lambda _, old, new: replace or updated_ms(new) > updated_ms(old),
    )
    left = (*answer.kept, *sorted(gaps))
    return records, MergeResult(answer.new, answer.changed, answer.same, left, answer.refused)


def _identify(form: IndexFormat, key: str, entry: Any) -> Any:
    if not isinstance(entry, dict) or not is_session_id(entry.get("sessionId")):
        return entry
    return form.add_identity(form.key(key), entry)
