"""`secrets`: where secret references are resolved (reference of OpenClaw, "Secret refs")."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from clawstate.documents import (
    BY_SHAPE,
    OBJECT,
    VALUE,
    WHOLE,
    Document,
    Like,
    Maybe,
    Text,
    refusal,
)
from clawstate.secrets.redaction import ALIAS, ENVIRONMENT_NAME, is_secret_reference

Alias = Annotated[str, Like(ALIAS, "an alias of a-z, 0-9, _ and -, such as default")]
VariableName = Annotated[
    str, Like(ENVIRONMENT_NAME, "the name of an environment variable, such as OPENAI_API_KEY")
]
# The bounds here and below are those of OpenClaw: it would refuse what is beyond them.
Milliseconds = Annotated[int, Field(ge=1, le=120_000), WHOLE]
Bytes = Annotated[int, Field(ge=1, le=20 * 1024 * 1024), WHOLE]


class SecretReference(Document):
    """A secret that is kept elsewhere."""

    source: Literal["env", "file", "exec", "keyring"] = Field(
        description="The kind of the provider that keeps the secret."
    )
    provider: Maybe[Alias] = Field(
        default=None, description="Alias of the provider; without it the default of the source."
    )
    id: Text = Field(
        description="Name of the variable, JSON pointer into the file, or name of the secret."
    )


def _require_form(reference: SecretReference) -> SecretReference:
    named = {"source": reference.source, "id": reference.id}
    if not is_secret_reference(named):
        raise refusal(f"an id that the source {reference.source} can have")
    return reference


Reference = Annotated[SecretReference, AfterValidator(_require_form)]
"""A reference to a secret, and nothing else."""

Secret = Annotated[Annotated[str, Tag(VALUE)] | Annotated[Reference, Tag(OBJECT)], BY_SHAPE]
"""A secret as text, which may be `${VARIABLE}`, or a reference to it."""


class EnvironmentProvider(Document):
    """Secrets in environment variables."""

    source: Literal["env"] = Field(description="Environment variables.")
    allowlist: Annotated[list[VariableName], Field(max_length=256)] = Field(
        default=[], description="The only variables that may be read; without it, all."
    )


class FileProvider(Document):
    """Secrets in a file."""

    source: Literal["file"] = Field(description="A file that only its owner can read.")
    path: Text = Field(description="Absolute path of the file; no symbolic link.")
    mode: Maybe[Literal["json", "singleValue"]] = Field(
        default=None,
        description="Whether the file is a JSON object, or one secret and nothing else.",
    )
    timeout_ms: Milliseconds = Field(default=5000, description="How long reading may take.")
    max_bytes: Bytes = Field(default=1024 * 1024, description="No larger file is read.")


class CommandProvider(Document):
    """Secrets that a program prints."""

    source: Literal["exec"] = Field(description="A program that prints secrets as JSON.")
    command: Text = Field(description="Absolute path of the program.")
    args: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=128)] = Field(
        default=[], description="Arguments of the program."
    )
    timeout_ms: Milliseconds = Field(default=5000, description="How long the program may run.")
    no_output_timeout_ms: Milliseconds = Field(
        default=2000, description="How long the program may stay silent."
    )
    max_output_bytes: Bytes = Field(default=1024 * 1024, description="No more output is read.")
    json_only: Maybe[bool] = Field(
        default=None, description="Refuse output that is not JSON of taking it as text."
    )
    env: dict[str, str] = Field(default={}, description="Variables that the program is given.")
    pass_env: Annotated[list[VariableName], Field(max_length=128)] = Field(
        default=[], description="Variables of ours that the program inherits."
    )
    trusted_dirs: Annotated[list[Text], Field(max_length=64)] = Field(
        default=[], description="Directories the program may lie in; empty for any."
    )
    allow_insecure_path: bool = Field(
        default=False, description="Run the program though others could replace it."
    )
    allow_symlink_command: bool = Field(
        default=False, description="Run the program though its path is a symbolic link."
    )


class KeyringProvider(Document):
    """Secrets in the keyring of the operating system. OpenClaw does not know it."""

    source: Literal["keyring"] = Field(description="The keyring of the operating system.")
    service: Text = Field(default="openclaw", description="The service that the secrets belong to.")


def _source(value: Any) -> str | None:
    """Return the tag of a provider; brackets keep it apart from the keys of the provider."""
    source = value.get("source") if isinstance(value, dict) else getattr(value, "source", None)
    return f"<{source}>" if isinstance(source, str) else None


Provider = Annotated[
    Annotated[EnvironmentProvider, Tag("<env>")]
    | Annotated[FileProvider, Tag("<file>")]
    | Annotated[CommandProvider, Tag("<exec>")]
    | Annotated[KeyringProvider, Tag("<keyring>")],
    Discriminator(_source),
]


class DefaultProviders(Document):
    """The providers of references that name none."""

    env: Alias = Field(default="default", description="The provider of environment variables.")
    file: Maybe[Alias] = Field(default=None, description="The provider of files.")
    exec: Maybe[Alias] = Field(default=None, description="The provider of programs.")
    keyring: Maybe[Alias] = Field(default=None, description="The provider of keyrings.")


class Resolution(Document):
    """Bounds on what resolving all references may cost."""

    max_provider_concurrency: Maybe[Annotated[int, Field(ge=1, le=16), WHOLE]] = Field(
        default=None, description="Providers that are asked at the same time."
    )
    max_refs_per_provider: Maybe[Annotated[int, Field(ge=1, le=4096), WHOLE]] = Field(
        default=None, description="References that one provider may have to resolve."
    )
    max_batch_bytes: Maybe[Annotated[int, Field(ge=1, le=5 * 1024 * 1024), WHOLE]] = Field(
        default=None, description="Bytes of one question to a provider."
    )


class Secrets(Document):
    """Where secret references are resolved."""

    providers: dict[Alias, Provider] = Field(
        default={}, description="The places that keep secrets, by alias."
    )
    defaults: DefaultProviders = Field(
        default_factory=DefaultProviders, description="The providers of references that name none."
    )
    resolution: Resolution = Field(
        default_factory=Resolution, description="Bounds on what resolving may cost."
    )
