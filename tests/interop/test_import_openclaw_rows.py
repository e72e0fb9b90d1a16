"""
What a real OpenClaw of the SQLite era lists is found again after an import, also while it runs.

`CLAWSTATE_OPENCLAW_STATE` may name a directory that this OpenClaw made, with cold, compressed,
deleted and reset sessions, pictures and more in it. It is copied. Otherwise one is made here.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from masters import KINDS
from openclaw_package import SQLITE
from real_state import TOKEN, RealState, copy_tree

import clawstate
from clawstate.importers.openclaw import import_openclaw
from clawstate.state import State

DATABASES = ("state/openclaw.sqlite", "agents/main/agent/openclaw-agent.sqlite")
(KIND,) = (each for each in KINDS if each.name == SQLITE.version)

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore::clawstate.errors.StateWarning"),
]


@pytest.fixture
def theirs(masters, tmp_path: Path) -> RealState:
    given = os.environ.get("CLAWSTATE_OPENCLAW_STATE")
    if not given:
        return masters.fresh(KIND)
    copy_tree(Path(given), tmp_path / "home" / ".openclaw")
    openclaw = masters.openclaws[SQLITE]
    state = RealState(openclaw, tmp_path / "home", masters.model, masters.port)
    state.configure()
    return state


def said(state: RealState, *words: str) -> Any:
    """Return the document that a command of OpenClaw prints."""
    done = state.run(*words)
    assert done.code == 0, done
    return json.loads(done.out[done.out.index("{") :])


def called(state: RealState, method: str, **params: Any) -> Any:
    """Return what the gateway answers."""
    address = f"ws://127.0.0.1:{state.port}"
    asked = ("--params", json.dumps(params), "--timeout", "120000", "--json")
    return said(state, "gateway", "call", method, *asked, "--token", TOKEN, "--url", address)


def test_what_a_running_openclaw_lists_is_found_again(theirs, tmp_path, tell) -> None:
    """Each session, message and credential that the program lists is here after the import."""
    with theirs.gateway():
        sessions = called(theirs, "sessions.list", limit=1000)["sessions"]
        listed = said(theirs, "sessions", "--json", "--limit", "1000")["sessions"]
        histories = {
            each["key"]: called(theirs, "chat.history", sessionKey=each["key"], limit=1000)
            for each in listed
        }
        auth = said(theirs, "models", "status", "--json")["auth"]
        with clawstate.open(tmp_path / "ours") as state:
            report = import_openclaw(state, theirs.root, archives=True, secrets=True)

    assert not report.has_failed(), report.remarks
    assert {each["key"] for each in listed} <= {each["key"] for each in sessions} | {"global"}
    with clawstate.open(tmp_path / "ours") as state:
        for each in listed:
            _require_session(state, each)
        messages = sum(_require_history(state, each) for each in histories.values())
        profiles = _profiles(auth)
        assert profiles == set(state.auth("main").document()["profiles"])
    tell(f"{len(listed)} sessions, {messages} messages, {len(profiles)} credentials found again")
    assert messages > 0


def test_a_stopped_state_is_byte_equal_after_imports(theirs, tmp_path) -> None:
    """An import elsewhere, and one into the directory itself, changes no byte of the databases."""
    before = _digests(theirs.root)

    with clawstate.open(tmp_path / "ours") as state:
        elsewhere = import_openclaw(state, theirs.root)
    assert _digests(theirs.root) == before
    with clawstate.open(theirs.root) as state:
        inside = import_openclaw(state, theirs.root)
        again = import_openclaw(state, theirs.root)

    after = _digests(theirs.root)
    assert {path: after.get(path) for path in before} == before
    for report in (elsewhere, inside, again):
        assert not report.has_failed(), report.remarks
    assert elsewhere.count("sessions").new == inside.count("sessions").new > 0
    assert sum(count.new + count.changed for count in again.counts.values()) == 0


def test_after_an_import_into_its_directory_openclaw_goes_on(theirs) -> None:
    """What was taken over beside its databases changes nothing of what OpenClaw shows."""
    with theirs.gateway():
        before = called(theirs, "chat.history", sessionKey="agent:main:main", limit=1000)
    with clawstate.open(theirs.root) as state:
        import_openclaw(state, theirs.root, secrets=True)

    with theirs.gateway():
        after = called(theirs, "chat.history", sessionKey="agent:main:main", limit=1000)

    assert after["sessionId"] == before["sessionId"]
    assert _said(after) == _said(before)


def _require_session(state: State, listed: dict[str, Any]) -> None:
    found = state.sessions.require(listed["key"])
    document = found.document()
    assert found.session_id == listed["sessionId"]
    for name in ("updatedAt", "label", "model", "modelProvider", "totalTokens"):
        assert document.get(name) == listed.get(name), name


def _require_history(state: State, history: dict[str, Any]) -> int:
    page = state.transcripts.messages(history["sessionId"], limit=10_000)
    ours = {each.id: each.entry for each in page}
    shown = [each for each in history["messages"] if each["role"] != "system"]
    for each in shown:
        entry = ours[each["__openclaw"]["id"]]
        assert entry["message"]["role"] == each["role"]
        assert _text(entry["message"]) == _text(each)
        assert entry["message"].get("timestamp") == each.get("timestamp")
    return len(shown)


def _said(history: dict[str, Any]) -> list[str]:
    return [_text(each) for each in history["messages"]]


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", part)) for part in content or ())


def _profiles(auth: dict[str, Any]) -> set[str]:
    labels = [label for each in auth["providers"] for label in each["profiles"]["labels"]]
    return {label.partition("=")[0] for label in labels}


def _digests(root: Path) -> dict[str, str]:
    return {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in DATABASES}
