"""What the records of a document become by a change; `None` where that changes nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from clawstate.records.contract import Json, Shape, Versioned
from clawstate.records.document_file import Snapshot, revision_of
from clawstate.records.rules import is_key, kept


def one(
    snapshot: Snapshot, key: str, text: str, copy: Json
) -> tuple[Mapping[str, Json] | None, Versioned]:
    """Return the records with *copy*, whose JSON is *text*, under *key*, and that record."""
    record = Versioned(key, json.loads(text), revision_of(copy))
    if snapshot.revision(key) == record.revision:
        return None, record
    return {**snapshot.records, key: copy}, record


def without(snapshot: Snapshot, key: str) -> Mapping[str, Json]:
    """Return the records without that of *key*."""
    return {each: value for each, value in snapshot.records.items() if each != key}


def whole(
    shape: Shape, snapshot: Snapshot, _: Collection[str], records: Mapping[str, Json]
) -> Mapping[str, Json] | None:
    """Return *records*, in their order, in the place of all."""
    arranged = {key: value for key, value in snapshot.records.items() if not is_key(key)}
    same = len(arranged) + len(records) == len(snapshot.records)
    for key, value in records.items():
        _, copy = kept(shape, key, value)
        if snapshot.revision(key) == revision_of(copy):
            copy = snapshot.records[key]  # the same object need not be written out again
        else:
            same = False
        arranged[key] = copy
    return None if same else arranged


def parts(
    shape: Shape, snapshot: Snapshot, found: Collection[str], records: Mapping[str, Json]
) -> Mapping[str, Json] | None:
    """Return *records* in the place of those that were *found*, and all others as they are."""
    gone = {key for key in found if key not in records}
    new = {key: kept(shape, key, value)[1] for key, value in records.items()}
    moved = {key: copy for key, copy in new.items() if snapshot.revision(key) != revision_of(copy)}
    left = {key: value for key, value in snapshot.records.items() if key not in gone}
    return {**left, **moved} if moved or gone else None
