from __future__ import annotations

from contextlib import suppress

import pytest

import clawstate
from clawstate import StateError

ODD = {
    "huge": 10**5000,
    "negative": -(10**400),
    "nan": float("nan"),
    "infinite": float("inf"),
    "text": "x",
    "none": None,
    "list": [],
    "mapping": {},
    "bytes": b"x",
    "object": object(),
    "true": True,
    "surrogate": "\ud800",
}
CALLS = {
    "memory.search(min_score)": lambda s, v: s.memory.search("tea", min_score=v),
    "memory.search(k)": lambda s, v: s.memory.search("tea", k=v),
    "memory.search(since)": lambda s, v: s.memory.search("tea", since=v),
    "memory.search(query)": lambda s, v: s.memory.search(v),
    "memory.search(mode)": lambda s, v: s.memory.search("tea", mode=v),
    "memory.search(tags)": lambda s, v: s.memory.search("tea", tags=v),
    "memory.search(where)": lambda s, v: s.memory.search("tea", where=v),
    "memory.search(namespace)": lambda s, v: s.memory.search("tea", namespace=v),
    "memory.search(source)": lambda s, v: s.memory.search("tea", source=v),
    "memory.records(limit)": lambda s, v: s.memory.records(limit=v),
    "memory.records(after)": lambda s, v: s.memory.records(after=v),
    "memory.get": lambda s, v: s.memory.get(v),
    "memory.delete": lambda s, v: s.memory.delete(v),
    "memory.update": lambda s, v: s.memory.update(v, text="a"),
    "memory.add(importance)": lambda s, v: s.memory.add("x", importance=v),
    "memory.add(ttl)": lambda s, v: s.memory.add("x", ttl=v),
    "memory.add(position)": lambda s, v: s.memory.add("x", position=v),
    "sessions.prune(older_than)": lambda s, v: s.sessions.prune(older_than=v, dry_run=True),
    "sessions.prune(max_entries)": lambda s, v: s.sessions.prune(max_entries=v, dry_run=True),
    "sessions.prune(bytes)": lambda s, v: s.sessions.prune(max_disk_bytes=v, dry_run=True),
    "sessions.get": lambda s, v: s.sessions.get(v),
    "sessions.entries": lambda s, v: s.sessions.entries(v),
    "sessions.delete": lambda s, v: s.sessions.delete(v),
    "transcripts.prune(older_than)": lambda s, v: s.transcripts.prune(older_than=v),
    "transcripts.prune(sessions)": lambda s, v: s.transcripts.prune(most_sessions=v),
    "transcripts.messages(limit)": lambda s, v: s.transcripts.messages("s", v),
    "transcripts.search": lambda s, v: s.transcripts.search(v),
    "transcripts.search(limit)": lambda s, v: s.transcripts.search("x", limit=v),
    "transcripts.search(since)": lambda s, v: s.transcripts.search("x", since=v),
    "transcripts.search(role)": lambda s, v: s.transcripts.search("x", role=v),
    "transcripts.append": lambda s, v: s.transcripts.append("s", v),
    "dedupe.check": lambda s, v: s.dedupe.check_and_record(v),
    "dedupe.check(namespace)": lambda s, v: s.dedupe.check_and_record("k", v),
    "dedupe.prune": lambda s, v: s.dedupe.prune(v),
    "auth.get": lambda s, v: s.auth().get(v),
    "auth.upsert": lambda s, v: s.auth().upsert("a:b", v),
    "auth.order": lambda s, v: s.auth().order(v),
    "auth.mark_failure": lambda s, v: s.auth().mark_failure("a:b", v),
    "auth(agent_id)": lambda s, v: s.auth(v),
    "devices.verify": lambda s, v: s.devices.verify(v, "t"),
    "devices.verify(token)": lambda s, v: s.devices.verify("d", v),
    "devices.revoke": lambda s, v: s.devices.revoke(v),
    "pairing.request": lambda s, v: s.pairing.request(user_id=v, device_id="d"),
    "pairing.approve": lambda s, v: s.pairing.approve(v),
    "config.get": lambda s, v: s.config.get(v),
    "config.set": lambda s, v: s.config.set("mine", v),
    "config.diff": lambda s, v: s.config.diff(v),
    "config.undo": lambda s, v: s.config.undo(number=v),
    "device_auth.set": lambda s, v: s.device_auth.set(v, "t"),
    "open": lambda _, v: clawstate.open(v),
    "get_config_value_at_path": lambda _, v: clawstate.get_config_value_at_path({}, v),
    "set_config_value_at_path": lambda _, v: clawstate.set_config_value_at_path({}, v, 1),
    "unset_config_value_at_path": lambda _, v: clawstate.unset_config_value_at_path({}, v),
    "config.set(path)": lambda s, v: s.config.set(v, 1),
    "config.unset": lambda s, v: s.config.unset(v),
    "LockOptions(stale)": lambda _, v: clawstate.LockOptions(stale=v),
    "LockOptions(retries)": lambda _, v: clawstate.LockOptions(retries=v),
    "PersistentDedupe(lock)": lambda _, v: _dedupe(lambda name: f"{name}.json", lock=v),
    "file_lock": lambda _, v: clawstate.file_lock(v).acquire(),
    "with_file_lock": lambda _, v: clawstate.with_file_lock(v, list),
    "write_json_file_atomically": lambda _, v: clawstate.write_json_file_atomically(v, {}),
    "resolve_file_path": lambda _, v: _dedupe(lambda _name: v),
}


def _dedupe(resolve_file_path, **options) -> None:
    given = clawstate.PersistentDedupe(resolve_file_path=resolve_file_path, **options)
    given.check_and_record("a")


@pytest.mark.parametrize("call", CALLS)
def test_an_odd_argument_is_taken_or_refused_in_words(state, call, tmp_path, monkeypatch) -> None:
    """Whatever is handed in: the call works, or raises a typed error that says what is wrong."""
    monkeypatch.chdir(tmp_path)  # for names without a directory
    state.memory.add("tea")
    state.transcripts.append("s", [{"role": "user", "content": "x"}])

    for value in ODD.values():
        with suppress(StateError):
            CALLS[call](state, value)
