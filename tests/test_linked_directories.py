from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import InvalidError, StateError, UnavailableError
from clawstate.state import State

KEY = {"type": "api_key", "provider": "openai", "key": "sk-0123456789abcdef"}

USES: dict[str, Callable[[State], object]] = {
    "auth": lambda state: state.auth().upsert("openai:default", KEY),
    "sessions": lambda state: state.sessions.resolve("telegram:42"),
    "dedupe": lambda state: state.dedupe.check_and_record(os.urandom(8).hex()),
    "pairing": lambda state: state.pairing.request(user_id="ada", device_id="phone"),
    "identity": lambda state: state.identity.device_id,
    "device_auth": lambda state: state.device_auth.set("gateway", "token"),
}


def link(root: Path, name: str, outside: Path) -> None:
    """Put a link in the place of a directory of a state, and the directory elsewhere."""
    (root / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (root / name).exists():
        shutil.move(root / name, outside)
    else:
        outside.mkdir(mode=0o700)
    (root / name).symlink_to(outside)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("agents", "auth"),
        ("agents/main", "auth"),
        ("agents/main/agent", "auth"),
        ("sessions", "sessions"),
        ("dedupe", "dedupe"),
        ("state", "pairing"),
        ("identity", "identity"),
        ("state/identity", "device_auth"),
    ],
)
@pytest.mark.parametrize("was_used", [True, False])
def test_no_record_goes_through_a_link(
    tmp_path: Path, name: str, use: str, *, was_used: bool
) -> None:
    """A directory on the way to a document that is a link is refused, and nothing is written."""
    root, outside = tmp_path / "state", tmp_path / "outside"
    if was_used:
        with clawstate.open(root) as state:
            USES[use](state)
    link(root, name, outside)
    before = {each: each.lstat().st_mtime_ns for each in outside.rglob("*")}

    with clawstate.open(root) as state, pytest.raises(InvalidError, match="is a link"):
        USES[use](state)

    documents = [each for each in outside.rglob("*.json") if each not in before]
    assert documents == []


@pytest.mark.parametrize("name", ["memory", "logs", ".config-history"])
def test_what_is_large_may_lie_behind_a_link(tmp_path: Path, name: str) -> None:
    """The memory, the logs and the history of the configuration may be on another disk."""
    root, outside = tmp_path / "state", tmp_path / "outside"
    with clawstate.open(root) as state:
        state.memory.add("before")
        state.config.set("gateway.port", 1)
    link(root, name, outside)

    with clawstate.open(root) as state:
        state.memory.add("after")
        state.config.set("gateway.port", 2)
        state.config.undo()

        assert state.config.get("gateway.port") == 1
        assert len(state.memory.records()) == 2
    assert (root / name).is_symlink()
    assert any(outside.iterdir())


READS: dict[str, Callable[[State], object]] = {
    "agents": lambda state: state.auth().profiles(),
    "sessions": lambda state: state.sessions.entries(),
    "memory": lambda state: state.memory.records(),
    "dedupe": lambda state: state.dedupe.check_and_record("message 1"),
    "state": lambda state: state.devices.paired(),
}


@pytest.mark.parametrize("name", READS)
def test_behind_a_link_to_nothing_is_no_empty_state(tmp_path: Path, name: str) -> None:
    """A directory whose disk is not there is refused, for reading and for writing."""
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    (root / name).symlink_to(tmp_path / "gone" / name)

    with clawstate.open(root) as state, pytest.raises(StateError, match="is a link"):
        READS[name](state)

    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("below", ["", "deep/state"])
def test_a_state_directory_behind_a_link_to_nothing_is_refused(
    tmp_path: Path, name: str, below: str
) -> None:
    """A state directory whose disk is not there is not made anew where the link leads to."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")

    with (
        clawstate.open(link / below) as state,
        pytest.raises(UnavailableError, match="link to nothing"),
    ):
        READS[name](state)

    assert not (tmp_path / "gone").exists()
