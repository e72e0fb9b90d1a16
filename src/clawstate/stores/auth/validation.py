"""Validation of credentials, before anything of them is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from clawstate.arguments import require_whole
from clawstate.errors import InvalidError, StateError
from clawstate.files.json_text import dump_compact
from clawstate.quantities import number_of
from clawstate.records.contract import Json
from clawstate.stores.auth.availability import has_secret
from clawstate.stores.auth.codec import LAST_DATE, CredentialCodec, is_sealed
from clawstate.stores.auth.credentials import (
    TYPES,
    Credential,
    CredentialType,
    reference_of,
    require_type,
    type_of,
)
from clawstate.stores.auth.names import (
    LARGEST_RECORD,
    LONGEST_SECRET,
    is_variable,
    require_provider,
)

_LONGEST_TEXT = 4096  # characters of an address or an id


def validate(profile_id: str, given: object, codec: CredentialCodec) -> Credential:
    """
    Return *given*, a credential or its JSON object, as a credential that can be stored.

    Raises `InvalidError`, which repeats no value, for an unknown type, a missing provider or
    secret, a member of a wrong type, or one beyond the limits in `names`.
    """
    if isinstance(given, Credential):
        kind = require_type(given.type)
        _require_sound(codec.write(profile_id, given, old=None), kind)
        return given
    if not isinstance(given, Mapping):
        problem = f"is {type(given).__name__}, not an object"
        raise InvalidError("credential", problem, "give type, provider and the secret")
    record = {key: value for key, value in given.items() if value is not None}
    kind = require_type(type_of(record))
    _require_sound(record, kind)
    credential = codec.read(profile_id, record)
    if not has_secret(credential):
        raise InvalidError(kind.secrets[0].name, "is missing", "give it, or a reference to it")
    return credential


def is_same_secret(
    profile_id: str, old: Json | None, wanted: Credential, codec: CredentialCodec
) -> bool:
    """Tell whether the record *old* has the secrets of *wanted*; False if it cannot be read."""
    try:
        before = codec.read(profile_id, old)
        return _secrets(before) == _secrets(wanted)
    except StateError:
        return False


def _secrets(credential: Credential) -> tuple[Json, ...]:
    secrets = (each.attribute for each in TYPES[credential.type].secrets)
    texts = (getattr(credential, each) for each in secrets)
    return (credential.type, reference_of(credential), *texts)


def _require_sound(record: Mapping[str, Json], kind: CredentialType) -> None:
    require_whole("credential", dict(record))
    require_provider(record.get("provider"))
    for member in kind.members:
        for name in member.names:
            _REQUIRE[member.kind](name, record.get(name))
    size = len(dump_compact(record).encode("utf-8", "surrogatepass"))
    if size > LARGEST_RECORD:
        problem = f"is {number_of(size, 'byte')}, more than {LARGEST_RECORD:,}"
        raise InvalidError("credential", problem, "leave out what is not needed")


def _require_secret(name: str, value: Json) -> None:
    if value is None or is_sealed(value):
        return
    if not isinstance(value, str):
        raise InvalidError(name, "is not text", "give the secret, or use a reference")
    if len(value) > LONGEST_SECRET:
        problem = f"is longer than {LONGEST_SECRET:,} characters"
        raise InvalidError(name, problem, "give the secret alone")


def _require_text(name: str, value: Json) -> None:
    if value is None:
        return
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise InvalidError(
            name, f"is not text of at most {_LONGEST_TEXT:,} characters", "leave it out"
        )


def _require_expiry(name: str, value: Json) -> None:
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= LAST_DATE:
        raise InvalidError(name, "is not a number of milliseconds since 1970", "give such a number")


def _require_texts(name: str, value: Json) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise InvalidError(name, "is not an object of texts", "leave it out")


def _require_reference(name: str, value: Json) -> None:
    is_object = isinstance(value, Mapping) and isinstance(value.get("source"), str)
    if value is not None and not is_object and not (isinstance(value, str) and is_variable(value)):
        raise InvalidError(name, "is no reference", "give source, provider and id")


_REQUIRE: Final[Mapping[str, Callable[[str, Json], None]]] = {
    "secret": _require_secret,
    "reference": _require_reference,
    "text": _require_text,
    "texts": _require_texts,
    "expiry": _require_expiry,
}
