"""`env`, `commands`, `logging`, `messages` and `meta`: how the program itself behaves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clawstate.documents import (
    WHOLE,
    Count,
    Document,
    Maybe,
    OpenDocument,
    Positive,
    Text,
)
from clawstate.secrets.schema import Secret

LogLevel = Literal["silent", "fatal", "error", "warn", "info", "debug", "trace"]
OnOrAuto = bool | Literal["auto"]
Account = str | int | float


class ShellEnv(Document):
    """Variables of the login shell."""

    enabled: Maybe[bool] = Field(default=None, description="Take keys from the login shell.")
    timeout_ms: Maybe[Count] = Field(default=None, description="How long the shell may take.")


class Environment(Document):
    """Environment variables; those that are set already are left alone."""

    __pydantic_extra__: dict[str, str] = Field(init=False)

    shell_env: Maybe[ShellEnv] = Field(default=None, description="Variables of the login shell.")
    vars: dict[str, str] = Field(default={}, description="Variables by name.")


class Commands(Document):
    """Commands that people send in messages."""

    native: OnOrAuto = Field(default="auto", description="Offer commands in the menus of channels.")
    native_skills: OnOrAuto = Field(
        default="auto", description="Offer skills in the menus of channels."
    )
    text: bool = Field(default=True, description="Understand commands in plain messages.")
    bash: Maybe[bool] = Field(default=None, description="Allow shell commands.")
    bash_foreground_ms: Maybe[Annotated[int, Field(ge=0, le=30_000), WHOLE]] = Field(
        default=None, description="After this time a shell command goes on in the background."
    )
    config: Maybe[bool] = Field(
        default=None, description="Allow to read and change the configuration."
    )
    debug: Maybe[bool] = Field(default=None, description="Allow to override settings for a while.")
    restart: bool = Field(default=True, description="Allow to restart the gateway.")
    use_access_groups: Maybe[bool] = Field(
        default=None, description="Ask the lists of allowed accounts."
    )
    owner_allow_from: Maybe[list[Account]] = Field(
        default=None, description="The accounts of the owner."
    )
    owner_display: Literal["raw", "hash"] = Field(
        default="raw", description="How the agent is told who the owner is."
    )
    owner_display_secret: Maybe[Secret] = Field(default=None, description="The key of the hash.")
    allow_from: Maybe[dict[str, list[Account]]] = Field(
        default=None,
        description="The accounts that may send commands, by channel; `*` for all channels.",
    )


class Logging(Document):
    """What is logged, and where."""

    level: Maybe[LogLevel] = Field(default=None, description="What goes to the file.")
    file: Maybe[Text] = Field(default=None, description="The file.")
    max_file_bytes: Maybe[Positive] = Field(default=None, description="The file grows no larger.")
    console_level: Maybe[LogLevel] = Field(default=None, description="What goes to the terminal.")
    console_style: Maybe[Literal["pretty", "compact", "json"]] = Field(
        default=None, description="How it looks on the terminal."
    )
    redact_sensitive: Literal["off", "tools"] = Field(
        default="tools", description="Whether secrets are left out of what tools log."
    )
    redact_patterns: Maybe[list[str]] = Field(
        default=None, description="Regular expressions of what else is left out."
    )


class Messages(OpenDocument):
    """How messages are received and answered."""

    ack_reaction_scope: Literal["group-mentions", "group-all", "direct", "all"] = Field(
        default="group-mentions", description="Which messages are acknowledged with a reaction."
    )


class Meta(Document):
    """What the last writer left."""

    last_touched_version: Maybe[str] = Field(default=None, description="Its version.")
    last_touched_at: Maybe[str | int | float] = Field(default=None, description="When it wrote.")
