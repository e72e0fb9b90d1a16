"""How a credential stands in JSON, so that what is not known here comes through unharmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias

from clawstate.clock import from_iso, from_ms, to_ms
from clawstate.encryption.member import SEALED
from clawstate.errors import InvalidError, NotFoundError, StateError, UnavailableError
from clawstate.records.contract import Json
from clawstate.stores.auth.credentials import (
    TYPES,
    Credential,
    EncryptedSecret,
    Member,
    raw_secret,
    reference_of,
    type_of,
)
from clawstate.stores.auth.names import clean_secret, is_blank, is_variable

Resolve: TypeAlias = Callable[[Json], str]
"""Returns the secret that a reference, as JSON, names; raises `StateError` without it."""
MARK = "sealed"
"""The member by which a sealed secret is told from any other JSON object."""
LAST_DATE: Final = 253_402_214_400_000
"""Milliseconds of the last day of the year 9999; what is later has no date that can be told."""
FIRST_DATE: Final = 1_000_000_000.0
"""Seconds of 2001-09-09, before which no token can have ended."""
_FIRST_MS = 100_000_000_000  # of the year 1973; as seconds, of the year 5138
_FIRST_US = 100_000_000_000_000
_FIRST_NS = 100_000_000_000_000_000
_TYPE_NAMES: Final = ("type", "mode")
_PROVIDER: Final = "provider"


class Sealer(Protocol):
    """Encrypts single fields (decision 12)."""

    def seal(self, secret: str, *, place: str) -> Json:
        """
        Return *secret* as a JSON object that only opens at *place*, such as an agent's key.

        Where nothing is to be sealed any more, it is returned as it is.
        """

    def open(self, sealed: Mapping[str, Json], *, place: str) -> str:
        """
        Return what `seal` was given.

        Raises `CorruptError` for what was changed or moved, `UnavailableError` without its key.
        """


def moment_of(value: Json) -> float | None:
    """
    Return the moment that the number *value* means, in seconds since the epoch, or `None`.

    Milliseconds are meant. Seconds are told by their size: as milliseconds they would be a date
    before 1973, when there were no tokens. 0, negative numbers and dates beyond the year 9999 mean
    no moment: some providers write them for a token without an end.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if is_in_seconds(value):
        return float(value)
    return from_ms(value) if 0 < value <= LAST_DATE else None


def is_in_seconds(value: Json) -> bool:
    """Tell whether the moment *value* is written in seconds where milliseconds are meant."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and FIRST_DATE <= value < _FIRST_MS


def any_moment_of(value: Json) -> float | None:
    """Return the moment that a provider means with *value*: of any unit, or as a date."""
    if isinstance(value, str):
        with suppress(InvalidError):
            return from_iso(value)
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value >= _FIRST_NS:
            return moment_of(value / 1_000_000) if value < _FIRST_NS * 1000 else None
        if value >= _FIRST_US:
            return moment_of(value / 1000)
    return moment_of(value)


class CredentialCodec:
    """
    Reads and writes the profiles of one agent.

    *sealer* gives what encrypts secrets at this moment, or `None`: secrets are then written in
    the clear (decision 12). *resolve* turns a reference into a secret; without it none can be had.
    """

    def __init__(
        self,
        agent_id: str,
        sealer: Callable[[], Sealer | None] = lambda: None,
        resolve: Resolve | None = None,
    ) -> None:
        self._agent_id = agent_id
        self._sealer = sealer
        self._resolve = resolve

    def read(self, profile_id: str, record: Json) -> Credential:
        """
        Return the credential that *record* is; nothing is opened or resolved.

        `mode` and `apiKey` are read where `type` and `key` are missing. Raises `InvalidError` for
        what is no credential, or of a type that is not known.
        """
        if not isinstance(record, dict):
            raise InvalidError(profile_id, "is no object", "write it again")
        kind = TYPES.get(type_of(record))
        if kind is None:
            hint = f"it is kept as it is; the known ones are {', '.join(TYPES)}"
            raise InvalidError(profile_id, "has a type that is not known", hint)
        provider = record.get(_PROVIDER)
        if not isinstance(provider, str) or is_blank(provider):
            raise InvalidError(profile_id, "names no provider", "write it again with one")
        found: dict[str, Any] = {_PROVIDER: provider}
        for each in kind.secrets:
            found[each.attribute] = self._read_secret(profile_id, each, _secret(record, each))
        for each in kind.plain:
            found[each.attribute] = _read_plain(record.get(each.name), each.kind)
        known = kind.names
        extra = {
            key: value
            for key, value in record.items()
            if key not in known and key != _PROVIDER and key not in _TYPE_NAMES
        }
        return kind.value(**found, extra=extra)

    def write(self, profile_id: str, credential: Credential, *, old: Json | None) -> Json:
        """
        Return *credential* as JSON, in the place of *old*.

        What says the same in *old* stays as it is, and so does the order of its members. A key or
        token has no line breaks, and is left out beside a reference. Secrets are sealed if there
        is a sealer; a sealed one that did not change is not sealed again. Raises what `Sealer.seal`
        does.
        """
        # From the old record: OpenClaw and people read the file as well, so members that are not
        # known here, and the order of all, stay as they are.
        record, before = self._base(profile_id, credential, old)
        kind = TYPES[credential.type]
        if not any(name in record for name in _TYPE_NAMES):
            record["type"] = credential.type
        record[_PROVIDER] = credential.provider
        for each in kind.secrets:
            self._write_secret(profile_id, credential, each, record)
        for each in kind.plain:
            value = getattr(credential, each.attribute)
            is_expiry = each.kind == "expiry"
            is_odd = is_expiry and is_in_seconds(record.get(each.name))
            if before is not None and not is_odd and value == getattr(before, each.attribute):
                continue
            if value is None:
                record.pop(each.name, None)
            else:
                record[each.name] = to_ms(value) if is_expiry else value
        for key in () if before is None else before.extra.keys() - credential.extra.keys():
            del record[key]
        return {**record, **credential.extra}

    def secret(self, profile_id: str, credential: Credential) -> str:
        """
        Return what a request is made with: the key, the token or the access token.

        A reference, or text that is exactly `${NAME}`, is resolved. Raises `NotFoundError` if there
        is none, and what `Resolve` and `Sealer.open` raise.
        """
        reference = reference_of(credential)
        if reference is None:
            first = TYPES[credential.type].secrets[0]
            text = getattr(credential, first.attribute) or ""
            if not is_variable(text):
                if is_blank(text):
                    raise NotFoundError("secret", profile_id, "store it again")
                return text
            reference = text
        if self._resolve is None:
            raise UnavailableError(f"secret of {profile_id}", "cannot be resolved here")
        return clean_secret(self._resolve(reference))

    def encrypt(self, profile_id: str, name: str, text: str) -> Json:
        """Return *text* as it is written beside the secrets: encrypted if they are."""
        return self._seal(profile_id, name, text, None)

    def decrypt(self, profile_id: str, name: str, kept: Json) -> str:
        """Return the text that `encrypt` was given; raises what `Sealer.open` does."""
        if is_sealed(kept):
            return self._open(profile_id, kept, self._place(profile_id, name))
        if not isinstance(kept, str):
            raise InvalidError(profile_id, f"its {name} is {type(kept).__name__}, not text")
        return kept

    def _base(
        self, profile_id: str, credential: Credential, old: Json | None
    ) -> tuple[dict[str, Json], Credential | None]:
        if not isinstance(old, dict) or type_of(old) != credential.type:
            return {}, None
        try:
            return dict(old), self.read(profile_id, old)
        except InvalidError:
            return dict(old), None

    def _read_secret(
        self, profile_id: str, member: Member, value: Json
    ) -> str | EncryptedSecret | None:
        if is_sealed(value):
            place = self._place(profile_id, member.name)
            return EncryptedSecret(value, place, lambda: self._open(profile_id, value, place))
        if not isinstance(value, str):
            return None
        return value if member.exact else clean_secret(value)

    def _write_secret(
        self, profile_id: str, credential: Credential, member: Member, record: dict[str, Json]
    ) -> None:
        plain = [each for each in member.names if each in record] or [member.name]
        sealed = member.name + SEALED
        value = raw_secret(credential, member.attribute)
        if value is None or reference_of(credential) is not None:
            _put(record, (*plain, sealed), {})
            return
        kept = self._encrypt(profile_id, member, value, _secret(record, member))
        names = [sealed] if is_sealed(kept) else plain
        _put(record, (*plain, sealed), dict.fromkeys(names, kept))

    def _encrypt(
        self, profile_id: str, member: Member, value: str | EncryptedSecret, old: Json
    ) -> Json:
        if isinstance(value, EncryptedSecret):
            if value.place == self._place(profile_id, member.name):
                return value.document
            value = value.text()  # the ciphertext is bound to its place
        text = value if member.exact else clean_secret(value)
        return self._seal(profile_id, member.name, text, old)

    def _seal(self, profile_id: str, name: str, text: str, old: Json) -> Json:
        sealer = self._sealer()
        if sealer is None:
            return text
        place = self._place(profile_id, name)
        # A ciphertext that says the same stays: a new one at each write would change the record's
        # revision, and every process would read it again.
        if is_sealed(old):
            with suppress(StateError):  # damaged, or of another key: the new one takes its place
                if sealer.open(old, place=place) == text:
                    return old
        return sealer.seal(text, place=place)

    def _open(self, profile_id: str, sealed: Mapping[str, Json], place: str) -> str:
        sealer = self._sealer()
        if sealer is None:
            what = f"secret of {profile_id}"
            raise UnavailableError(what, "is encrypted, and there is no key", "give the key")
        return sealer.open(sealed, place=place)

    def _place(self, profile_id: str, name: str) -> str:
        # It is authenticated with the ciphertext, so that nobody can swap two secrets (decision
        # 012).
        return f"auth:{self._agent_id}/{profile_id}/{name}"


def is_sealed(value: Json) -> bool:
    """Tell whether *value* is an encrypted secret."""
    return isinstance(value, dict) and MARK in value


def _secret(record: Mapping[str, Json], member: Member) -> Json:
    """Return the secret as it stands there; one in the clear is newer than an encrypted one."""
    present = (each for each in member.names if each in record)
    plain = record.get(next(present, member.name))
    sealed = record.get(member.name + SEALED)
    return sealed if plain in (None, "") and is_sealed(sealed) else plain


def _put(record: dict[str, Json], gone: tuple[str, ...], made: Mapping[str, Json]) -> None:
    """Put *made* into *record* in the place of the members *gone*."""
    members = list(record.items())
    record.clear()
    for key, value in members:
        if key in gone:
            record.update(made)
        else:
            record[key] = value
    record.update(made)


def _read_plain(value: Json, kind: str) -> Any:
    if kind == "expiry":
        return moment_of(value)
    if kind == "texts":
        is_object = isinstance(value, dict)
        return {k: v for k, v in value.items() if isinstance(v, str)} if is_object else None
    return value if kind == "reference" or isinstance(value, str) else None
