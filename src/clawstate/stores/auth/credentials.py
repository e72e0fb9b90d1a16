"""What a credential is: `ApiKey`, `Token`, `OAuth`; and a `Profile`, which gives it a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, cast

from clawstate.records.contract import Json
from clawstate.stores.auth.secret_field import SecretField
from clawstate.stores.auth.usage import UNUSED, Usage


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """
    A key that does not expire, or a reference to one (reference, section 7.1).

    *key_ref* says where the key is kept, and then *key* is `None`. *extra* are all fields that are
    not known here. A sealed key is opened when *key* is read, which raises what `Sealer.open` does.
    """

    type: ClassVar[str] = "api_key"

    provider: str
    key: str | None = field(default=cast("Any", SecretField()), repr=False)
    key_ref: Json | None = None
    email: str | None = None
    metadata: Mapping[str, str] | None = None
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Token:
    """
    A token that was pasted and cannot be renewed, or a reference to one.

    It is good until *expires*, in seconds since the epoch; `None` means for ever.
    """

    type: ClassVar[str] = "token"

    provider: str
    token: str | None = field(default=cast("Any", SecretField()), repr=False)
    token_ref: Json | None = None
    expires: float | None = None
    email: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class OAuth:
    """An access token that is good until *expires* (seconds), and one that renews it."""

    type: ClassVar[str] = "oauth"

    provider: str
    access: str | None = field(default=cast("Any", SecretField()), repr=False)
    refresh: str | None = field(default=cast("Any", SecretField()), repr=False)
    expires: float | None = None
    email: str | None = None
    client_id: str | None = None
    project_id: str | None = None
    account_id: str | None = None
    enterprise_url: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)


Credential: TypeAlias = ApiKey | Token | OAuth


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
        """`api_key`, `token` or `oauth`."""
        return self.credential.type


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry of the document that is kept and not used, and why; *place* such as `profiles`."""

    place: str
    key: str
    reason: str


def expiry_of(credential: Credential) -> float | None:
    """Return when *credential* ceases to be good, in seconds since the epoch."""
    return None if isinstance(credential, ApiKey) else credential.expires


def reference_of(credential: Credential) -> Json | None:
    """Return the reference that stands in the place of a secret, or `None`."""
    if isinstance(credential, ApiKey):
        return credential.key_ref
    return credential.token_ref if isinstance(credential, Token) else None
