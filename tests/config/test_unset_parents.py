"""What `unset` leaves of the objects that `set` had made around a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawstate.config.service import Config
from clawstate.files.paths import StatePaths

FILES = ("openclaw.json", "clawstate.json", "agents/ada/agent/config.json")


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / "state")
    paths.agent_config("ada").parent.mkdir(parents=True, mode=0o700)
    return paths


def opened(paths: StatePaths) -> Config:
    return Config(paths, env={"HOME": "/h"}, cwd=paths.root)


def places(paths: StatePaths, name: str) -> tuple[Path, str, str, str | None]:
    """Return a file, two keys that are kept in it, and whose it is."""
    if name == "clawstate.json":
        mark = paths.root / "devices/paired.json"
        mark.parent.mkdir()
        mark.touch()
        return paths.root / name, "memory.store.type", "memory.store.path", None
    agent = "ada" if name.startswith("agents") else None
    return paths.root / name, "session.reset.mode", "session.reset.atHour", agent


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("text", ["{}\n", "{\n  // mine\n  logging: {level: 'info'}, // here\n}\n"])
def test_unset_takes_back_all_that_set_had_made(paths: StatePaths, name: str, text: str) -> None:
    """Setting a key and removing it gives the text from before, in every file; undo brings back."""
    file, key, _, agent = places(paths, name)
    file.write_text(text)
    config = opened(paths)
    config.set(key, "sqlite" if "memory" in key else "idle", agent_id=agent)
    between = file.read_text()

    config.unset(key, agent_id=agent)

    assert file.read_text() == text
    config.undo(agent_id=agent)
    assert file.read_text() == between


@pytest.mark.parametrize("name", FILES)
def test_parents_stay_while_something_is_in_them(paths: StatePaths, name: str) -> None:
    """Parents that hold another key stay, and go with the last one."""
    file, first, second, agent = places(paths, name)
    file.write_text("{}\n")
    config = opened(paths)
    values = ("sqlite", "/tmp/m.db") if "memory" in first else ("idle", 4)
    for key, value in zip((first, second), values, strict=True):
        config.set(key, value, agent_id=agent)

    config.unset(first, agent_id=agent)
    between = file.read_text()
    config.unset(second, agent_id=agent)

    assert second.rpartition(".")[2] in between
    assert file.read_text() == "{}\n"


@pytest.mark.parametrize(
    "text",
    [
        "{session: {reset: {mode: 'idle'}}}",
        "{\n  session: {\n    reset: {mode: 'idle'},\n  },\n}\n",
    ],
)
def test_objects_that_people_wrote_stay(paths: StatePaths, text: str) -> None:
    """An object that was in the text before any change stays there empty, as it may mean so."""
    paths.config.write_text(text)
    config = opened(paths)

    config.unset("session.reset.mode")

    assert paths.config.read_text() == text.replace("mode: 'idle'", "")


def test_an_object_that_was_set_as_such_stays(paths: StatePaths) -> None:
    """An object that was itself the value that was set is no parent that came with a key."""
    config = opened(paths)
    config.set("session.reset", {})
    config.set("session.reset.mode", "idle")

    config.unset("session.reset.mode")

    assert config.get("session.reset") == {}


def test_a_comment_keeps_its_object(paths: StatePaths) -> None:
    """An object that somebody has put a comment in stays, and the comment with it."""
    paths.config.write_text("{}\n")
    config = opened(paths)
    config.set("session.reset.mode", "idle")
    text = paths.config.read_text()
    assert text.count('"reset": {') == 1
    paths.config.write_text(text.replace('"reset": {', '"reset": {\n// theirs\n'))

    config.unset("session.reset.mode")

    assert "// theirs" in paths.config.read_text()
    assert config.get("session.reset") == {}


def test_elements_of_lists_stay(paths: StatePaths) -> None:
    """An element that is left empty stays, as those behind it would get other indices."""
    paths.config.write_text("{agents: {list: [{id: 'ada'}, {id: 'bob'}]}}")
    config = opened(paths)
    config.set("agents.list[0].identity.name", "Ada")

    config.unset("agents.list[0].identity.name")

    assert paths.config.read_text() == "{agents: {list: [{id: 'ada'}, {id: 'bob'}]}}"


def test_parents_in_an_included_file_go_too(paths: StatePaths) -> None:
    """A parent that was made in an included file is taken from that file."""
    paths.config.write_text("{session: {$include: './session.json'}}")
    included = paths.root / "session.json"
    included.write_text("{scope: 'global'}\n")
    config = opened(paths)
    config.set("session.reset.mode", "idle")

    config.unset("session.reset.mode")

    assert included.read_text() == "{scope: 'global'}\n"
