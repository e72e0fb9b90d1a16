"""
The types of credentials: everything that is said about one type stands in its class here.

How a credential is read, written, validated, encrypted, masked, ordered, asked for on the command
line, imported and audited is derived from these declarations. A new type is one more class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Final, TypeVar

from clawstate.encryption.member import SEALED
from clawstate.errors import InvalidError
from clawstate.records.contract import Json
from clawstate.stores.auth.usage import UNUSED, Usage

TYPES: Final[dict[str, CredentialType]] = {}
"""The types of credentials that are understood, by the value of `type`."""


@dataclass(frozen=True, slots=True)
class Member:
    """
    How the *attribute* of a credential stands in JSON: as the member *name*, or one of *aliases*.

    *kind* is `secret`, `reference`, `text`, `texts` (an object of texts) or `expiry`. A secret is
    called *label* in messages. One that is not *exact* loses its line breaks and outer blanks,
    which come from pasting.
    """

    attribute: str
    name: str
    kind: str
    aliases: tuple[str, ...] = ()
    label: str = ""
    exact: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which it is read, in the clear; the first is written."""
        return (self.name, *self.aliases)


class EncryptedSecret:
    """
    A secret that is encrypted for one *place*.

    It is decrypted when its text is asked for, once; *decrypt* is called for that.
    """

    __slots__ = ("_decrypt", "_text", "document", "place")

    def __init__(
        self, document: Mapping[str, Json], place: str, decrypt: Callable[[], str]
    ) -> None:
        self.document = document
        self.place = place
        self._decrypt = decrypt
        self._text: str | None = None

    def text(self) -> str:
        """Return the secret; raises what `Sealer.open` does."""
        if self._text is None:
            self._text = self._decrypt()
        return self._text

    def __repr__(self) -> str:
        return "<sealed>"


class _SecretField:
    """
    Descriptor of a secret in a frozen dataclass: takes text or `EncryptedSecret`, and gives text.

    As the default of a field it stands for `None`.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        found = instance.__dict__.get(self._name)
        return found.text() if isinstance(found, EncryptedSecret) else found

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = None if value is self else value


def secret(name: str, *aliases: str, label: str, exact: bool = False) -> Any:
    """Declare a secret; requests are made with the first one of a credential."""
    member = {"kind": "secret", "name": name, "aliases": aliases, "label": label, "exact": exact}
    return field(default=_SecretField(), repr=False, metadata=member)


def reference(name: str) -> Any:
    """Declare the reference that may take the place of the first secret."""
    return field(default=None, metadata={"kind": "reference", "name": name})


def text(name: str) -> Any:
    """Declare a text that is no secret."""
    return field(default=None, metadata={"kind": "text", "name": name})


def texts(name: str) -> Any:
    """Declare an object of texts that are no secrets."""
    return field(default=None, metadata={"kind": "texts", "name": name})


def expiry(name: str) -> Any:
    """Declare when it expires: in seconds since the epoch here, in milliseconds in JSON."""
    return field(default=None, metadata={"kind": "expiry", "name": name})


@dataclass(frozen=True, kw_only=True)
class Credential:
    """
    What all credentials have: the *provider* that they are for, and the *email* of the account.

    *extra* are all fields that are not known here. An encrypted secret is decrypted when it is
    read, which raises what `Sealer.open` does.
    """

    type: ClassVar[str]

    provider: str
    email: str | None = text("email")
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class CredentialType:
    """
    One row of `TYPES`: what the rest of the store, the command line and the audit read of a type.

    *rank* says which type is tried first, the lowest. *prompt* names what is typed in; with
    *asks_json* that is a JSON object of all members instead of the first secret. *renews* says that
    a refresh brings new tokens. *modes* are the types in the configuration (`auth.profiles`) that
    such a credential satisfies.
    """

    value: type[Credential]
    rank: int
    prompt: str
    asks_json: bool
    renews: bool
    modes: frozenset[str]
    members: tuple[Member, ...]

    @cached_property
    def secrets(self) -> tuple[Member, ...]:
        """The secrets; requests are made with the first."""
        return tuple(each for each in self.members if each.kind == "secret")

    @cached_property
    def plain(self) -> tuple[Member, ...]:
        """The members that are no secrets."""
        return tuple(each for each in self.members if each.kind != "secret")

    @cached_property
    def reference(self) -> Member | None:
        """The reference that may take the place of the first secret."""
        return next((each for each in self.members if each.kind == "reference"), None)

    @cached_property
    def expiry(self) -> Member | None:
        """The moment at which such a credential expires."""
        return next((each for each in self.members if each.kind == "expiry"), None)

    @cached_property
    def names(self) -> frozenset[str]:
        """All names that its members can have in JSON."""
        sealed = (each.name + SEALED for each in self.secrets)
        return frozenset({*sealed, *(name for each in self.members for name in each.names)})


C = TypeVar("C", bound=type[Credential])


def credential_type(
    *,
    rank: int,
    prompt: str,
    asks_json: bool = False,
    renews: bool = False,
    modes: tuple[str, ...] = (),
) -> Callable[[C], C]:
    """Add a class of credentials to `TYPES`; see `CredentialType`."""

    def add(value: C) -> C:
        fields = [each for each in dataclasses.fields(value) if "kind" in each.metadata]
        TYPES[value.type] = CredentialType(
            value,
            rank,
            prompt,
            asks_json,
            renews,
            frozenset({value.type, *modes}),
            tuple(Member(each.name, **each.metadata) for each in fields),
        )
        return value

    return add


# OpenClaw tries what renews itself before what expires, and that before a key without an end, which
# may cost money by the call (reference, section 7.6).


@credential_type(rank=2, prompt="API key")
@dataclass(frozen=True, kw_only=True)
class ApiKey(Credential):
    """
    A key that does not expire, or a reference to one (reference, section 7.1).

    *key_ref* says where the key is kept, and then *key* is `None`.
    """

    type: ClassVar[str] = "api_key"

    key: str | None = secret("key", "apiKey", label="an API key")
    key_ref: Json | None = reference("keyRef")  # noqa: RUF009 - a `field`
    metadata: Mapping[str, str] | None = texts("metadata")


@credential_type(rank=1, prompt="token", modes=("oauth",))
@dataclass(frozen=True, kw_only=True)
class Token(Credential):
    """
    A token that was pasted and cannot be renewed, or a reference to one.

    It is good until *expires*, in seconds since the epoch; `None` means for ever.
    """

    type: ClassVar[str] = "token"

    token: str | None = secret("token", label="a token")
    token_ref: Json | None = reference("tokenRef")  # noqa: RUF009 - a `field`
    expires: float | None = expiry("expires")


@credential_type(rank=0, prompt="tokens as JSON", asks_json=True, renews=True)
@dataclass(frozen=True, kw_only=True)
class OAuth(Credential):
    """An access token that is good until *expires* (seconds), and one that renews it."""

    type: ClassVar[str] = "oauth"

    access: str | None = secret("access", label="an access token", exact=True)
    refresh: str | None = secret("refresh", label="a refresh token", exact=True)
    expires: float | None = expiry("expires")
    client_id: str | None = text("clientId")
    project_id: str | None = text("projectId")
    account_id: str | None = text("accountId")
    enterprise_url: str | None = text("enterpriseUrl")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """
    A credential under its *id*, such as `openai:default`.

    *origin* tells where it lies: `own`, `inherited` from the main agent, or `legacy`, in a file of
    an older release that no change has imported yet. *usage* is how it fared.
    """

    id: str
    credential: Credential
    origin: str = "own"
    usage: Usage = UNUSED

    @property
    def provider(self) -> str:
        """The provider that the credential is for."""
        return self.credential.provider

    @property
    def type(self) -> str:
        """The name of its type, such as `api_key`, `token` or `oauth`."""
        return self.credential.type


@dataclass(frozen=True, slots=True)
class AuthProblem:
    """An entry of the document that is kept and not used, and why; *place* such as `profiles`."""

    place: str
    key: str
    reason: str


def require_type(name: object) -> CredentialType:
    """Return the type *name*; raises `InvalidError` for one that is not known."""
    if isinstance(name, str) and name in TYPES:
        return TYPES[name]
    raise InvalidError("type", "is not known", f"give one of {', '.join(TYPES)}")


def type_of(record: Mapping[str, Json]) -> str:
    """Return the type that *record* says it has, or nothing."""
    found = record.get("type") if "type" in record else record.get("mode")
    return found if isinstance(found, str) else ""


def raw_secret(credential: Credential, name: str) -> str | EncryptedSecret | None:
    """Return the secret *name* of *credential* as it is stored, not decrypted."""
    found: str | EncryptedSecret | None = vars(credential)[name]
    return found


def raw_secrets(credential: Credential) -> tuple[str | EncryptedSecret | None, ...]:
    """Return all secrets of *credential* as they are stored, that of requests first."""
    found = vars(credential)
    return tuple(found[each.attribute] for each in TYPES[credential.type].secrets)


def expiry_of(credential: Credential) -> float | None:
    """Return when *credential* ceases to be good, in seconds since the epoch."""
    member = TYPES[credential.type].expiry
    return None if member is None else getattr(credential, member.attribute)


def reference_of(credential: Credential) -> Json | None:
    """Return the reference that stands in the place of a secret, or `None`."""
    member = TYPES[credential.type].reference
    return None if member is None else getattr(credential, member.attribute)
