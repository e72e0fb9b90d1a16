"""A directory as OpenClaw 2026.2.26 leaves it: every kind of file, with what each of them holds."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clawstate.clock import to_iso, to_ms

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
THREE = "33333333-3333-4333-8333-333333333333"
SECRETS = (
    "sk-secret-of-openai",
    "secret-access-of-google",
    "secret-refresh-of-google",
    "secret-token-of-anthropic",
    "secret-of-legacy",
    "secret-of-the-phone-secret-of-the-phone-secre",
    "secret-of-operator",
    "SECRET_IN_DOTENV",
)
PHONE_TOKEN = "secret-of-the-phone-secret-of-the-phone-secre"
CONFIG = """\
// how we like it
{
  gateway: { port: 18790, mode: 'local' },
  "$include": "./models.json5",
  agents: { list: [{ id: 'main', default: true }, { id: 'work' }] },
}
"""


class OpenClawHome:
    """Writes the files; *now* is in seconds."""

    def __init__(self, root: Path, now: float) -> None:
        self.root = root
        self.now = now
        root.mkdir(parents=True, exist_ok=True)

    def file(self, path: str, text: str | bytes) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
        return place

    def json(self, path: str, value: Any, *, newline: bool = True) -> Path:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        return self.file(path, text + "\n" * newline)

    def ms(self, ago: float = 0.0) -> int:
        return to_ms(self.now - ago)

    def config(self) -> None:
        self.file("openclaw.json", CONFIG)
        self.file("models.json5", "{ models: { providers: {} }, }\n")
        self.file("openclaw.json.bak", "{}\n")
        self.file(".env", "OPENAI_API_KEY=SECRET_IN_DOTENV\n")

    def auth(self) -> None:
        self.json(
            "agents/main/agent/auth-profiles.json",
            {
                "version": 1,
                "profiles": {
                    "openai:default": {
                        "type": "api_key",
                        "provider": "openai",
                        "key": "sk-secret-of-openai",
                        "custom": {"kept": True},
                    },
                    "google:me": {
                        "type": "oauth",
                        "provider": "google",
                        "access": "secret-access-of-google",
                        "refresh": "secret-refresh-of-google",
                        "expires": self.ms(-3600),
                        "email": "ada@example.org",
                    },
                },
                "order": {"openai": ["openai:default"]},
                "lastGood": {"openai": "openai:default"},
                "usageStats": {"openai:default": {"errorCount": 2, "lastUsed": self.ms(60)}},
            },
        )
        self.json(
            "agents/work/agent/auth.json",
            {
                "anthropic": {
                    "type": "token",
                    "provider": "anthropic",
                    "token": "secret-token-of-anthropic",
                }
            },
        )
        self.json(
            "credentials/oauth.json",
            {"qwen": {"access": "secret-of-legacy", "refresh": "r", "expires": self.ms(-60)}},
        )

    def sessions(self) -> None:
        folder = "agents/main/sessions"
        self.json(
            f"{folder}/sessions.json",
            {
                "agent:main:main": {
                    "sessionId": ONE,
                    "updatedAt": self.ms(100),
                    "sessionFile": str(self.root / folder / f"{ONE}.jsonl"),
                    "chatType": "direct",
                    "totalTokens": 1234,
                    "custom": {"kept": [1, 2]},
                },
                "agent:main:telegram:direct:42": {"sessionId": TWO, "updatedAt": self.ms(50)},
            },
            newline=False,
        )
        self.json(
            "agents/work/sessions/sessions.json",
            {"agent:work:main": {"sessionId": THREE, "updatedAt": self.ms(10)}},
            newline=False,
        )
        self.file(
            "sessions/sessions.json",
            f"{{'+1555': {{sessionId: 'old-1', updatedAt: {self.ms(9000)}}}, }} // JSON5\n",
        )

    def transcripts(self) -> None:
        self.transcript(f"agents/main/sessions/{ONE}.jsonl", ONE, ["hello", "hello there", "bye"])
        self.transcript(f"agents/main/sessions/{TWO}.jsonl", TWO, ["a question", "an answer"])
        self.transcript(f"agents/work/sessions/{THREE}-topic-7%2F1.jsonl", THREE, ["about seven"])
        self.transcript(
            "agents/main/sessions/gone.jsonl.deleted.2026-02-01T10-00-00.000Z", "gone", ["old"]
        )

    def transcript(self, path: str, session: str, said: Sequence[str]) -> Path:
        return self.file(path, "".join(f"{line}\n" for line in self.lines(session, said)))

    def lines(self, session: str, said: Sequence[str]) -> list[str]:
        header = {
            "type": "session",
            "version": 3,
            "id": session,
            "timestamp": to_iso(self.now - 500),
            "cwd": "/home/ada",
        }
        entries: list[Mapping[str, Any]] = [header]
        parent = None
        for number, text in enumerate(said):
            name = hashlib.sha256(f"{session}{number}".encode()).hexdigest()[:8]
            role = "user" if number % 2 == 0 else "assistant"
            message = {
                "role": role,
                "content": [{"type": "text", "text": text}],
                "timestamp": self.ms(400 - number),
            }
            moment = to_iso(self.now - 400 + number)
            entries.append(
                {
                    "type": "message",
                    "id": name,
                    "parentId": parent,
                    "timestamp": moment,
                    "message": message,
                }
            )
            parent = name
        return [json.dumps(each, separators=(",", ":")) for each in entries]

    def channels(self) -> None:
        live = {
            "id": "4242",
            "code": "G3BZCC4Z",
            "createdAt": to_iso(self.now - 60),
            "lastSeenAt": to_iso(self.now - 50),
            "meta": {"username": "bob", "accountId": "work"},
        }
        old = {**live, "id": "9", "code": "ZZZZCC4Z", "createdAt": to_iso(self.now - 7200)}
        self.json("credentials/telegram-pairing.json", {"version": 1, "requests": [live, old]})
        self.json("credentials/telegram-work-allowFrom.json", {"version": 1, "allowFrom": ["4242"]})
        self.json("credentials/discord-allowFrom.json", {"version": 1, "allowFrom": ["1", "*"]})

    def devices(self) -> None:
        device, public, private = key_pair()
        self.json(
            "identity/device.json",
            {
                "version": 1,
                "deviceId": device,
                "publicKeyPem": public,
                "privateKeyPem": private,
                "createdAtMs": self.ms(10_000),
            },
        )
        self.json(
            "identity/device-auth.json",
            {
                "version": 1,
                "deviceId": device,
                "tokens": {
                    "operator": {
                        "token": "secret-of-operator",
                        "role": "operator",
                        "scopes": ["operator.read"],
                        "updatedAtMs": self.ms(900),
                    }
                },
            },
        )
        self.json(
            "devices/paired.json",
            {
                "phone": {
                    "deviceId": "phone",
                    "publicKey": "cHVibGlj",
                    "displayName": "Ada's phone",
                    "platform": "ios",
                    "role": "node",
                    "roles": ["node"],
                    "scopes": ["node.invoke"],
                    "tokens": {
                        "node": {
                            "token": PHONE_TOKEN,
                            "role": "node",
                            "scopes": ["node.invoke"],
                            "createdAtMs": self.ms(8000),
                        }
                    },
                    "createdAtMs": self.ms(8000),
                    "approvedAtMs": self.ms(7000),
                }
            },
            newline=False,
        )
        self.json("devices/pending.json", {}, newline=False)

    def memory(self) -> None:
        self.index("memory/main.sqlite", [("MEMORY.md", 1, 2, "# Memory\nAda likes crab.")])
        self.index(
            "memory/work.sqlite",
            [
                ("memory/2026-02-01.md", 1, 3, "The boiler was serviced."),
                ("memory/2026-02-01.md", 4, 6, "The parrot said hello."),
                ("sessions/x.jsonl", 1, 1, "User: hi"),
            ],
        )
        self.file("workspace/MEMORY.md", "# Memory\n\nAda likes crab.\n")
        self.file("workspace/memory/2026-02-02.md", "The lobster met the crab.\n")
        self.file("workspace/SOUL.md", "Be kind.\n")

    def index(self, path: str, chunks: Sequence[tuple[str, int, int, str]]) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(place)
        database.executescript(_INDEX)
        for name, start, end, text in chunks:
            source = "sessions" if name.startswith("sessions/") else "memory"
            digest = hashlib.sha256(f"{name}{start}{text}".encode()).hexdigest()
            row = (digest, name, source, start, end, digest, "m", text, "[0.5]", self.ms(3000))
            database.execute("INSERT INTO chunks VALUES (?,?,?,?,?,?,?,?,?,?)", row)
        database.commit()
        database.close()
        return place

    def dedupe(self) -> None:
        marks = {"m1": self.ms(60), "m2": self.ms(30), "old": self.ms(90_000_0), "bad": "x"}
        self.json("feishu/dedup/default.json", marks)

    def others(self) -> None:
        self.file("matrix/accounts/default/s__u/0123/bot-storage.json", "{}")
        self.file("credentials/whatsapp/default/creds.json", "{}")
        self.file("extensions/weather/index.js", "// a plugin\n")
        self.file("cron/jobs.json", "[]\n")
        self.file("logs/config-audit.jsonl", "{}\n")
        self.file("agents/main/agent/models.json", "{}\n")
        self.file("memory/lancedb/memories.lance/_versions/1.manifest", b"\0\1")
        self.file("agents/main/sessions/sessions.json.bak.1795374635626", "{}")

    def everything(self) -> OpenClawHome:
        for part in (
            self.config,
            self.auth,
            self.sessions,
            self.transcripts,
            self.channels,
            self.devices,
            self.memory,
            self.dedupe,
            self.others,
        ):
            part()
        return self


def fingerprint(root: Path) -> dict[str, tuple[int, int, int, str]]:
    """Return mode, times, size and digest of everything below *root*, and of *root* itself."""
    found = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink()).encode()
        else:
            content = path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else b""
        facts = (status.st_mode, status.st_mtime_ns, status.st_ctime_ns)
        found[str(path.relative_to(root))] = (*facts, hashlib.sha256(content).hexdigest())
    return found


def key_pair() -> tuple[str, str, str]:
    """Return a device id, its public and its private key as PEM."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key()
    raw = public.public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
    return (
        hashlib.sha256(raw).hexdigest(),
        public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode(),
        private.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        ).decode(),
    )


_INDEX = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE files (
    path TEXT PRIMARY KEY, source TEXT NOT NULL DEFAULT 'memory', hash TEXT NOT NULL,
    mtime INTEGER NOT NULL, size INTEGER NOT NULL
);
CREATE TABLE chunks (
    id TEXT PRIMARY KEY, path TEXT NOT NULL, source TEXT NOT NULL DEFAULT 'memory',
    start_line INTEGER NOT NULL, end_line INTEGER NOT NULL, hash TEXT NOT NULL,
    model TEXT NOT NULL, text TEXT NOT NULL, embedding TEXT NOT NULL, updated_at INTEGER NOT NULL
);
"""
