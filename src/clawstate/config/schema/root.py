"""The whole configuration as one document, its defaults, and its JSON Schema for editors."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from clawstate.config.schema.agents import Agents
from clawstate.config.schema.auth import Auth
from clawstate.config.schema.gateway import Gateway
from clawstate.config.schema.memory import MemorySection, Plugins
from clawstate.config.schema.service import Commands, Environment, Logging, Messages, Meta
from clawstate.config.schema.session import Session
from clawstate.config.schema.storage import Caches, Locks, Pairing, StateSection
from clawstate.documents import Document, Maybe, Object
from clawstate.secrets.schema import Secrets


class Config(Document):
    """
    The configuration of an agent: `openclaw.json`.

    Accepts what the specification names and what OpenClaw 2026.2.26 writes (decision 11).
    """

    schema_: Maybe[str] = Field(
        default=None, alias="$schema", description="Where editors find the schema of this file."
    )
    meta: Maybe[Meta] = Field(default=None, description="What the last writer left.")
    auth: Auth = Field(default_factory=Auth, description="Credentials and their order.")
    gateway: Gateway = Field(default_factory=Gateway, description="Where the gateway listens.")
    session: Session = Field(default_factory=Session, description="Conversations.")
    state: StateSection = Field(default_factory=StateSection, description="Where records are kept.")
    memory: MemorySection = Field(
        default_factory=MemorySection, description="What the agent remembers."
    )
    agents: Agents = Field(default_factory=Agents, description="The agents.")
    plugins: Plugins = Field(default_factory=Plugins, description="Plugins.")
    secrets: Secrets = Field(
        default_factory=Secrets, description="Where secret references are resolved."
    )
    env: Environment = Field(default_factory=Environment, description="Environment variables.")
    commands: Commands = Field(
        default_factory=Commands, description="Commands that people send in messages."
    )
    messages: Messages = Field(default_factory=Messages, description="Receiving and answering.")
    logging: Logging = Field(default_factory=Logging, description="What is logged, and where.")
    pairing: Pairing = Field(default_factory=Pairing, description="Devices that want in.")
    caches: Caches = Field(default_factory=Caches, description="How much is cached.")
    locks: Locks = Field(default_factory=Locks, description="How long to wait for a file lock.")
    acp: Maybe[Object] = Field(
        default=None, description="Agents that speak the Agent Client Protocol."
    )
    approvals: Maybe[Object] = Field(default=None, description="Where approvals are asked for.")
    audio: Maybe[Object] = Field(default=None, description="How speech becomes text.")
    bindings: Maybe[list[Object]] = Field(default=None, description="Which agent answers whom.")
    broadcast: Maybe[Object] = Field(default=None, description="Groups that several agents answer.")
    browser: Maybe[Object] = Field(default=None, description="The browser that agents drive.")
    canvas_host: Maybe[Object] = Field(default=None, description="The server of the canvas.")
    channels: Maybe[Object] = Field(default=None, description="Telegram, WhatsApp and the others.")
    cron: Maybe[Object] = Field(default=None, description="Runs at set times.")
    diagnostics: Maybe[Object] = Field(default=None, description="Traces and metrics.")
    discovery: Maybe[Object] = Field(default=None, description="How gateways find each other.")
    hooks: Maybe[Object] = Field(default=None, description="What others may start by HTTP.")
    media: Maybe[Object] = Field(default=None, description="Files in messages.")
    models: Maybe[Object] = Field(default=None, description="Further models and their providers.")
    node_host: Maybe[Object] = Field(default=None, description="This machine as a node.")
    skills: Maybe[Object] = Field(default=None, description="Skills.")
    talk: Maybe[Object] = Field(default=None, description="Spoken conversations.")
    tools: Maybe[Object] = Field(default=None, description="The tools that agents may use.")
    ui: Maybe[Object] = Field(default=None, description="How the apps look.")
    update: Maybe[Object] = Field(default=None, description="Updates of the program.")
    web: Maybe[Object] = Field(default=None, description="The connection of WhatsApp Web.")
    wizard: Maybe[Object] = Field(default=None, description="What the setup wizard did last.")


def defaults() -> dict[str, Any]:
    """Return the value of every key that has a default, as the text would have it."""
    return _without_empty(Config().model_dump(by_alias=True, exclude_none=True))


def json_schema() -> dict[str, Any]:
    """
    Return the JSON Schema (draft 2020-12) of the configuration, with descriptions, for editors.

    Unknown keys are allowed, as they are when the configuration is read.
    """
    schema = Config.model_json_schema(by_alias=True, schema_generator=_ForEditors)
    about = {"title": "openclaw.json", "description": "The configuration of an agent."}
    return {"$schema": _ForEditors.schema_dialect, **schema, **about}


class _ForEditors(GenerateJsonSchema):
    """Leaves out what says nothing: titles made from names, and the default null."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - of pydantic
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {key: part for key, part in super().model_schema(schema).items() if key != "title"}


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    cleaned = {
        key: _without_empty(item) if isinstance(item, dict) else item for key, item in value.items()
    }
    return {key: item for key, item in cleaned.items() if item not in ({}, [])}
