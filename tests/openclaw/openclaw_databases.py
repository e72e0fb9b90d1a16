"""A directory as OpenClaw 2026.9.6 keeps it: both databases, and the files that belong to them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from clawstate.clock import to_iso
from importers.openclaw_home import key_pair

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STATE, AGENT = "state/openclaw.sqlite", "agents/{}/agent/openclaw-agent.sqlite"
SECRETS = (
    *("sk-secret-of-openai", "secret-access-of-google", "secret-refresh-of-google"),
    *("secret-token-of-work", "secret-of-the-store"),
    *("secret-of-the-phone-secret-of-the-phone-secre", "secret-of-operator", "secret-of-mcp"),
)
ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
THREE = "33333333-3333-4333-8333-333333333333"
PICTURE = "44444444-4444-4444-8444-444444444444.png"


class OpenClawDatabases:
    """Makes the databases below *root* with SQL of its own; *now* is in seconds."""

    def __init__(
        self, root: Path, now: float, *, state_schema: int = 18, agent_schema: int = 23
    ) -> None:
        self.root = root
        self.now = now
        self._schemas = (state_schema, agent_schema)
        self._made: set[Path] = set()

    def ms(self, ago: float = 0.0) -> int:
        return round((self.now - ago) * 1000)

    def state(self, sql: str, *rows: Sequence[Any]) -> Path:
        """Run *sql* once for each of *rows* in the database of the state, made when needed."""
        return self._run(self.root / STATE, None, sql, rows)

    def agent(self, agent: str, sql: str, *rows: Sequence[Any]) -> Path:
        """Run *sql* once for each of *rows* in the database of *agent*, made when needed."""
        return self._run(self.root / AGENT.format(agent), agent, sql, rows)

    def file(self, path: str, content: str | bytes) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return place

    def credentials(self, document: Mapping[str, Any], agent: str | None = None) -> None:
        """Keep what `auth-profiles.json` would hold, of all agents or of one."""
        names = ("order", "lastGood", "usageStats")
        state = {"version": 1, **{key: document[key] for key in names if key in document}}
        store = {"version": 1, "profiles": document.get("profiles", {})}
        if agent is None:
            sql = "INSERT INTO config_machine_state VALUES (?, ?, ?)"
            keys = ("authProfiles.store", "authProfiles.state")
            values = zip(keys, (store, state), strict=True)
            self.state(sql, *((key, _text(value), self.ms()) for key, value in values))
            return
        for table, value in (("auth_profile_store", store), ("auth_profile_state", state)):
            sql = f"INSERT INTO {table} VALUES ('primary', ?, ?)"
            self.agent(agent, sql, (_text(value), self.ms()))

    def session(self, agent: str, key: str, session_id: str, *, valid: int = 1, **more: Any) -> str:
        """Keep a session, with what is large and made anew by OpenClaw; return its id."""
        entry = {
            "sessionId": session_id,
            "updatedAt": self.ms(60),
            "skillsSnapshot": {"prompt": "x" * 100},
            "systemPromptReport": {"y": 1},
            **more,
        }
        updated = entry["updatedAt"]
        row = (key, session_id, _text(entry), valid, updated)
        self.agent(
            agent,
            "INSERT INTO session_nodes (session_key, current_session_id, entry_json, entry_valid, "
            "updated_at) VALUES (?, ?, ?, ?, ?)",
            row,
        )
        self.window(agent, key, session_id)
        return session_id

    def window(self, agent: str, key: str, session_id: str) -> None:
        sql = "INSERT INTO session_windows (session_id, session_key, updated_at) VALUES (?, ?, ?)"
        self.agent(agent, sql, (session_id, key, self.ms(60)))

    def events(self, session_id: str, said: Sequence[str], *, media: str = "") -> list[str]:
        """Return a transcript of *said*; the first message names the file *media*."""
        header = {
            "type": "session",
            "version": 4,
            "id": session_id,
            "timestamp": to_iso(self.now - 500),
            "cwd": "/home/ada",
        }
        entries: list[dict[str, Any]] = [header]
        parent = None
        for number, text in enumerate(said):
            name = hashlib.sha256(f"{session_id}{number}".encode()).hexdigest()[:32]
            is_user = number % 2 == 0
            content = text if is_user else [{"type": "text", "text": text}]
            message: dict[str, Any] = {
                "role": "user" if is_user else "assistant",
                "content": content,
                "timestamp": self.ms(400 - number),
            }
            if media and number == 0:
                link = {"url": f"media://inbound/{media}", "contentType": "image/png"}
                message["__openclaw"] = {"media": [link]}
            entries.append(
                {
                    "type": "message",
                    "id": name,
                    "parentId": parent,
                    "timestamp": to_iso(self.now - 400 + number),
                    "message": message,
                }
            )
            parent = name
        return [_text(each) for each in entries]

    def transcript(
        self, agent: str, session_id: str, lines: Sequence[str], *, packed: Sequence[int] = ()
    ) -> None:
        """Keep *lines* as events, those whose numbers are in *packed* compressed."""
        rows = []
        for seq, line in enumerate(lines):
            data, size = zstd.compress(line.encode()), len(line.encode())
            kept = (None, data, size) if seq in packed else (line, None, size)
            rows.append((session_id, seq, self.ms(400), *kept))
        sql = (
            "INSERT INTO transcript_events (session_id, seq, created_at, event_json, event_zstd, "
            "event_utf8_bytes) VALUES (?, ?, ?, ?, ?, ?)"
        )
        self.agent(agent, sql, *rows)

    def cold(
        self, agent: str, session_id: str, lines: Sequence[str], *, inside: bool = False
    ) -> str:
        """Keep *lines* in a cold archive, a file or *inside* its row; return the file's name."""
        records: list[Any] = [{"kind": "header", "version": 1, "sessionId": session_id}]
        records += [
            {"kind": "event", "row": {"seq": seq, "event_json": line, "created_at": self.ms(400)}}
            for seq, line in enumerate(lines)
        ]
        records.append({"kind": "index", "row": {}})
        data = zstd.compress("".join(f"{_text(each)}\n" for each in records).encode())
        digest = hashlib.sha256(data).hexdigest()
        name = f"{digest}.jsonl.zst"
        if not inside:
            self.file(f"agents/{agent}/sessions/cold/{name}", data)
        storage, blob = ("sqlite", data) if inside else ("file", None)
        sql = (
            "INSERT INTO session_transcript_cold_archives (session_id, archive_name, "
            "archive_sha256, event_count, last_seq, storage, archive_blob) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        row = (session_id, name, digest, len(lines), len(lines) - 1, storage, blob)
        self.agent(agent, sql, row)
        return name

    def deleted(
        self, agent: str, session_id: str, lines: Sequence[str], *, reason: str = "deleted"
    ) -> str:
        """Keep *lines* as those of a session that is gone; return the name of their archive."""
        data = zstd.compress("".join(f"{each}\n" for each in lines).encode())
        name = f"{session_id}.jsonl.{reason}.2026-02-01T10-00-00.000Z.0123456789abcdef.zst"
        sql = (
            "INSERT INTO session_transcript_archives (session_id, generation, session_key, reason, "
            "encoding, archive_blob, archive_sha256, archive_name) "
            "VALUES (?, ?, ?, ?, 'zstd', ?, ?, ?)"
        )
        digest = hashlib.sha256(data).hexdigest()
        row = (session_id, "0123456789abcdef", "agent:main:gone", reason, data, digest, name)
        self.agent(agent, sql, row)
        self.file(f"agents/{agent}/sessions/{name}", data)
        return name

    def chunk(self, agent: str, path: str, start: int, end: int, text: str) -> str:
        """Keep a chunk of the memory index, with its vector and what is known of it."""
        name = hashlib.sha256(f"{path}{start}{text}".encode()).hexdigest()
        source = "sessions" if path.startswith("sessions/") else "memory"
        sql = (
            "INSERT INTO memory_index_chunks (id, path, source, start_line, end_line, hash, model, "
            "text, embedding, updated_at) VALUES (?, ?, ?, ?, ?, ?, 'm', ?, ?, ?)"
        )
        self.agent(
            agent, sql, (name, path, source, start, end, name, text, b"\0" * 16, self.ms(3000))
        )
        sql = (
            "INSERT INTO memory_index_chunk_provenance VALUES (?, 'owner', 'interactive', ?, NULL)"
        )
        self.agent(agent, sql, (name, self.ms(3000)))
        return name

    def everything(self) -> OpenClawDatabases:
        """Make all kinds of things, each at least once."""
        self.config()
        self.auth()
        self.conversations()
        self.channels()
        self.devices()
        self.memory()
        self.others()
        return self

    def config(self) -> None:
        document = {
            "gateway": {"port": 18790, "mode": "local"},
            "agents": {"entries": {"main": {"default": True}, "work": {}}},
            "meta": {"lastTouchedVersion": "2026.9.6"},
        }
        self.file("openclaw.json", json.dumps(document, indent=2))

    def auth(self) -> None:
        shared = {
            "openai:default": {"type": "api_key", "provider": "openai", "key": SECRETS[0]},
            "google:me": {
                "type": "oauth",
                "provider": "google",
                "access": SECRETS[1],
                "refresh": SECRETS[2],
                "expires": self.ms(-3600),
                "email": "ada@example.org",
            },
        }
        usage = {"openai:default": {"errorCount": 2, "lastUsed": self.ms(60)}}
        self.credentials({"profiles": shared, "usageStats": usage})
        own = {"anthropic:w": {"type": "token", "provider": "anthropic", "token": SECRETS[3]}}
        self.credentials({"profiles": own, "order": {"anthropic": ["anthropic:w"]}}, "work")
        sql = "INSERT INTO secret_store_entries VALUES (?, ?, ?, ?, ?, 1, 1, 'cli', ?, NULL)"
        rows = (
            ("team", "", "API_TOKEN", SECRETS[4], "secret", None),
            ("team", "", "LOG_LEVEL", "debug-everything", "env", None),
            ("team", "", "GONE", "deleted-secret-of-the-store", "secret", 5),
        )
        self.state(sql, *rows)

    def conversations(self) -> None:
        one = self.session("main", "agent:main:main", ONE, label="Lisbon", chatType="direct")
        two = self.session("main", "agent:main:telegram:direct:42", TWO)
        three = self.session("work", "agent:work:main", THREE)
        lines = self.events(one, ["hello", "h" * 3000, "bye"], media=PICTURE)
        self.transcript("main", one, lines, packed=[2])
        self.cold("main", two, self.events(two, ["a question", "an answer"]))
        self.transcript("work", three, self.events(three, ["about seven"]))
        self.window("main", "agent:main:main", "former")
        self.transcript("main", "former", self.events("former", ["before the reset"]))
        self.deleted("main", "gone", self.events("gone", ["old"]))
        self.file(f"media/inbound/{PICTURE}", b"\x89PNG")
        self.file("media/inbound/nobody-names-it.png", b"\x89PNG")

    def channels(self) -> None:
        sql = "INSERT INTO channel_pairing_requests VALUES ('telegram', 'work', ?, ?, ?, ?, ?)"
        now, old = to_iso(self.now - 60), to_iso(self.now - 7200)
        meta = '{"username":"bob"}'
        rows = (("4242", "G3BZCC4Z", now, now, meta), ("9", "ZZZZCC4Z", old, old, meta))
        self.state(sql, *rows)
        sql = "INSERT INTO channel_pairing_allow_entries VALUES (?, 'default', ?, ?, 1)"
        self.state(sql, ("telegram", "4242", 1), ("telegram", "17", 0), ("discord", "1", 0))

    def devices(self) -> None:
        device, public, private = key_pair()
        sql = "INSERT INTO device_identities VALUES ('primary', ?, ?, ?, ?, ?)"
        self.state(sql, (device, public, private, self.ms(10_000), self.ms()))
        sql = "INSERT INTO device_auth_tokens VALUES (?, 'operator', ?, '[\"operator.read\"]', ?)"
        self.state(sql, (device, SECRETS[6], self.ms(900)))
        token = {"token": SECRETS[5], "role": "node", "scopes": ["x"], "createdAtMs": self.ms(80)}
        sql = (
            "INSERT INTO device_pairing_paired VALUES ('phone', 'cHVibGlj', 'Ada''s phone', 'ios', "
            "'node', '[\"node\"]', '[\"x\"]', NULL, ?, ?, ?)"
        )
        self.state(sql, (_text({"node": token}), self.ms(8000), self.ms(7000)))

    def memory(self) -> None:
        self.chunk("main", "MEMORY.md", 1, 2, "# Memory\nAda likes crab.")
        self.chunk("main", f"sessions/main/{ONE}.jsonl", 1, 1, "User: hi")
        self.chunk("work", "memory/2026-02-01.md", 1, 3, "The boiler was serviced.")
        self.chunk("work", "memory/2026-02-02.md", 1, 3, "From the session mark-7 forgotten.")
        self.agent("work", "INSERT INTO memory_session_tombstones VALUES ('x', 'work', 'user', 1)")
        sql = "INSERT INTO memory_entry_origins VALUES ('mark-7', 'work', 'x', NULL, 'owner', 1)"
        self.agent("work", sql)
        self.file("workspace/MEMORY.md", "# Memory\n\nAda likes crab.\n")
        self.file("workspace/USER.md", "Ada is the user.\n")
        self.file("workspace/SOUL.md", "Be kind.\n")

    def others(self) -> None:
        space = f"updates.{'0' * 32}"
        sql = "INSERT INTO plugin_state_entries VALUES ('telegram', ?, ?, ?, 1, ?)"
        mark = (space, f"k.{'1' * 32}", _text({"key": "m1", "seenAt": self.ms(60)}), self.ms(-60))
        old = (space, f"k.{'2' * 32}", _text({"key": "m2", "seenAt": self.ms(90)}), self.ms(10))
        self.state(sql, mark, old, (space, "else", '{"any":"thing"}', None))
        self.state("INSERT INTO cron_jobs VALUES ('a', 'b', 'nightly', '{}')")
        store = _text({"tokens": {"access_token": SECRETS[7]}})
        self.state("INSERT INTO mcp_oauth_stores VALUES ('server', 1, ?, 1)", (store,))
        self.file("cache/page.html", "<p>")
        self.file("tmp/openclaw-0/gateway.state.lock.sqlite", b"")
        self.file("agents/main/agent/openclaw-agent.sqlite.reindex-lock.sqlite", b"")
        self.file("agents/main/agent/models.json", "{}")
        self.file("devices/paired.json.migrated", "{}")

    def _run(self, path: Path, agent: str | None, sql: str, rows: Sequence[Any]) -> Path:
        role, tables = ("global", _STATE) if agent is None else ("agent", _AGENT)
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as database:
            if (
                path not in self._made
                and not database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            ):
                version = self._schemas[role == "agent"]
                database.execute("PRAGMA journal_mode=wal")
                database.executescript(tables)
                database.execute(f"PRAGMA user_version={version}")
                meta = ("primary", role, version, agent, "2026.9.6", self.ms(), self.ms())
                database.execute("INSERT INTO schema_meta VALUES (?, ?, ?, ?, ?, ?, ?)", meta)
            self._made.add(path)
            for row in rows or ((),):
                database.execute(sql, row)
            database.commit()
        if role == "agent" and sql.startswith("INSERT INTO session_nodes"):
            relative = path.relative_to(self.root).as_posix()
            registered = "INSERT OR REPLACE INTO agent_databases VALUES (?, ?, ?, ?, NULL)"
            self.state(registered, (agent, relative, self._schemas[1], self.ms()))
        return path


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_META = """
CREATE TABLE schema_meta (
    meta_key TEXT PRIMARY KEY, role TEXT, schema_version INTEGER, agent_id TEXT, app_version TEXT,
    created_at INTEGER, updated_at INTEGER
);
"""
_STATE = f"""{_META}
CREATE TABLE config_machine_state (
    state_key TEXT PRIMARY KEY, value_json TEXT, updated_at_ms INTEGER
);
CREATE TABLE agent_databases (
    agent_id TEXT, path TEXT, schema_version INTEGER, last_seen_at INTEGER, size_bytes INTEGER,
    PRIMARY KEY (agent_id, path)
);
CREATE TABLE channel_pairing_requests (
    channel_key TEXT, account_id TEXT, request_id TEXT, code TEXT, created_at TEXT,
    last_seen_at TEXT, meta_json TEXT, PRIMARY KEY (channel_key, account_id, request_id)
);
CREATE TABLE channel_pairing_allow_entries (
    channel_key TEXT, account_id TEXT, entry TEXT, sort_order INTEGER, updated_at INTEGER,
    PRIMARY KEY (channel_key, account_id, entry)
);
CREATE TABLE device_identities (
    identity_key TEXT PRIMARY KEY, device_id TEXT, public_key_pem TEXT, private_key_pem TEXT,
    created_at_ms INTEGER, updated_at_ms INTEGER
);
CREATE TABLE device_auth_tokens (
    device_id TEXT, role TEXT, token TEXT, scopes_json TEXT, updated_at_ms INTEGER,
    PRIMARY KEY (device_id, role)
);
CREATE TABLE device_pairing_paired (
    device_id TEXT PRIMARY KEY, public_key TEXT, display_name TEXT, platform TEXT, role TEXT,
    roles_json TEXT, scopes_json TEXT, approved_scopes_json TEXT, tokens_json TEXT,
    created_at_ms INTEGER, approved_at_ms INTEGER
);
CREATE TABLE plugin_state_entries (
    plugin_id TEXT, namespace TEXT, entry_key TEXT, value_json TEXT, created_at INTEGER,
    expires_at INTEGER, PRIMARY KEY (plugin_id, namespace, entry_key)
);
CREATE TABLE secret_store_entries (
    scope_kind TEXT, scope_id TEXT, name TEXT, value TEXT, kind TEXT, created_at_ms INTEGER,
    updated_at_ms INTEGER, updated_by TEXT, deleted_at_ms INTEGER, allowed_hosts TEXT,
    PRIMARY KEY (scope_kind, scope_id, name)
);
CREATE TABLE gateway_boot_lifecycle (
    boot_id TEXT PRIMARY KEY, pid INTEGER, started_at_ms INTEGER, completed_at_ms INTEGER
);
CREATE TABLE mcp_oauth_stores (
    store_key TEXT PRIMARY KEY, format_version INTEGER, store_json TEXT, updated_at INTEGER
);
CREATE TABLE cron_jobs (store_key TEXT, job_id TEXT, name TEXT, job_json TEXT);
"""
_AGENT = f"""{_META}
CREATE TABLE auth_profile_store (store_key TEXT PRIMARY KEY, store_json TEXT, updated_at INTEGER);
CREATE TABLE auth_profile_state (state_key TEXT PRIMARY KEY, state_json TEXT, updated_at INTEGER);
CREATE TABLE session_nodes (
    session_key TEXT PRIMARY KEY, current_session_id TEXT, entry_json TEXT, entry_valid INTEGER,
    updated_at INTEGER
);
CREATE TABLE session_windows (session_id TEXT PRIMARY KEY, session_key TEXT, updated_at INTEGER);
CREATE TABLE transcript_events (
    session_id TEXT, seq INTEGER, event_json TEXT, created_at INTEGER, event_zstd BLOB,
    event_utf8_bytes INTEGER, navigation_json TEXT, PRIMARY KEY (session_id, seq)
);
CREATE TABLE session_transcript_cold_archives (
    session_id TEXT PRIMARY KEY, archive_name TEXT, archive_sha256 TEXT, event_count INTEGER,
    last_seq INTEGER, storage TEXT, archive_blob BLOB
);
CREATE TABLE session_transcript_archives (
    session_id TEXT, generation TEXT, session_key TEXT, reason TEXT, encoding TEXT,
    archive_blob BLOB, archive_sha256 TEXT, archive_name TEXT, PRIMARY KEY (session_id, generation)
);
CREATE TABLE memory_index_chunks (
    chunk_rowid INTEGER PRIMARY KEY, id TEXT UNIQUE, path TEXT, source TEXT, start_line INTEGER,
    end_line INTEGER, hash TEXT, model TEXT, text TEXT, embedding BLOB, updated_at INTEGER
);
CREATE TABLE memory_index_chunk_provenance (
    chunk_id TEXT PRIMARY KEY, origin_class TEXT, session_kind TEXT, observed_at INTEGER,
    supersedes_key TEXT
);
CREATE TABLE memory_index_chunk_recall_metadata (
    chunk_id TEXT PRIMARY KEY, importance INTEGER, triggers TEXT, project_key TEXT
);
CREATE TABLE memory_session_tombstones (
    session_id TEXT PRIMARY KEY, agent_id TEXT, reason TEXT, created_at INTEGER
);
CREATE TABLE memory_entry_origins (
    entry_key TEXT, agent_id TEXT, session_id TEXT, session_key TEXT, origin_class TEXT,
    observed_at INTEGER, PRIMARY KEY (entry_key, agent_id, session_id)
);
"""
