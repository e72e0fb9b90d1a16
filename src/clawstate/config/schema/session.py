"""`session`: which conversations there are, where they are kept, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clawstate.config.settings import default_of
from clawstate.documents import (
    WHOLE,
    Count,
    Document,
    Duration,
    DurationOrFalse,
    Maybe,
    NotNegative,
    Positive,
    Size,
    Text,
)

Policy = Literal["allow", "deny"]


class SessionReset(Document):
    """When a conversation begins anew."""

    mode: Maybe[Literal["daily", "idle"]] = Field(
        default=None, description="Once a day, or when idle."
    )
    at_hour: Maybe[Annotated[int, Field(ge=0, le=23), WHOLE]] = Field(
        default=None, description="The local hour of the daily reset; 4 if not given."
    )
    idle_minutes: Maybe[Positive] = Field(
        default=None, description="Minutes of silence before a reset; 60 if not given."
    )


class ResetByType(Document):
    """When conversations of one kind begin anew."""

    direct: Maybe[SessionReset] = Field(default=None, description="Conversations of two.")
    dm: Maybe[SessionReset] = Field(default=None, description="The old name of `direct`.")
    group: Maybe[SessionReset] = Field(default=None, description="Groups.")
    thread: Maybe[SessionReset] = Field(default=None, description="Threads.")


class SendMatch(Document):
    """The conversations that a rule is about."""

    channel: Maybe[str] = Field(default=None, description="The channel they are in.")
    chat_type: Maybe[Literal["direct", "group", "channel", "dm"]] = Field(
        default=None, description="Their kind."
    )
    key_prefix: Maybe[str] = Field(default=None, description="How their session keys begin.")
    raw_key_prefix: Maybe[str] = Field(
        default=None, description="How their session keys begin, before they are normalised."
    )


class SendRule(Document):
    """Where answers may be sent."""

    action: Policy = Field(description="Whether answers are sent.")
    match: Maybe[SendMatch] = Field(
        default=None, description="The conversations that the rule is about."
    )


class SendPolicy(Document):
    """Where answers may be sent; the first rule that matches counts."""

    default: Maybe[Policy] = Field(default=None, description="What holds where no rule matches.")
    rules: list[SendRule] = Field(default=[], description="The rules, the first match counts.")


class AgentToAgent(Document):
    """Conversations among agents."""

    max_ping_pong_turns: Maybe[Annotated[int, Field(ge=0, le=5), WHOLE]] = Field(
        default=None, description="How often two agents may answer each other."
    )


class ThreadBindings(Document):
    """Threads that stay with a session."""

    enabled: Maybe[bool] = Field(default=None, description="Bind threads to sessions.")
    ttl_hours: Maybe[NotNegative] = Field(
        default=None, description="How long a binding holds; 0 for ever."
    )


class SessionMaintenance(Document):
    """What is done about old sessions. A duration without a unit counts days."""

    mode: Literal["enforce", "warn"] = Field(
        default=default_of("session.maintenance.mode"),
        description="Remove what is too old or too much, or only warn.",
    )
    prune_after: Duration = Field(
        default=default_of("session.maintenance.pruneAfter"),
        description="The age at which a session is too old.",
    )
    prune_days: Maybe[Positive] = Field(
        default=None, description="The old name of `pruneAfter`, in days."
    )
    max_entries: Positive = Field(
        default=default_of("session.maintenance.maxEntries"),
        description="The sessions that are kept.",
    )
    rotate_bytes: Size = Field(
        default=10 * 1024 * 1024, description="Size at which the index is rotated."
    )
    reset_archive_retention: Maybe[DurationOrFalse] = Field(
        default=None, description="How long the archive of a reset is kept; false for ever."
    )
    max_disk_bytes: Maybe[Size] = Field(default=None, description="What all sessions may take.")
    high_water_bytes: Maybe[Size] = Field(
        default=None,
        description="What remains when `maxDiskBytes` was exceeded; 80 % if not given.",
    )


class Session(Document):
    """Which conversations there are, where they are kept, and for how long."""

    store: Maybe[Text] = Field(
        default=None,
        description="The index file, `sessions/sessions.json` in the state directory if not given;"
        " or the engine: `file`, `sqlite` or `postgresql://...`.",
    )
    scope: Maybe[Literal["per-sender", "global"]] = Field(
        default=None, description="One conversation a sender, or one for all."
    )
    dm_scope: Maybe[Literal["main", "per-peer", "per-channel-peer", "per-account-channel-peer"]] = (
        Field(default=None, description="What tells direct conversations apart.")
    )
    identity_links: dict[str, list[str]] = Field(
        default={}, description="The accounts that are one person, by a name for it."
    )
    reset_triggers: list[str] = Field(
        default=[], description="Messages that begin a conversation anew."
    )
    idle_minutes: Maybe[Positive] = Field(
        default=None, description="Minutes of silence before a reset."
    )
    reset: Maybe[SessionReset] = Field(default=None, description="When a conversation begins anew.")
    reset_by_type: Maybe[ResetByType] = Field(
        default=None, description="The same for one kind of them."
    )
    reset_by_channel: dict[str, SessionReset] = Field(
        default={}, description="The same for single channels."
    )
    typing_interval_seconds: Maybe[Positive] = Field(
        default=None, description="How often the typing sign is repeated."
    )
    typing_mode: Maybe[Literal["never", "instant", "thinking", "message"]] = Field(
        default=None, description="When the typing sign appears."
    )
    parent_fork_max_tokens: Maybe[Count] = Field(
        default=None, description="The largest conversation that a thread takes over; 0 for any."
    )
    main_key: Maybe[str] = Field(
        default=None, description="The name of the main conversation; always read as `main`."
    )
    send_policy: Maybe[SendPolicy] = Field(default=None, description="Where answers may be sent.")
    agent_to_agent: Maybe[AgentToAgent] = Field(
        default=None, description="Conversations among agents."
    )
    thread_bindings: Maybe[ThreadBindings] = Field(
        default=None, description="Threads that stay with a session."
    )
    maintenance: SessionMaintenance = Field(
        default_factory=SessionMaintenance, description="What is done about old sessions."
    )
