"""Half of a surrogate pair has no form in UTF-8: every store refuses it alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import clawstate
from clawstate.errors import InvalidError
from clawstate.state import State

HALF = "x\ud800y"
KEY = "agent:main:k"
SAID = {"role": "user", "content": "ok"}
Do = Callable[[State], Any]

CASES: dict[str, tuple[str, Do]] = {
    "config value": ("env.vars.A[0]", lambda s: s.config.set("env.vars", {"A": [HALF]})),
    "config key": ("env.vars", lambda s: s.config.set("env.vars", {HALF: "1"})),
    "config path": ("config path", lambda s: s.config.set(f"env.vars.{HALF}", "1")),
    "config text": ("configuration", lambda s: s.config.replace(f"{{env: {{A: '{HALF}'}}}}")),
    "memory": ("text", lambda s: s.memory.add(HALF)),
    "memory namespace": ("namespace", lambda s: s.memory.add("tea", namespace=HALF)),
    "memory metadata": ("metadata.k", lambda s: s.memory.add("tea", metadata={"k": HALF})),
    "memory metadata key": ("metadata", lambda s: s.memory.add("tea", metadata={HALF: 1})),
    "message": (
        "message.content",
        lambda s: s.transcripts.append("one", {**SAID, "content": HALF}),
    ),
    "message key": ("message", lambda s: s.transcripts.append("one", {**SAID, HALF: 1})),
    "message in a turn": (
        "message 2 of 2.content[0].text",
        lambda s: s.transcripts.append("one", [SAID, {**SAID, "content": [{"text": HALF}]}]),
    ),
    "turn": ("turn", lambda s: s.transcripts.append("one", SAID, turn=HALF)),
    "parent": ("parent", lambda s: s.transcripts.append("one", SAID, parent=HALF)),
    "session id": ("session id", lambda s: s.transcripts.append(HALF, SAID)),
    "session key": ("key", lambda s: s.sessions.resolve(HALF)),
    "session": ("displayName", lambda s: s.sessions.update(KEY, {"displayName": HALF})),
    "session member": (KEY, lambda s: s.sessions.update(KEY, {HALF: 1})),
    "session changed": ("a.b", lambda s: s.sessions.update(KEY, lambda _: {"a": {"b": HALF}})),
    "dedupe key": ("key", lambda s: s.dedupe.check_and_record(HALF)),
    "dedupe namespace": ("namespace", lambda s: s.dedupe.check_and_record("k", HALF)),
    "pairing user": ("user id", lambda s: s.pairing.request(user_id=HALF, device_id="d")),
    "pairing device": ("device id", lambda s: s.pairing.request(user_id="u", device_id=HALF)),
    "pairing name": (
        "name",
        lambda s: s.pairing.request(user_id="u", device_id="d", name=HALF),
    ),
    "profile id": (
        "profile id",
        lambda s: s.auth().upsert(
            f"openai:{HALF}", {"type": "api_key", "provider": "openai", "key": "k"}
        ),
    ),
    "credential": (
        "key",
        lambda s: s.auth().upsert(
            "openai:a", {"type": "api_key", "provider": "openai", "key": HALF}
        ),
    ),
    "credential metadata": (
        "metadata",
        lambda s: s.auth().upsert(
            "openai:a",
            {"type": "api_key", "provider": "openai", "key": "k", "metadata": {"a": HALF}},
        ),
    ),
    "token": ("token", lambda s: s.device_auth.set("operator", HALF)),
}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with clawstate.open(tmp_path / "state") as state:
        state.sessions.resolve(KEY)
        yield state


def kept(state: State) -> dict[Path, bytes]:
    files = (each for each in state.paths.root.rglob("*.json*") if each.is_file())
    return {each: each.read_bytes() for each in files}


@pytest.mark.parametrize("name", CASES)
def test_half_a_character_is_refused(state: State, name: str) -> None:
    """The error names what holds it, without the text, and nothing is written."""
    where, do = CASES[name]
    before = kept(state)

    with pytest.raises(InvalidError) as caught:
        do(state)

    assert where in caught.value.name
    assert kept(state) == before
    assert state.transcripts.count("one") == 0
    assert state.memory.stats()["records"] == 0


def test_what_was_there_already_stands_in_no_way(state: State) -> None:
    """An entry that somebody else wrote with one is changed in its other members."""
    path = state.paths.sessions_index
    path.write_text(path.read_text().replace('"sessionId"', '"theirs": "\\ud800", "sessionId"', 1))

    state.sessions.update(KEY, {"displayName": "tea"})

    assert "ud800" in path.read_text()
    assert "tea" in path.read_text()
