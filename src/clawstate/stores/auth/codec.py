"""How a credential stands in JSON, so that what is not known here comes through unharmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from clawstate.clock import to_ms
from clawstate.errors import InvalidError, NotFoundError, StateError, UnavailableError
from clawstate.records.contract import Json
from clawstate.stores.auth.contract import MARK, Resolve, Sealer
from clawstate.stores.auth.credentials import ApiKey, Credential, OAuth, Token, reference_of
from clawstate.stores.auth.moments import is_in_seconds, moment_of
from clawstate.stores.auth.names import clean_secret, is_blank, is_variable
from clawstate.stores.auth.secret_field import Sealed, kept_secret

TYPES: Final[Mapping[str, type[ApiKey | Token | OAuth]]] = {
    each.type: each for each in (ApiKey, Token, OAuth)
}
"""The types of credentials that are understood."""

SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "api_key": ("key",),
    "token": ("token",),
    "oauth": ("access", "refresh"),
}
"""The members that hold secrets, by type of the credential."""

REFERENCES: Final[Mapping[str, tuple[str, str]]] = {
    "api_key": ("key_ref", "keyRef"),
    "token": ("token_ref", "tokenRef"),
}
"""The attribute and the member of the reference that may take a secret's place."""

_TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "api_key": {"email": "email"},
    "token": {"email": "email"},
    "oauth": {
        "email": "email",
        "client_id": "clientId",
        "project_id": "projectId",
        "account_id": "accountId",
        "enterprise_url": "enterpriseUrl",
    },
}
_TYPE_NAMES: Final = ("type", "mode")
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {"key": ("key", "apiKey")}
# A sealed secret stands beside the place of the clear one, as in `keySealed`: OpenClaw takes
# whatever stands in `key` for text, and fails on an object.
_BESIDE: Final = "Sealed"


class CredentialCodec:
    """
    Reads and writes the profiles of one agent.

    *sealer* gives what encrypts secrets at this moment, or `None`: secrets are then written in
    the clear (decision 13). *resolve* turns a reference into a secret; without it none can be had.
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
        kind = type_of(record)
        if kind not in TYPES:
            hint = f"it is kept as it is; the known ones are {', '.join(TYPES)}"
            raise InvalidError(profile_id, "has a type that is not known", hint)
        provider = record.get("provider")
        if not isinstance(provider, str) or is_blank(provider):
            raise InvalidError(profile_id, "names no provider", "write it again with one")
        found: dict[str, Any] = {"provider": provider}
        for name in SECRETS[kind]:
            found[name] = self._read_secret(profile_id, name, _secret(record, name))
        for name, member in _TEXTS[kind].items():
            value = record.get(member)
            found[name] = value if isinstance(value, str) else None
        if kind in REFERENCES:
            attribute, member = REFERENCES[kind]
            found[attribute] = record.get(member)
        if kind == "api_key":
            found["metadata"] = _metadata(record.get("metadata"))
        else:
            found["expires"] = moment_of(record.get("expires"))
        known = _members(kind)
        extra = {key: value for key, value in record.items() if key not in known}
        return TYPES[kind](**found, extra=extra)

    def write(self, profile_id: str, credential: Credential, *, old: Json | None) -> Json:
        """
        Return *credential* as JSON, in the place of *old*.

        What says the same in *old* stays as it is, and so does the order of its members. A key or
        token has no line breaks, and is left out beside a reference. Secrets are sealed if there
        is a sealer; a sealed one that did not change is not sealed again. Raises what `Sealer.seal`
        does.
        """
        record, before = self._base(profile_id, credential, old)
        kind = credential.type
        if not any(name in record for name in _TYPE_NAMES):
            record["type"] = kind
        _set(record, "provider", credential.provider)
        for name in SECRETS[kind]:
            self._write_secret(profile_id, credential, name, record)
        for attribute, member in _plain_members(kind).items():
            value = getattr(credential, attribute)
            is_odd = member == "expires" and is_in_seconds(record.get(member))
            if before is None or is_odd or value != getattr(before, attribute):
                _set(record, member, to_ms(value) if _is_expiry(member, value) else value)
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
            text = getattr(credential, SECRETS[credential.type][0]) or ""
            if not is_variable(text):
                if is_blank(text):
                    raise NotFoundError("secret", profile_id, "store it again")
                return text
            reference = text
        if self._resolve is None:
            raise UnavailableError(f"secret of {profile_id}", "cannot be resolved here")
        return clean_secret(self._resolve(reference))

    def sealed(self, profile_id: str, name: str, text: str) -> Json:
        """Return *text* as it is kept beside the secrets: sealed if there is a sealer."""
        return self._sealed(profile_id, name, text, None)

    def opened(self, profile_id: str, name: str, kept: Json) -> str:
        """Return the text that `sealed` was given; raises what `Sealer.open` does."""
        if is_sealed(kept):
            return self._opened(profile_id, kept, self._place(profile_id, name))
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

    def _read_secret(self, profile_id: str, name: str, value: Json) -> str | Sealed | None:
        if is_sealed(value):
            place = self._place(profile_id, name)
            return Sealed(value, place, lambda: self._opened(profile_id, value, place))
        if not isinstance(value, str):
            return None
        return value if name in SECRETS["oauth"] else clean_secret(value)

    def _write_secret(
        self, profile_id: str, credential: Credential, name: str, record: dict[str, Json]
    ) -> None:
        plain = [each for each in _ALIASES.get(name, (name,)) if each in record] or [name]
        value = kept_secret(credential, name)
        if value is None or reference_of(credential) is not None:
            _put(record, (*plain, name + _BESIDE), {})
            return
        kept = self._kept(profile_id, name, value, _secret(record, name))
        names = [name + _BESIDE] if is_sealed(kept) else plain
        _put(record, (*plain, name + _BESIDE), dict.fromkeys(names, kept))

    def _kept(self, profile_id: str, name: str, value: str | Sealed, old: Json) -> Json:
        if isinstance(value, Sealed):
            if value.place == self._place(profile_id, name):
                return value.document
            value = value.text()  # it opens nowhere else
        text = value if name in SECRETS["oauth"] else clean_secret(value)
        return self._sealed(profile_id, name, text, old)

    def _sealed(self, profile_id: str, name: str, text: str, old: Json) -> Json:
        sealer = self._sealer()
        if sealer is None:
            return text
        place = self._place(profile_id, name)
        if is_sealed(old):
            with suppress(StateError):  # damaged, or of another key: the new one takes its place
                if sealer.open(old, place=place) == text:
                    return old
        return sealer.seal(text, place=place)

    def _opened(self, profile_id: str, sealed: Mapping[str, Json], place: str) -> str:
        sealer = self._sealer()
        if sealer is None:
            what = f"secret of {profile_id}"
            raise UnavailableError(what, "is encrypted, and there is no key", "give the key")
        return sealer.open(sealed, place=place)

    def _place(self, profile_id: str, name: str) -> str:
        return f"auth:{self._agent_id}/{profile_id}/{name}"


def type_of(record: Mapping[str, Json]) -> str:
    """Return the type that *record* says it has, or nothing."""
    found = record.get("type") if "type" in record else record.get("mode")
    return found if isinstance(found, str) else ""


def is_sealed(value: Json) -> bool:
    """Tell whether *value* is an encrypted secret."""
    return isinstance(value, dict) and MARK in value


def _member(record: Mapping[str, Json], name: str) -> Json:
    present = (each for each in _ALIASES.get(name, (name,)) if each in record)
    return record.get(next(present, name))


def _secret(record: Mapping[str, Json], name: str) -> Json:
    """Return the secret *name* as it stands there; one in the clear is newer than a sealed one."""
    plain = _member(record, name)
    beside = record.get(name + _BESIDE)
    return beside if plain in (None, "") and is_sealed(beside) else plain


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


def _members(kind: str) -> frozenset[str]:
    names = (
        each for name in SECRETS[kind] for each in (*_ALIASES.get(name, (name,)), name + _BESIDE)
    )
    return frozenset({*_TYPE_NAMES, "provider", *names, *_plain_members(kind).values()})


def _plain_members(kind: str) -> dict[str, str]:
    references = dict([REFERENCES[kind]]) if kind in REFERENCES else {}
    last = {"metadata": "metadata"} if kind == "api_key" else {"expires": "expires"}
    return {**references, **last, **_TEXTS[kind]}


def _metadata(value: Json) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _is_expiry(member: str, value: Json) -> bool:
    return member == "expires" and value is not None


def _set(record: dict[str, Json], member: str, value: Json) -> None:
    if value is None:
        record.pop(member, None)
    else:
        record[member] = value
