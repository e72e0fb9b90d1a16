"""A directory that the real OpenClaw made, taken over."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import clawstate
from clawstate.importers.openclaw import import_openclaw

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

AUTH = """async (by, input) => {
  const key = { type: "api_key", provider: "openai", key: "sk-of-the-test" };
  by.upsertAuthProfile({ profileId: "openai:default", credential: key });
  const token = { type: "token", provider: "anthropic", token: "a-token" };
  by.upsertAuthProfile({ profileId: "anthropic:me", credential: token });
  await by.setAuthProfileOrder({ provider: "openai", order: ["openai:default"] });
  const store = by.ensureAuthProfileStore();
  const failure = { store, profileId: "openai:default", reason: "rate_limit" };
  await by.markAuthProfileFailure(failure);
  return by.ensureAuthProfileStore();
}"""
SESSIONS = """async (by, input) => {
  await by.updateSessionStore(input.path, (store) => {
    store["agent:main:main"] = { sessionId: input.id, updatedAt: 1795000000000, custom: [1] };
  });
  for (const text of ["hello there", "how do you do"]) {
    const call = { agentId: "main", sessionKey: "agent:main:main", text, storePath: input.path };
    await by.appendAssistantMessageToSessionTranscript(call);
  }
  return by.loadSessionStore(input.path, { skipCache: true });
}"""
CHANNELS = """async (by, input) => {
  await by.addChannelAllowFromStoreEntry({ channel: "telegram", entry: "42", accountId: "work" });
  return await by.upsertChannelPairingRequest({
    channel: "telegram", id: "4242", accountId: "work", meta: { username: "bob" },
  });
}"""
DEVICES = """async (by, input) => {
  const identity = by.loadOrCreateDeviceIdentity();
  const { request } = await by.requestDevicePairing({
    deviceId: "phone", publicKey: "cHVibGlj", displayName: "Phone", role: "operator",
    scopes: ["operator.read"],
  });
  const approved = await by.approveDevicePairing(request.requestId);
  const asked = { deviceId: "tablet", publicKey: "cHVibGlj", role: "node", scopes: [] };
  await by.requestDevicePairing(asked);
  return { deviceId: identity.deviceId, token: approved.device.tokens.operator.token };
}"""
ID = "11111111-1111-4111-8111-111111111111"


class _Embedding(BaseHTTPRequestHandler):
    """Answers as OpenAI's embeddings do, with vectors of eight numbers."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        data = [
            {"index": place, "embedding": [byte / 255 for byte in digest[:8]]}
            for place, digest in enumerate(digests)
        ]
        body = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def embedding_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Embedding) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def theirs(start_peers, openclaw, tmp_path, embedding_port) -> dict[str, object]:
    """Return what OpenClaw says of the state that it was made to keep."""
    [peer] = start_peers(1)
    home = tmp_path / "home"
    source = home / ".openclaw"
    index = source / "agents/main/sessions/sessions.json"
    said = {
        "auth": peer.run("auth-profiles", AUTH),
        "sessions": peer.run("sessions", SESSIONS, path=str(index), id=ID),
        "pairing": peer.run("pairing-store", CHANNELS),
        "device": peer.run("client", DEVICES),
    }
    held = {"token": "held", "role": "operator", "scopes": ["operator.read"], "updatedAtMs": 1}
    document = {"version": 1, "deviceId": said["device"]["deviceId"], "tokens": {"operator": held}}
    (source / "identity/device-auth.json").write_text(json.dumps(document))  # it exports no writer
    options = {"ttlMs": 86_400_000, "memoryMaxSize": 10, "fileMaxEntries": 10}
    marks = source / "feishu/dedup/default.json"
    peer.ask("dedupe", path=str(marks), key="m1", options=options)
    peer.close()
    memory = {
        "provider": "openai",
        "model": "text-embedding-3-small",
        "remote": {"baseUrl": f"http://127.0.0.1:{embedding_port}/v1", "apiKey": "sk-test"},
    }
    workspace = home / ".openclaw/workspace"
    (workspace / "memory").mkdir(parents=True)
    (workspace / "MEMORY.md").write_text("# Memory\n\nThe zebra is striped.\n")
    (workspace / "memory/2026-02-01.md").write_text("The boiler was serviced.\n")
    for words in (
        ("config", "set", "gateway.port", "18791"),
        ("config", "set", "agents.defaults.memorySearch", json.dumps(memory), "--strict-json"),
        ("memory", "index"),
    ):
        done = subprocess.run(
            [*openclaw.cli, *words],
            env=openclaw.environment(home) | {"NO_COLOR": "1"},
            cwd=home,
            capture_output=True,
            check=False,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return said


@pytest.fixture
def source(theirs, tmp_path) -> Path:
    return tmp_path / "home/.openclaw"


def test_all_that_openclaw_keeps_is_taken_over(theirs, source, tmp_path, monkeypatch) -> None:
    """What the real program wrote is here with nothing lost, and the second import is idle."""
    monkeypatch.setenv("HOME", str(source.parent))
    with clawstate.open(tmp_path / "ours") as state:
        dry = import_openclaw(state, source, dry_run=True)
        report = import_openclaw(state, source)
        again = import_openclaw(state, source)

        assert not report.has_failed(), report.remarks
        assert dry.counts == report.counts
        assert not sum(count.new + count.changed for count in again.counts.values())

        assert state.config.get("gateway.port") == 18791
        auth = state.auth().document()
        for section in ("profiles", "order", "usageStats"):
            assert auth[section] == theirs["auth"][section], section

        [entry] = state.sessions.entries()
        said = theirs["sessions"]["agent:main:main"]
        assert (entry.session_id, entry.updated_at * 1000) == (ID, said["updatedAt"])
        assert entry.fields["custom"] == [1]
        texts = [each.text for each in state.transcripts.messages(ID)]
        assert texts == ["hello there", "how do you do"]
        state.transcripts.export(ID, tmp_path / "out.jsonl")
        transcript = source / f"agents/main/sessions/{ID}.jsonl"
        assert (tmp_path / "out.jsonl").read_bytes() == transcript.read_bytes()

        device = theirs["device"]
        assert state.identity.device_id == device["deviceId"]
        assert str(state.device_auth.get("operator")) == "held"
        assert state.devices.verify("phone", device["token"], ["operator.read"]) is not None
        assert state.devices.verify("phone", device["token"], ["operator.write"]) is None
        assert report.counts["devices"].skipped == 1

        folder = state.paths.credentials_dir
        allowed = json.loads((folder / "telegram-work-allowFrom.json").read_text())
        assert allowed["allowFrom"] == ["42"]
        [request] = json.loads((folder / "telegram-pairing.json").read_text())["requests"]
        assert request["code"] == theirs["pairing"]["code"]

        assert state.dedupe.seen("m1", "feishu:default")
        [zebra] = state.memory.search("zebra", k=1)
        assert "striped" in zebra.record.text


def test_an_index_without_its_files_is_enough(theirs, source, tmp_path) -> None:
    """Where the workspace is gone, the chunks of the real index bring the memory."""
    for path in sorted((source / "workspace").rglob("*.md")):
        path.unlink()

    with clawstate.open(tmp_path / "ours") as state:
        report = import_openclaw(state, source, kinds=["memory"])

        assert report.counts["memory"].new == 2
        [boiler] = state.memory.search("boiler", k=1)
        assert boiler.record.source == "memory/2026-02-01.md"
        assert boiler.record.metadata["start_line"] == 1
