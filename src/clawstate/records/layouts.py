"""The usual `Layout`s: a map, a list, several sections of one document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clawstate.errors import InvalidError, VersionError
from clawstate.records.contract import Json

SEPARATOR = "/"
_HIGHEST = 2**53


@dataclass(frozen=True, slots=True)
class MapLayout:
    """
    The document, or its member *section*, is an object from key to value.

    A *version* is the newest format that is understood, and is stamped on a new document; it needs
    a section beside it. Raises `InvalidError` for one without.
    """

    section: str | None = None
    version: int | None = None

    def __post_init__(self) -> None:
        """Refuse a version that would be a record."""
        if self.version is not None and self.section is None:
            raise InvalidError("version", "has no place beside the records", "name a section")

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the members of the object."""
        found = _require_document(document, self.version)
        return dict(found if self.section is None else _object(found, self.section))

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the document with *records* as members, those that stay in their old places."""
        found = _with_version(document, self.version)
        if self.section is None:
            return _in_old_order(found, records)
        return {**found, self.section: _in_old_order(_object(found, self.section), records)}


@dataclass(frozen=True, slots=True)
class ListLayout:
    """
    The member *section* is a list of objects, each with its key in the member *key*.

    Items without a usable key, and second items of a key, are no records and stay where they are;
    second items go with the first.
    """

    section: str
    key: str
    version: int | None = None

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the items by their keys."""
        records: dict[str, Json] = {}
        for item in _list(_require_document(document, self.version), self.section):
            if (key := self._key(item)) is not None:
                records.setdefault(key, item)
        return records

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the document with *records* as items, those that stay in their old places."""
        found = _with_version(document, self.version)
        left = dict(records)
        seen: set[str] = set()
        items = []
        for item in _list(found, self.section):
            key = self._key(item)
            if key is None or (key in seen and key in records):
                items.append(item)
            elif key in left:
                items.append(self._item(key, left.pop(key)))
                seen.add(key)
        items.extend(self._item(key, value) for key, value in left.items())
        return {**found, self.section: items}

    def _key(self, item: Json) -> str | None:
        key = item.get(self.key) if isinstance(item, dict) else None
        return key if isinstance(key, str) and key else None

    def _item(self, key: str, value: Json) -> Json:
        if self._key(value) != key:
            raise InvalidError(key, f"its member {self.key!r} is not its key", "make them equal")
        return value


@dataclass(frozen=True, slots=True)
class SectionsLayout:
    """
    Several members of the document are objects; the key `<name>/<member>` is one of theirs.

    *sections* maps each name, such as `profile`, to its member of the document, such as
    `profiles`. A section without records is left out of a document that has not had it;
    those in *always* are written all the same. A member of another kind hides no other section:
    it is a record under the bare name, such as `usage`, and stays until that record goes. Where
    there is always a section, it is an error.
    """

    sections: Mapping[str, str]
    version: int | None = None
    always: frozenset[str] = field(default=frozenset())

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the members of all sections."""
        found = _require_document(document, self.version)
        records: dict[str, Json] = {}
        for name, section in self.sections.items():
            if self._is_misfit(name, found.get(section)):
                records[name] = found[section]
            else:
                members = _object(found, section).items()
                records.update((name + SEPARATOR + key, value) for key, value in members)
        return records

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the document with *records* in their sections."""
        misfits, parts = self._split(records)
        found = _with_version(document, self.version)
        for name, section in self.sections.items():
            if name in misfits:
                if parts[name]:
                    problem = f"is {_kind(misfits[name])}, and can hold no records"
                    raise InvalidError(section, problem, "run 'clawstate doctor'")
                found[section] = misfits[name]
            elif parts[name] or found.get(section) is not None or name in self.always:
                old = found.get(section)
                was = {} if self._is_misfit(name, old) else _object(found, section)
                found[section] = _in_old_order(was, parts[name])
        return found

    def _split(
        self, records: Mapping[str, Json]
    ) -> tuple[dict[str, Json], dict[str, dict[str, Json]]]:
        misfits: dict[str, Json] = {}
        parts: dict[str, dict[str, Json]] = {name: {} for name in self.sections}
        for key, value in records.items():
            name, separator, rest = key.partition(SEPARATOR)
            if separator and name in parts:
                parts[name][rest] = value
            elif self._is_misfit(key, value):
                misfits[key] = value
            else:
                names = ", ".join(f"{each}{SEPARATOR}" for each in parts)
                raise InvalidError(key, "names no section", f"start it with one of {names}")
        return misfits, parts

    def _is_misfit(self, name: str, value: Json) -> bool:
        """Tell whether *value* stands where the section *name* should, and can be kept there."""
        if name not in self.sections or name in self.always:
            return False
        return value is not None and not isinstance(value, dict)


@dataclass(frozen=True, slots=True)
class OpaqueLayout:
    """A document that is only looked at as a whole: it has no records."""

    def decode(self, document: Json) -> dict[str, Json]:
        """Return nothing, of any object or array."""
        if document is not None and not isinstance(document, dict | list):
            raise InvalidError("document", f"is {_kind(document)}, not an object or a list")
        return {}

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the document as it is; raises `InvalidError` for records."""
        if records:
            raise InvalidError("records", "have no place in this document", "give none")
        return document


def _require_document(document: Json, version: int | None) -> dict[str, Json]:
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidError("document", f"is {_kind(document)}, not an object")
    found = document.get("version")
    if version is not None and isinstance(found, int | float) and found > version:
        raise VersionError("document", int(min(found, _HIGHEST)), version)
    return document


def _with_version(document: Json, version: int | None) -> dict[str, Json]:
    found = dict(_require_document(document, version))
    if version is None:
        return found
    return found if "version" in found else {"version": version, **found}


def _object(document: dict[str, Json], section: str) -> dict[str, Json]:
    found = document.get(section)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidError("document", f"its {section!r} is {_kind(found)}, not an object")
    return found


def _list(document: dict[str, Json], section: str) -> list[Json]:
    found = document.get(section)
    if found is None:
        return []
    if not isinstance(found, list):
        raise InvalidError("document", f"its {section!r} is {_kind(found)}, not a list")
    return found


def _in_old_order(old: Mapping[str, Json], new: Mapping[str, Json]) -> dict[str, Json]:
    kept = {key: new[key] for key in old if key in new}
    return {**kept, **new}


def _kind(value: Json) -> str:
    names = {type(None): "null", bool: "a boolean", str: "a string", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")
