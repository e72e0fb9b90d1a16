"""`auth`: which credentials there are and in which order they are tried."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from clawstate.config.settings import default_of
from clawstate.documents import (
    BY_SHAPE,
    LIST,
    OBJECT,
    AboveZero,
    Document,
    Maybe,
    Text,
)


class AuthProfile(Document):
    """A credential that `auth-profiles.json` keeps, without its secret."""

    provider: Text = Field(description="The provider that the credential is for.")
    mode: Literal["api_key", "oauth", "token"] = Field(description="The kind of the credential.")
    email: Maybe[str] = Field(
        default=None, description="The account that the credential belongs to."
    )


class AuthCooldowns(Document):
    """How long a credential rests after a failure."""

    billing_backoff_hours: AboveZero = Field(
        default=default_of("auth.cooldowns.billingBackoffHours"),
        description="First rest after a billing failure, in hours; each further one is doubled.",
    )
    billing_backoff_hours_by_provider: dict[str, AboveZero] = Field(
        default={}, description="The same for single providers."
    )
    billing_max_hours: AboveZero = Field(
        default=default_of("auth.cooldowns.billingMaxHours"),
        description="Longest rest after a billing failure, in hours.",
    )
    failure_window_hours: AboveZero = Field(
        default=default_of("auth.cooldowns.failureWindowHours"),
        description="Failures further apart than this many hours are not added up.",
    )


AuthOrder = Annotated[
    Annotated[list[Text], Tag(LIST)] | Annotated[dict[str, list[Text]], Tag(OBJECT)], BY_SHAPE
]


class Auth(Document):
    """Which credentials there are and in which order they are tried."""

    profiles: dict[str, AuthProfile] = Field(
        default={}, description="The credentials, by `provider:name`."
    )
    order: Maybe[AuthOrder] = Field(
        default=None,
        description="The profiles in the order they are tried: one list, or one a provider.",
    )
    cooldowns: AuthCooldowns = Field(
        default_factory=AuthCooldowns, description="How long a credential rests after a failure."
    )
