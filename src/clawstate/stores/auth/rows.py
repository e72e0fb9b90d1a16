"""One moment of an agent's document, read into values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from clawstate.errors import InvalidError
from clawstate.records.contract import Json, Revision, Versioned
from clawstate.records.layouts import SEPARATOR, SectionsLayout
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import Credential, Problem
from clawstate.stores.auth.usage import Usage, read_usage

SECTIONS: Final[Mapping[str, str]] = {
    "profile": "profiles",
    "order": "order",
    "lastGood": "lastGood",
    "usage": "usageStats",
}
LAYOUT: Final = SectionsLayout(SECTIONS, version=1, always=frozenset({"profile"}))
"""How the records of an agent lie in `auth-profiles.json`."""


@dataclass(frozen=True, slots=True)
class Row:
    """A profile as it was found; without a *credential*, the *reason* tells why."""

    record: Json = field(repr=False)
    revision: Revision
    credential: Credential | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """All that an agent's document says; shared, and never changed."""

    profiles: Mapping[str, Row] = field(default_factory=dict)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    last_good: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, Usage] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    records: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def credentials(self) -> dict[str, Credential]:
        """The credentials that can be understood, by id."""
        found = ((each, row.credential) for each, row in self.profiles.items())
        return {each: credential for each, credential in found if credential is not None}


def place(section: str, name: str) -> str:
    """Return the key of the record *name* in *section*."""
    return f"{section}{SEPARATOR}{name}"


def read_rows(records: Iterable[Versioned], codec: CredentialCodec, before: Rows) -> Rows:
    """Return what *records* say; a credential that is the same as *before* is the same object."""
    profiles: dict[str, Row] = {}
    orders: dict[str, tuple[str, ...]] = {}
    last_good: dict[str, str] = {}
    usage: dict[str, Usage] = {}
    problems: list[Problem] = []
    all_records: dict[str, Json] = {}
    for record in records:
        all_records[record.key] = record.value
        section, separator, name = record.key.partition(SEPARATOR)
        problem = ""
        if not separator:
            problem = "is no object; it is kept as it is"
        elif section == "profile":
            profiles[name] = _row(name, record, codec, before.profiles.get(name))
            problem = profiles[name].reason
        elif section == "order":
            if ids := read_order(record.value):
                orders[name] = ids
            elif not isinstance(record.value, list):
                problem = "is no list of profiles"
        elif section == "usage":
            usage[name] = read_usage(record.value)
            problem = "" if isinstance(record.value, dict) else "is no object"
        elif isinstance(record.value, str):
            last_good[name] = record.value
        else:
            problem = "is no text"
        if problem:
            problems.append(Problem(SECTIONS[section], name, problem))
    return Rows(profiles, orders, last_good, usage, tuple(problems), all_records)


def read_order(value: Json) -> tuple[str, ...]:
    """Return the ids that *value* lists; what is no text is left out."""
    if not isinstance(value, list):
        return ()
    ids = (each.strip() for each in value if isinstance(each, str))
    return tuple(each for each in ids if each)


def _row(name: str, record: Versioned, codec: CredentialCodec, before: Row | None) -> Row:
    if before is not None and before.revision == record.revision:
        return before
    try:
        credential = codec.read(name, record.value)
    except InvalidError as error:
        return Row(record.value, record.revision, reason=error.problem)
    return Row(record.value, record.revision, credential)
