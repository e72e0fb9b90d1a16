"""`agents/<id>/agent/config.json`: all that `openclaw.json` has, for one agent."""

from __future__ import annotations

import json
import queue
import stat
import warnings
from pathlib import Path
from typing import Any

import pytest
from config_files import CANARY

from clawstate.config.service import Config
from clawstate.errors import ConfigError, ConflictError, CorruptWarning, NotFoundError
from clawstate.files.atomic import write_atomic
from clawstate.files.paths import StatePaths
from clawstate.json5.key_path import set_at
from clawstate.json5.path_grammar import parse_key_path

PATIENCE = 60.0  # seconds until a silent watch counts as stuck
TEXT = "{\n  // faster\n  gateway: {port: 2}, // mine\n}\n"


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / "state")
    paths.agent_config("ada").parent.mkdir(parents=True, mode=0o700)
    paths.config.write_text("{gateway: {port: 1}}")
    return paths


@pytest.fixture
def own(paths: StatePaths) -> Path:
    return paths.agent_config("ada")


def opened(paths: StatePaths) -> Config:
    return Config(paths, env={"HOME": "/h"}, cwd=paths.root)


def test_a_value_is_set_for_one_agent(paths: StatePaths, own: Path) -> None:
    """Its text is changed key by key, with a backup and history of its own; others see nothing."""
    own.write_text(TEXT)
    config = opened(paths)

    change = config.set("gateway.port", 3, agent_id="ada")

    assert change is not None
    assert change.file == str(own)
    assert own.read_text() == TEXT.replace("2", "3")
    assert own.with_name("config.json.bak").read_text() == TEXT
    assert config.require("gateway.port", agent_id="ada") == 3
    assert config.get("gateway.port") == config.require("gateway.port", agent_id="bob") == 1
    assert [each.paths for each in config.history(agent_id="ada")] == [("gateway.port",)]
    assert config.history() == ()


def test_changes_for_an_agent_are_taken_back(paths: StatePaths, own: Path) -> None:
    """Unset, diff and undo work on the file of the agent, also after it was moved."""
    own.write_text(TEXT)
    config = opened(paths)

    config.unset("gateway.port", agent_id="ada")
    shown = config.diff(agent_id="ada")
    moved = StatePaths(paths.root.with_name("moved"))
    paths.root.rename(moved.root)
    opened(moved).undo(agent_id="ada")

    assert "-  gateway: {port: 2}, // mine" in shown
    assert moved.agent_config("ada").read_text() == TEXT
    with pytest.raises(NotFoundError):
        opened(moved).unset("gateway.host", agent_id="ada")


def test_a_whole_text_is_replaced(paths: StatePaths, own: Path) -> None:
    """A new text is judged, and refused if the old one is another than was expected."""
    config = opened(paths)
    config.replace(TEXT, agent_id="ada")

    with pytest.raises(ConflictError):
        config.replace("{}", expected="{ }", agent_id="ada")

    assert config.text(agent_id="ada") == own.read_text() == TEXT


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("gateway.port", "x"),
        ("memory.store.type", "mysql"),
        ("agents.defaults.maxConcurrent", 0),
        ("agents.list", [{"id": "bob"}]),
        ("state.store", "sqlite"),
        ("locks.stale", 1),
    ],
)
def test_what_an_agent_may_not_have_is_an_issue(
    paths: StatePaths, own: Path, path: str, value: Any
) -> None:
    """A wrong type, or what is one for all agents, is told with file and place, and not written."""
    config = opened(paths)
    with pytest.raises(ConfigError, match=path.split(".", maxsplit=1)[0]):
        config.set(path, value, agent_id="ada")
    assert not own.exists()
    own.write_text(json.dumps(set_at({}, parse_key_path(path), value)))

    found = [each for each in config.issues() if each.severity == "error"]

    assert {each.file for each in found} == {own}
    assert all(each.line and each.column for each in found)
    assert found == [e for e in config.issues(agent_id="ada") if e.severity == "error"]
    assert not [e for e in config.issues(agent_id="bob") if e.severity == "error"]


BROKEN = ["{", "[1]", "\0", "{gateway: {$include: '/etc/passwd'}}"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_breaks_no_call(paths: StatePaths, own: Path, text: str) -> None:
    """It is left out with one warning, is an issue with its place, and noticed when mended."""
    own.write_text(text)
    config = opened(paths)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        values = [config.resolve("ada")["gateway"]["port"] for _ in range(3)]

    assert values == [1, 1, 1]
    assert [each.category for each in told] == [CorruptWarning]
    assert str(own) in str(told[0].message)
    assert [each.severity for each in config.issues()] == ["error"]
    assert [each.file for each in config.issues()] == [own]
    write_atomic(own, TEXT.encode())
    assert config.resolve("ada")["gateway"]["port"] == 2


@pytest.mark.parametrize("is_fresh", [False, True])
@pytest.mark.parametrize("text", BROKEN)
def test_the_last_good_text_stands_in(
    paths: StatePaths, own: Path, text: str, *, is_fresh: bool
) -> None:
    """What was written last holds until the file is mended, also for who reads it first then."""
    config = opened(paths)
    config.set("tools.deny", ["exec"], agent_id="ada")
    config.resolve("ada")
    own.write_text(text)
    reader = opened(paths) if is_fresh else config

    with pytest.warns(CorruptWarning, match="stands in"):
        value = reader.resolve("ada")

    assert value["tools"]["deny"] == ["exec"]
    reader.undo(agent_id="ada", force=True)
    assert own.read_text() == "{}\n"


def test_a_broken_configuration_keeps_nobody_from_mending_an_agent(
    paths: StatePaths, own: Path
) -> None:
    """The file of an agent can be changed while the one of all agents is broken."""
    paths.config.write_text("{")

    opened(paths).set("gateway.port", 4, agent_id="ada")

    assert "4" in own.read_text()


@pytest.mark.parametrize("deed", ["changed", "made", "removed"])
def test_changes_from_outside_are_noticed(paths: StatePaths, own: Path, deed: str) -> None:
    """`changed` is true once after somebody else touched the file of an agent; we do not count."""
    if deed != "made":
        own.write_text(TEXT)
    config = opened(paths)
    assert not config.changed()
    config.set("gateway.port", 5, agent_id="bob")
    assert not config.changed()

    if deed == "removed":
        own.unlink()
    else:
        write_atomic(own, b"{gateway: {port: 9}}")

    assert config.changed()
    assert not config.changed()


def test_who_listens_for_an_agent_is_told(paths: StatePaths, own: Path) -> None:
    """A watch calls with the values that the agent sees, whichever file they come from."""
    config = opened(paths)
    heard: queue.Queue[tuple[Any, Any]] = queue.Queue()
    config.on_change("gateway.port", lambda old, new: heard.put((old, new)), agent_id="ada")

    with config.watch(interval=0.005):
        write_atomic(own, TEXT.encode())
        first = heard.get(timeout=PATIENCE)
        own.unlink()
        second = heard.get(timeout=PATIENCE)
        write_atomic(paths.config, b"{gateway: {port: 7}}")
        third = heard.get(timeout=PATIENCE)

    assert (first, second, third) == ((1, 2), (2, 1), (1, 7))


def test_a_secret_makes_it_private(paths: StatePaths, own: Path) -> None:
    """The file of an agent is 0600 while it holds a secret in the clear."""
    config = opened(paths)

    config.set("channels.x.apiKey", CANARY, agent_id="ada")

    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert CANARY not in config.diff(agent_id="ada")


def test_the_file_may_be_a_link(paths: StatePaths, own: Path) -> None:
    """Backups, locks and history of a linked file of an agent lie beside the link."""
    target = paths.root.parent / "dotfiles/ada.json"
    target.parent.mkdir()
    target.write_text(TEXT)
    own.symlink_to(target)

    opened(paths).set("gateway.port", 3, agent_id="ada")

    assert [each.name for each in target.parent.iterdir()] == ["ada.json"]
    assert own.with_name("config.json.bak").exists()
    assert target.read_text() == TEXT.replace("2", "3")


def test_a_file_that_is_a_link_to_nothing_is_told(paths: StatePaths, own: Path) -> None:
    """An agent whose file cannot be read is among those that are judged."""
    own.symlink_to(paths.root / "gone.json")

    config = opened(paths)

    assert config.agents() == ("ada",)
    assert [each.message for each in config.issues()] == ["is a link to nothing"]
