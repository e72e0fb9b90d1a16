"""Where clawstate and the real OpenClaw look for the credentials of an agent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import clawstate
from clawstate.state.agents import agent_dir

RESOLVE = """async (by, input) => Object.fromEntries(input.agents.map((id) =>
  [id, by.resolveAgentDir(input.cfg, id)]))"""
LOAD = "async (by, input) => by.ensureAuthProfileStore(input.dir)"
NAME = "openai:default"
KEY = {"type": "api_key", "provider": "openai", "key": "sk-1"}

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


def test_both_look_in_the_same_place(peer, tmp_path, monkeypatch) -> None:
    """An `agentDir` means the same directory there, and what is stored there is read there."""
    home = Path(peer.run("auth-profiles", "async () => process.env.HOME"))
    root = home / ".openclaw"
    monkeypatch.setenv("HOME", str(home))
    folders = {"out": f"{tmp_path}/out", "tilde": "~/creds", "odd": f" {tmp_path}/a/../b/ "}
    agents = [{"id": name, "agentDir": each} for name, each in folders.items()]
    config = {"agents": {"list": [*agents, {"id": "usual"}]}}
    root.mkdir(mode=0o700)
    (root / "openclaw.json").write_text(json.dumps(config))
    names = [*folders, "usual", "main"]

    theirs = peer.run("agent-scope", RESOLVE, cfg=config, agents=names)

    with clawstate.open(root, store="file") as state:
        assert {name: str(agent_dir(state._context, name)) for name in names} == theirs
        state.auth("out").upsert(NAME, KEY)
    assert peer.run("auth-profiles", LOAD, dir=theirs["out"])["profiles"] == {NAME: KEY}
