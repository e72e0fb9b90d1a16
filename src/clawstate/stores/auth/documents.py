"""An agent's whole document, in the form of `auth-profiles.json`: given out, saved, and merged."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from clawstate.errors import InvalidError
from clawstate.files.json_text import is_same_json
from clawstate.records.contract import Json
from clawstate.records.layouts import SEPARATOR
from clawstate.records.merging import MergeResult, merge_records
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import TYPES, Credential, type_of
from clawstate.stores.auth.names import require_profile_id
from clawstate.stores.auth.profile_store import LAYOUT, ProfileStore, record_key
from clawstate.stores.auth.validation import validate

_PROFILE = record_key("profile", "")
_USAGE = record_key("usage", "")


def document_of(stores: Iterable[ProfileStore]) -> dict[str, Json]:
    """Return a copy of what *stores* hold, of which a later one hides an earlier one."""
    records: dict[str, Json] = {}
    for store in stores:
        rows = store.read()
        legacy = store.legacy_profiles(rows)
        records |= {record_key("profile", each): row.record for each, row in legacy.items()}
        records = _over(records, rows.records)
    document: dict[str, Json] = copy.deepcopy(LAYOUT.encode(None, records))
    return document


class AuthProfileStore(dict[str, Any]):
    """
    The document of an agent, as a dict with a copy of what was read (`loaded`).

    So only what its holder changed is saved, and changes of other programs since stay.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self.loaded: Json = copy.deepcopy(dict(document))

    def __repr__(self) -> str:
        profiles = self.get("profiles")
        return f"AuthProfileStore({', '.join(profiles) if isinstance(profiles, Mapping) else ''})"


def save_document(
    store: ProfileStore, document: Mapping[str, Any], *, inherited: Mapping[str, Json]
) -> None:
    """
    Write the changes of *document* to *store*; entries equal to *inherited* ones are not copied.

    The changes of an `AuthProfileStore` are its differences to what was loaded; those of another
    mapping its differences to what is stored, except entries of an unknown type, which stay. Raises
    `InvalidError` for a document or a profile that cannot be stored, with nothing written.
    """
    wanted = _decode(document)
    loaded = document.loaded if isinstance(document, AuthProfileStore) else None
    base = _decode(inherited)

    def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], None]:
        # Only what the caller changed: to write the whole document back would undo what other
        # programs changed since it was loaded.
        before = _of_known_types(records) if loaded is None else _decode(loaded)
        changed = {
            key: wanted.get(key)
            for key in before.keys() | wanted.keys()
            if not is_same_json(before.get(key), wanted.get(key))
            and (key in records or not is_same_json(wanted.get(key), base.get(key)))
        }
        left = {key: value for key, value in records.items() if key not in changed or changed[key]}
        for key, value in changed.items():
            if value is not None:
                left[key] = _encode(key, value, records.get(key), store.codec)
        return left, None

    store.change_all(change)


def merge_document(
    ours: Mapping[str, Json],
    document: Mapping[str, Json],
    codec: CredentialCodec,
    *,
    replace: bool,
) -> tuple[dict[str, Json], MergeResult]:
    """
    Return the records *ours* with those of *document*, and what became of its profiles.

    What is here stays, unless *replace*. Orders, the profiles that worked last and usage fill gaps
    alike; usage of a profile that is not here is left out.
    """

    def read(key: str, record: Json) -> Credential:
        return codec.read(require_profile_id(key.removeprefix(_PROFILE)), record)

    def is_same(key: str, old: Json, new: Json) -> bool:
        try:
            if is_same_json(old, new):
                return True
            one, other = read(key, old), read(key, new)
            return one == other and is_same_json(one.extra, other.extra)
        except InvalidError:
            return False

    theirs = LAYOUT.decode(document)
    profiles = {key: value for key, value in theirs.items() if key.startswith(_PROFILE)}
    records, result = merge_records(
        ours, profiles, refuse=read, is_same=is_same, gives_way=lambda *_: replace
    )
    for key in (*result.new, *result.changed):
        record = records[key]  # as it came; now cleaned, and encrypted where secrets are
        records[key] = codec.write(key.removeprefix(_PROFILE), read(key, record), old=record)
    for key in theirs.keys() - profiles.keys():
        if SEPARATOR not in key or (key in ours and not replace):
            continue
        if not key.startswith(_USAGE) or _PROFILE + key.removeprefix(_USAGE) in records:
            records[key] = theirs[key]
    return records, result.without(_PROFILE)


def _over(below: dict[str, Json], above: Mapping[str, Json]) -> dict[str, Json]:
    # A section that is no object hides all of that section, and is hidden by any part of it.
    whole = {key for key in above if SEPARATOR not in key}
    parted = {key.partition(SEPARATOR)[0] for key in above} - whole
    left = {
        key: value
        for key, value in below.items()
        if key not in parted and key.partition(SEPARATOR)[0] not in whole
    }
    return {**left, **above}


def _decode(document: Mapping[str, Any]) -> dict[str, Json]:
    if not isinstance(document, Mapping) or not isinstance(document.get("profiles"), Mapping):
        raise InvalidError("document", "has no object 'profiles'", "load one and change that")
    return {key: value for key, value in LAYOUT.decode(dict(document)).items() if value is not None}


def _of_known_types(records: Mapping[str, Json]) -> dict[str, Json]:
    return {
        key: value
        for key, value in records.items()
        if not key.startswith(_PROFILE) or (isinstance(value, dict) and type_of(value) in TYPES)
    }


def _encode(key: str, value: Json, old: Json | None, codec: CredentialCodec) -> Json:
    section, separator, name = key.partition(SEPARATOR)
    if section != "profile" or not separator:
        return value
    return codec.write(require_profile_id(name), validate(name, value, codec), old=old)
