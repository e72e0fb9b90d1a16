"""A whole document that a caller changed, put back without undoing what others did meanwhile."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from clawstate.errors import InvalidError
from clawstate.records.contract import Json
from clawstate.records.layouts import SEPARATOR
from clawstate.stores.auth.checking import checked
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import TYPES, type_of
from clawstate.stores.auth.names import require_profile_id
from clawstate.stores.auth.rows import LAYOUT
from clawstate.stores.auth.shelf import Shelf


class AuthProfileStore(dict[str, Any]):
    """
    The document of an agent, as a dict that remembers how it was read.

    So only what its holder changed is saved, whatever others change meanwhile.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self.loaded: Json = copy.deepcopy(dict(document))

    def __repr__(self) -> str:
        profiles = self.get("profiles")
        return f"AuthProfileStore({', '.join(profiles) if isinstance(profiles, Mapping) else ''})"


def save_document(
    shelf: Shelf, document: Mapping[str, Any], *, inherited: Mapping[str, Json]
) -> None:
    """
    Put the changes of *document* on *shelf*; entries equal to *inherited* ones are not copied.

    Of an `AuthProfileStore` those are its differences to what was loaded; of any other mapping, all
    its differences to what is kept, but that entries which are not understood stay. Raises
    `InvalidError` for a document or a profile that cannot be kept, with nothing written.
    """
    wanted = _decoded(document)
    loaded = document.loaded if isinstance(document, AuthProfileStore) else None
    base = _decoded(inherited)

    def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], None]:
        before = _known(records) if loaded is None else _decoded(loaded)
        changed = {
            key: wanted.get(key)
            for key in before.keys() | wanted.keys()
            if before.get(key) != wanted.get(key)
            and (key in records or wanted.get(key) != base.get(key))
        }
        left = {key: value for key, value in records.items() if key not in changed or changed[key]}
        for key, value in changed.items():
            if value is not None:
                left[key] = _written(key, value, records.get(key), shelf.codec)
        return left, None

    shelf.change_all(change)


def _decoded(document: Mapping[str, Any]) -> dict[str, Json]:
    if not isinstance(document, Mapping) or not isinstance(document.get("profiles"), Mapping):
        raise InvalidError("document", "has no object 'profiles'", "load one and change that")
    return {key: value for key, value in LAYOUT.decode(dict(document)).items() if value is not None}


def _known(records: Mapping[str, Json]) -> dict[str, Json]:
    return {
        key: value
        for key, value in records.items()
        if not key.startswith("profile/") or (isinstance(value, dict) and type_of(value) in TYPES)
    }


def _written(key: str, value: Json, old: Json | None, codec: CredentialCodec) -> Json:
    section, separator, name = key.partition(SEPARATOR)
    if section != "profile" or not separator:
        return value
    return codec.write(require_profile_id(name), checked(name, value, codec), old=old)
