"""Which databases of OpenClaw are understood: their roles, schema numbers, tables and columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

SESSIONS_SINCE: Final = 14
"""The schema of an agent since which its sessions are in `session_nodes`."""
_META = "meta_key role schema_version agent_id app_version created_at updated_at"
# Beginnings of names: an index of words, for one, is several tables that are named after it.
_DERIVED = (
    *("sqlite_", "session_transcript_fts", "memory_index_chunks_", "memory_index_paths_"),
    *("standing_intents_fts", "session_canonical_validation_pending", "session_key_contract"),
)
_DERIVED_TABLES = frozenset(
    {"session_transcript_active_events", "session_transcript_index_state", "memory_index_sources"}
    | {"transcript_event_identities", "transcript_rewrite_watermarks", "memory_embedding_cache"}
    | {"memory_index_meta", "memory_index_state", "session_conversations", "conversations"}
)


class Role(Enum):
    """What a database is to OpenClaw: that of the whole state, or that of one agent."""

    STATE = "global"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database says of itself; *program* is the version of the OpenClaw that made it."""

    role: Role
    version: int
    program: str = ""
    agent: str = ""


NEWEST: Final[Mapping[Role, int]] = {Role.STATE: 18, Role.AGENT: 23}
"""The highest schema number of each role that is understood: those of OpenClaw 2026.9.6."""


# All columns, also those that are not used: any other one is told as unknown (decision 28).
_READ = {
    Role.STATE: {
        "schema_meta": _META,
        "config_machine_state": "state_key value_json updated_at_ms",
        "auth_profile_stores": "store_key store_json updated_at",
        "auth_profile_state": "state_key state_json updated_at",
        "agent_databases": "agent_id path schema_version last_seen_at size_bytes",
        "channel_pairing_requests": (
            "channel_key account_id request_id code created_at last_seen_at meta_json"
        ),
        "channel_pairing_allow_entries": "channel_key account_id entry sort_order updated_at",
        "device_identities": (
            "identity_key device_id public_key_pem private_key_pem created_at_ms updated_at_ms"
        ),
        "device_auth_tokens": "device_id role token scopes_json updated_at_ms",
        "device_pairing_paired": (
            "device_id public_key display_name operator_label platform device_family client_id "
            "client_mode browser_origin role roles_json scopes_json approved_scopes_json remote_ip "
            "tokens_json approved_via node_surface_json pending_node_surface_json created_at_ms "
            "approved_at_ms last_seen_at_ms last_seen_reason"
        ),
        "plugin_state_entries": ("plugin_id namespace entry_key value_json created_at expires_at"),
        "secret_store_entries": (
            "scope_kind scope_id name value kind created_at_ms updated_at_ms updated_by "
            "deleted_at_ms allowed_hosts"
        ),
        "gateway_boot_lifecycle": (
            "boot_id pid started_at_ms completed_at_ms outcome startup_reason reason"
        ),
    },
    Role.AGENT: {
        "schema_meta": _META,
        "auth_profile_store": "store_key store_json updated_at",
        "auth_profile_state": "state_key state_json updated_at",
        "session_nodes": (
            "session_key current_session_id entry_json legacy_acp_migration_json entry_valid "
            "updated_at status created_at created_via created_actor_type created_actor_id "
            "owner_actor_type owner_actor_id owner_assigned_by_type owner_assigned_by_id "
            "owner_assigned_at project_id parent_session_key spawned_by fork_source_session_key "
            "fork_source_session_id fork_source_entry_id label display_name category icon "
            "pinned_at archived_at last_read_at last_interaction_at last_activity_at"
        ),
        "session_windows": (
            "session_id session_key previous_session_id reason session_scope created_at updated_at "
            "transcript_updated_at transcript_observed_at session_entry_provenance acp_owned "
            "plugin_owner_id hook_external_content_source started_at ended_at status chat_type "
            "channel account_id primary_conversation_id model_provider model agent_harness_id "
            "parent_session_key spawned_by display_name"
        ),
        "transcript_events": (
            "session_id seq event_json created_at event_zstd event_utf8_bytes navigation_json"
        ),
        "session_transcript_cold_archives": (
            "session_id generation archive_name archive_sha256 event_count raw_bytes "
            "archive_bytes last_seq archived_at storage archive_blob"
        ),
        "session_transcript_archives": (
            "session_id generation session_key reason encoding archive_blob archive_sha256 "
            "archive_name created_at published_at publish_attempts last_publish_attempt_at "
            "last_publish_error"
        ),
        "memory_index_chunks": (
            "chunk_rowid id path source start_line end_line hash model text embedding updated_at"
        ),
        "memory_index_chunk_provenance": (
            "chunk_id origin_class session_kind observed_at supersedes_key"
        ),
        "memory_index_chunk_recall_metadata": "chunk_id importance triggers project_key",
        "memory_session_tombstones": "session_id agent_id reason created_at",
        "memory_entry_origins": (
            "entry_key agent_id session_id session_key origin_class observed_at"
        ),
    },
}
READ: Final[Mapping[Role, Mapping[str, frozenset[str]]]] = {
    role: {table: frozenset(columns.split()) for table, columns in tables.items()}
    for role, tables in _READ.items()
}
"""The tables that are read, with the columns that they have in the newest schema."""


def is_derived(table: str) -> bool:
    """Tell whether OpenClaw can make the content of *table* again from what is read here."""
    return table.startswith(_DERIVED) or table in _DERIVED_TABLES
