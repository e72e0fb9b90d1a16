"""The public names as programs use them: checked by mypy, never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import clawstate
from clawstate import (
    Explanation,
    Hits,
    Memory,
    MemoryRecord,
    PersistentDedupe,
    RecordVersion,
    RetentionPolicy,
    RetentionReport,
    State,
    StatePaths,
    Verdict,
)
from clawstate.stores.auth import AuthProfiles
from clawstate.stores.auth.credentials import Credential, Profile
from clawstate.stores.devices import Device, IssuedToken
from clawstate.stores.pairing import PairingRequest
from clawstate.stores.sessions import SessionEntry
from clawstate.stores.transcripts import Message, TranscriptHit


def opening(path: Path) -> State:
    """Open a state from a path, a str or the environment."""
    with clawstate.open() as state:
        assert_type(state, State)
    with clawstate.open("/path/to/dir") as state:
        assert_type(state.paths, StatePaths)
    return clawstate.open(path, lock_timeout=5.0, clock=lambda: 1.0)


def remembering(memory: Memory) -> None:
    """Put records in one by one or many, and get them out typed."""
    made = memory.add("text", tags=["a"], metadata={"year": 2026}, ttl=60.0, thread="t")
    assert_type(made, str)
    many = memory.add_many([MemoryRecord(text="x"), {"text": "y", "id": "z"}], progress=print)
    assert_type(many, list[str])
    assert_type(memory.get(made), MemoryRecord | None)
    assert_type(memory.require(made), MemoryRecord)
    assert_type(memory.update(made, text="other", tags=["b"]), MemoryRecord)
    assert_type(memory.supersede(made, "newer", tags=["b"]), MemoryRecord)
    assert_type(memory.history(made), list[RecordVersion])
    assert_type(memory.retain(RetentionPolicy(), dry_run=True), RetentionReport)
    assert_type(memory.delete(made), bool)
    assert_type(memory.records(where={"year": {"gte": 2020}}, limit=5), list[MemoryRecord])


async def awaiting() -> None:
    """Verbs that are awaited take and give what those of a state do."""
    async with clawstate.open_async("/path") as state:
        made = await state.memory.add("text", tags=["a"], ttl=60.0)
        assert_type(made, str)
        assert_type(await state.memory.search("query", k=3, mode="words"), Hits)
        assert_type(await state.memory.explain("query", made), list[Verdict])
        assert_type(await state.memory.update(made, text="other"), MemoryRecord)
        assert_type(await state.sessions.resolve("telegram:42"), SessionEntry)
        assert_type(await state.auth("work").profiles(), tuple[Profile, ...])
        assert_type(await state.agents(), tuple[str, ...])
        assert_type(await state.sessions.update_store(lambda _found: 5), int)
        await state.memory.add(5)  # type: ignore[arg-type]
        await state.memory.search("query", mode="magic")  # type: ignore[arg-type]
        await state.memory.search("query", depth=1)  # type: ignore[call-arg]


def searching(memory: Memory) -> None:
    """Get hits from a search, with a record and scores."""
    hits = memory.search("query", k=3, mode="words", since="2026-01-01", min_score=0.1)
    assert_type(hits, Hits)
    for hit in hits:
        assert_type(hit.record, MemoryRecord)
        assert_type(hit.score, float)
        assert_type(hit.words_score, float | None)
        assert_type(hit.explanation, Explanation | None)
    assert_type(memory.explain("query", "notes/a.md", mode="words"), list[Verdict])
    memory.search("query", mode="magic")  # type: ignore[arg-type]


def keeping(memory: Memory) -> None:
    """Upkeep takes a progress function and tells counts."""
    memory.optimize(progress=lambda _done, _total: None)
    assert_type(memory.stats(), dict[str, object])
    memory.close()


def failing() -> str:
    """Errors have codes and fields."""
    try:
        return str(clawstate.resolve_state_dir())
    except clawstate.NotFoundError as error:
        return f"{error.code} {error.kind} {error.key}"


def locking(path: Path) -> int:
    """Change a file that others change as well."""
    options = clawstate.LockOptions(retries=3, stale=60.0)
    with clawstate.file_lock(path, options) as held:
        assert_type(held, clawstate.FileLock)
        clawstate.write_json_file_atomically(path, {"count": 1}, fence=held.confirm)
    return clawstate.with_file_lock(path, lambda: 1)


def caching() -> None:
    """Keep what may be forgotten."""
    recent = clawstate.TTLCache[str, int](100, ttl=60.0)
    assert_type(recent.get("a"), int | None)
    contacts = clawstate.DirectoryCache[list[str]]()
    contacts.put("team", ["ada"], config={"a": 1})
    assert_type(contacts.get("team"), list[str] | None)


def configuring(state: State) -> None:
    """Read and change the configuration."""
    assert_type(state.config, clawstate.Config)
    state.config.get("gateway.port", 18789)
    state.config.set("gateway.port", 18790)
    state.config.unset("gateway.port")
    assert_type(state.config.changed(), bool)
    assert_type(state.config.resolve(agent_id="main"), dict[str, Any])
    tree: dict[str, Any] = {}
    clawstate.set_config_value_at_path(tree, "a.b[0]", 1)
    clawstate.get_config_value_at_path(clawstate.resolve_config("main"), "a.b")


def authenticating(state: State) -> None:
    """Keep credentials, and use one after the other."""
    auth = state.auth(agent_id="main")
    assert_type(auth, AuthProfiles)
    made = auth.upsert("openai:default", {"type": "api_key", "provider": "openai", "key": "sk-"})
    assert_type(made, Credential)
    assert_type(auth.get("openai:default"), Credential | None)
    assert_type(auth.profiles(), tuple[Profile, ...])
    assert_type(auth.order("openai"), tuple[str, ...])
    assert_type(auth.secret("openai:default"), str)
    assert_type(auth.remove("openai:default"), bool)
    auth.mark_used("openai:default")
    auth.mark_failure("openai:default", "rate_limit")
    renewed = auth.refresh("google:me", lambda held: {"access_token": held.refresh or ""})
    assert_type(renewed, Credential)
    auth.reload()


def conversing(state: State) -> None:
    """Keep sessions, and what was said in them."""
    entry = state.sessions.resolve("telegram:42")
    assert_type(entry, SessionEntry)
    assert_type(state.sessions.get("telegram:42"), SessionEntry | None)
    assert_type(state.sessions.entries(active_within=3600), tuple[SessionEntry, ...])
    state.sessions.update("telegram:42", {"label": "Ada"})
    state.sessions.update("telegram:42", lambda old: {**old, "label": "Ada"})
    state.sessions.prune(older_than=86_400.0)
    assert_type(state.sessions.delete("telegram:42"), bool)
    said = state.transcripts.append(entry.session_id, [{"role": "user", "content": "Hello"}])
    assert_type(said, list[str])
    page = state.transcripts.messages(entry.session_id, limit=50, before=said[0])
    assert_type(page, list[Message])
    assert_type(state.transcripts.search("hello"), list[TranscriptHit])


def pairing(state: State) -> None:
    """Let a device in, and look after it."""
    request = state.pairing.request(user_id="ada", device_id="phone")
    assert_type(request, PairingRequest)
    assert_type(state.pairing.pending(), tuple[PairingRequest, ...])
    assert_type(state.pairing.approve(request.code).token, str)
    assert_type(state.pairing.reject(request.code), PairingRequest)
    assert_type(state.devices.paired(), tuple[Device, ...])
    assert_type(state.devices.verify("phone", "token"), Device | None)
    assert_type(state.devices.rotate("phone", scopes=["operator.read"]), IssuedToken)
    assert_type(state.devices.revoke("phone"), bool)
    state.device_auth.set("gateway", "token")
    assert_type(state.device_auth.tokens()["gateway"].scopes, tuple[str, ...])
    state.device_auth.remove("gateway")


def deduplicating(state: State) -> None:
    """Tell what is new."""
    assert_type(state.dedupe, PersistentDedupe)
    assert_type(state.dedupe.check_and_record("key", namespace="telegram"), bool)
    assert_type(state.dedupe.check_many(["a", "b"]), list[bool])
    shared = PersistentDedupe.in_files(lambda name: Path(f"{name}.json"), ttl=60.0)
    assert_type(shared, PersistentDedupe)


def by_the_names_of_the_specification(path: Path) -> None:
    """Use one document without an opened state."""
    store = clawstate.load_auth_profile_store("main", state_dir=path)
    clawstate.save_auth_profile_store(store, state_dir=path)
    clawstate.upsert_auth_profile("openai:default", {"type": "api_key"}, state_dir=path)
    clawstate.reload_auth_profile_store(state_dir=path)
    clawstate.update_session_store(path, len)
