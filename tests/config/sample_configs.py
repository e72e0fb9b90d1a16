"""Configurations as people have them; every one is sound."""

from __future__ import annotations

SPECIFICATION = """
{
  "auth": {
    "profiles": {
      "provider:id": { "provider": "openai", "mode": "%(mode)s" }
    },
    "order": ["provider:default", "provider:secondary"]
  },
  "gateway": {
    "port": 18789,
    "host": "localhost",
    "mode": "local"
  },
  "session": {
    "store": "~/.openclaw/sessions/sessions.json"
  },
  "memory": {
    "store": {
      "type": "%(engine)s",
      "path": "~/.openclaw/memory/memory.db",
      "vector": {
        "enabled": true
      }
    }
  },
  "commands": {
    "text": true
  }
}
"""

FAMILY = """
// the box in the kitchen
{
  $schema: "https://example.org/openclaw.schema.json",
  meta: { lastTouchedVersion: "2026.2.26", lastTouchedAt: "2026-02-27T09:30:00.000Z" },
  env: {
    shellEnv: { enabled: true, timeoutMs: 15e3 },
    vars: { GROQ_API_KEY: "gsk-not-a-real-key" },
    TZ: "Europe/Vienna",
  },
  wizard: { lastRunAt: "2026-02-01T08:00:00.000Z", lastRunMode: "local" },
  logging: { level: "info", file: "~/claw.log", consoleStyle: "pretty", redactSensitive: "tools" },
  auth: {
    profiles: {
      "anthropic:me@example.org": { provider: "anthropic", mode: "oauth", email: "me@example.org" },
      "openai:default": { provider: "openai", mode: "api_key" },
      "zai:work": { provider: "zai", mode: "token" },
    },
    order: { anthropic: ["anthropic:me@example.org"], openai: ["openai:default"] },
    cooldowns: { billingBackoffHours: 2.5, billingBackoffHoursByProvider: { zai: 1 } },
  },
  agents: {
    defaults: {
      model: { primary: "anthropic/claude-opus-4-6", fallbacks: ["openai/gpt-5.2"] },
      imageModel: "openai/gpt-5.2",
      models: { "openai/gpt-5.2": { alias: "gpt", params: { temperature: 0.4 } } },
      workspace: "~/.openclaw/workspace",
      userTimezone: "Europe/Vienna",
      contextPruning: { mode: "cache-ttl", ttl: "1h" },
      compaction: { mode: "safeguard", memoryFlush: { enabled: true } },
      heartbeat: { every: "30m", activeHours: { start: "08:00", end: "22:00" } },
      maxConcurrent: 4,
      subagents: { maxConcurrent: 8, archiveAfterMinutes: 60 },
      sandbox: { mode: "non-main", docker: { image: "debian:bookworm", cpus: 1.5 } },
      memorySearch: {
        provider: "openai",
        sources: ["memory", "sessions"],
        remote: { apiKey: "${OPENAI_API_KEY}", batch: { enabled: true, concurrency: 2 } },
        store: { driver: "sqlite", vector: { enabled: true } },
        chunking: { tokens: 400, overlap: 80 },
        query: { maxResults: 6, minScore: 0.35, hybrid: { mmr: { enabled: true, lambda: 0.7 } } },
      },
    },
    list: [
      { id: "main", default: true, identity: { name: "Molty", emoji: "🦞" } },
      { id: "work", agentDir: "~/work-agent", skills: ["github"], tools: { profile: "coding" } },
    ],
  },
  bindings: [{ agentId: "work", match: { channel: "slack", teamId: "T1" } }],
  channels: {
    telegram: { botToken: "123:abc", groups: { "*": { requireMention: true } } },
    whatsapp: { allowFrom: ["+15555550123"] },
  },
  messages: { ackReaction: "👀", ackReactionScope: "group-mentions", queue: { mode: "collect" } },
  session: {
    scope: "per-sender",
    dmScope: "per-channel-peer",
    identityLinks: { ada: ["telegram:1", "discord:2"] },
    reset: { mode: "daily", atHour: 4 },
    resetByType: { thread: { mode: "idle", idleMinutes: 240 } },
    sendPolicy: { default: "allow", rules: [{ action: "deny", match: { chatType: "group" } }] },
    maintenance: {
      mode: "enforce", pruneAfter: "30d", maxEntries: 500, rotateBytes: "10mb",
      resetArchiveRetention: false, maxDiskBytes: "1.5 GB", highWaterBytes: 1000000,
    },
    mainKey: "main",
  },
  gateway: {
    mode: "local", port: 18789, bind: "tailnet",
    auth: { mode: "token", token: "${GATEWAY_TOKEN}", allowTailscale: true },
    controlUi: { enabled: true, basePath: "/claw" },
    reload: { mode: "hybrid", debounceMs: 300 },
    http: { endpoints: { chatCompletions: { enabled: false } } },
  },
  plugins: {
    allow: ["memory-lancedb", "voice-call"],
    slots: { memory: "memory-lancedb" },
    entries: {
      "memory-lancedb": {
        enabled: true,
        config: {
          embedding: { apiKey: "${OPENAI_API_KEY}", model: "text-embedding-3-large" },
          autoCapture: true, captureMaxChars: 800,
        },
      },
      "voice-call": { enabled: false, config: { anything: [1, { goes: null }] } },
    },
    installs: { "voice-call": { source: "npm", spec: "@openclaw/voice-call", version: "1.0" } },
  },
  commands: {
    native: "auto", nativeSkills: false, text: true, restart: true, ownerDisplay: "hash",
    ownerAllowFrom: ["telegram:1", 42], allowFrom: { "*": ["+15555550123", 7] },
  },
  cron: { enabled: true, sessionRetention: "24h" },
  hooks: { enabled: true, token: "shared-secret", presets: ["gmail"] },
  skills: { entries: { sag: { apiKey: { source: "env", provider: "default", id: "SAG_KEY" } } } },
  tools: { exec: { timeoutSec: 1800 }, web: { search: { apiKey: "BSA-1" } } },
  models: {
    providers: {
      local: { baseUrl: "http://127.0.0.1:1234/v1", models: [{ id: "qwen", name: "Qwen" }] },
    },
  },
  talk: {}, ui: { seamColor: "#FF4500" }, web: {}, browser: {}, discovery: {}, canvasHost: {},
  audio: {}, media: {}, acp: {}, approvals: {}, broadcast: {}, diagnostics: {}, nodeHost: {},
  update: { channel: "stable" },
  memory: { backend: "builtin", citations: "auto" },
}
"""

SERVER = """
{
  secrets: {
    providers: {
      default: { source: "env", allowlist: ["OPENAI_API_KEY"] },
      vault: {
        source: "exec", command: "/usr/local/bin/vault-read", args: ["--json"],
        passEnv: ["VAULT_ADDR"], env: { MODE: "read" }, timeoutMs: 8000, jsonOnly: true,
      },
      mounted: { source: "file", path: "/run/secrets/claw.json", mode: "json" },
      desktop: { source: "keyring" },
    },
    defaults: { env: "default", exec: "vault" },
    resolution: { maxProviderConcurrency: 4 },
  },
  state: { store: "postgresql://claw@db.example/claw" },
  session: { store: "postgresql://claw@db.example/claw" },
  gateway: {
    host: "0.0.0.0", port: 443, mode: "remote",
    auth: {
      mode: "password",
      password: { source: "exec", provider: "vault", id: "gateway/password" },
      rateLimit: { maxAttempts: 5, windowMs: 60000, lockoutMs: 300000, exemptLoopback: false },
    },
    remote: { url: "wss://claw.example", token: { source: "file", id: "/gateway/token" } },
    tls: { enabled: true, certPath: "/etc/claw/cert.pem", keyPath: "/etc/claw/key.pem" },
  },
  memory: { store: { type: "lancedb", path: "/srv/claw/lancedb", vector: { enabled: false } } },
  plugins: {
    entries: {
      "memory-lancedb": {
        config: {
          embedding: {
            provider: "openai", model: "nomic", baseUrl: "http://gpu:8080/v1", dimensions: 768,
            apiKey: { source: "keyring", provider: "desktop", id: "openai" },
          },
          dbPath: "~/lancedb", autoCapture: false, autoRecall: true, captureMaxChars: 10000,
        },
      },
    },
  },
  pairing: { path: "/srv/claw/pairing.json", ttl: "15m", limit: 10 },
  caches: {
    query: { ttl: "1m", maxEntries: 0 },
    directory: { ttl: 60, maxEntries: 50 },
    dedupe: { ttlMs: 1000, memoryMaxSize: 10, fileMaxEntries: 100 },
  },
  locks: { retries: { retries: 3, factor: 1.5, minTimeout: 50, maxTimeout: 500 }, stale: 5000 },
}
"""

SOUND = {
    "empty": "{}",
    "specification, sqlite": SPECIFICATION % {"mode": "api_key", "engine": "sqlite"},
    "specification, lancedb": SPECIFICATION % {"mode": "oauth", "engine": "lancedb"},
    "family": FAMILY,
    "server": SERVER,
}
