from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import (
    ConfigError,
    ConflictError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)

GREETER = """
from clawstate import Tool


def register(runtime):
    def greet(arguments):
        return {"greeting": f"{runtime.config.get('word', 'Hello')}, {arguments['name']}"}

    runtime.tools.register_tool(
        Tool(
            "greet",
            "Greet somebody.",
            {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            greet,
        )
    )
    runtime.hooks.on("before_agent_start", lambda told: {"prependContext": "be kind"})
    return {"greeter": True}
"""
SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string", "minLength": 2}},
    "additionalProperties": False,
}


def plugin_folder(
    parent: Path, plugin_id: str = "greeter", code: str = GREETER, **manifest: object
) -> Path:
    folder = parent / plugin_id
    folder.mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    told = {"id": plugin_id, "version": "1.0", "configSchema": SCHEMA, **manifest}
    (folder / "clawstate.plugin.json").write_text(json.dumps(told))
    (folder / "plugin.py").write_text(code)
    for each in folder.iterdir():
        each.chmod(0o600)
    return folder


def status_of(state, plugin_id: str) -> tuple[str, str]:
    found = {each.id: each for each in state.plugins.list()}[plugin_id]
    return found.status, found.reason


def test_a_memory_plugin_returns_what_the_specification_says(state) -> None:
    """Loading `memory-lancedb` gives its database and that it is ready, and registers its tools."""
    given = state.plugins.load("memory-lancedb")

    assert given == {"db": state.memory, "initialized": True}
    tools = ("memory_search", "memory_get", "memory_update", "memory_store", "memory_forget")
    assert set(state.plugins.tools.names()) == {*tools, "memory_recall", "memory_conflicts"}


def test_exactly_one_memory_plugin_runs(state) -> None:
    """While one memory plugin is loaded another one is refused; `start` takes that of the slot."""
    state.plugins.load("memory-core")

    with pytest.raises(ConflictError, match="memory-core"):
        state.plugins.load("memory-lancedb")

    assert status_of(state, "memory-lancedb")[0] == "failed"
    assert {each.id for each in state.plugins.start() if each.status == "loaded"} == {"memory-core"}


def test_enabling_a_memory_plugin_moves_the_slot(state) -> None:
    """A memory plugin that is enabled takes the slot; disabled, it leaves the slot to none."""
    enabled = state.plugins.enable("memory-lancedb")
    slot = state.config.get("plugins.slots.memory")
    other = status_of(state, "memory-core")
    disabled = state.plugins.disable("memory-lancedb")

    assert (enabled.status, slot, other[0]) == ("enabled", "memory-lancedb", "disabled")
    assert (disabled.status, state.config.get("plugins.slots.memory")) == ("disabled", "none")
    assert not [each for each in state.plugins.start() if each.status == "loaded"]


def test_a_folder_is_a_plugin_once_it_is_enabled(state) -> None:
    """A folder below the state runs only after a person enabled it; then its tools are there."""
    plugin_folder(state.paths.root / "extensions")

    before = status_of(state, "greeter")
    state.plugins.start()
    unloaded = state.plugins.tools.names()
    state.plugins.enable("greeter")
    state.config.set("plugins.entries.greeter.config.word", "Ahoy")
    state.plugins.start()

    assert before == ("disabled", "not enabled; run 'clawstate plugins enable greeter'")
    assert "greet" not in unloaded
    assert state.plugins.tools.call("greet", {"name": "Ada"}) == {"greeting": "Ahoy, Ada"}
    assert state.plugins.hooks.run("before_agent_start") == {"prependContext": "be kind"}


def test_paths_name_folders_of_plugins(state, tmp_path: Path) -> None:
    """`plugins.load.paths` names a plugin, or a folder that holds several, which run by that."""
    one = plugin_folder(tmp_path / "one")
    plugin_folder(tmp_path / "more", "other", GREETER.replace('"greet"', '"salute"'))
    state.config.set("plugins.load.paths", [str(one), str(tmp_path / "more")])

    found = {each.id: each for each in state.plugins.start()}

    assert {found[each].status for each in ("greeter", "other")} == {"loaded"}
    assert found["other"].tools == ("salute",)
    assert found["greeter"].origin == "config"


def test_an_installed_package_brings_plugins(state, tmp_path: Path, monkeypatch) -> None:
    """An entry point of the group `clawstate.plugins` is a plugin, with the version of its own."""
    (tmp_path / "pinger.py").write_text(
        "from clawstate import Plugin\n"
        "plugin = Plugin('pinger', lambda runtime: {'pong': runtime.plugin_id})\n"
    )
    info = tmp_path / "pinger-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pinger\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text("[clawstate.plugins]\npinger = pinger:plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert "pinger" not in sys.modules
    assert status_of(state, "pinger")[0] == "disabled"
    assert state.plugins.load("pinger") == {"pong": "pinger", "initialized": True}
    assert {each.id: each.version for each in state.plugins.list()}["pinger"] == "2.5"


def test_a_failing_plugin_does_not_take_the_rest_down(state, caplog) -> None:
    """One that raises, cannot be imported or takes a taken name fails alone, and leaves nothing."""
    folder = state.paths.root / "extensions"
    broken = GREETER.replace('return {"greeter": True}', 'raise ValueError("sk-made-up-secret")')
    plugin_folder(folder, "broken", broken.replace('"greet"', '"half"'))
    plugin_folder(folder, "unreadable", "import no_such_module_at_all")
    plugin_folder(folder, "greeter")
    plugin_folder(folder, "twin")
    for each in ("broken", "unreadable", "greeter", "twin"):
        state.plugins.enable(each)

    with caplog.at_level(logging.WARNING):
        found = {each.id: each for each in state.plugins.start()}

    assert found["greeter"].status == found["memory-core"].status == "loaded"
    assert {found[each].status for each in ("broken", "unreadable", "twin")} == {"failed"}
    assert "half" not in state.plugins.tools.names()
    assert "ModuleNotFoundError" in found["unreadable"].reason
    assert "'greeter' offers it" in found["twin"].reason
    assert "sk-made-up-secret" not in caplog.text + found["broken"].reason


def test_settings_are_checked_before_a_plugin_sees_them(state) -> None:
    """Settings that the schema refuses raise an error that names the setting, without its value."""
    plugin_folder(state.paths.root / "extensions")
    state.plugins.enable("greeter")
    state.config.set("plugins.entries.greeter.config", {"word": "x", "sk-key": "made up"})

    with pytest.raises(ConfigError) as caught:
        state.plugins.load("greeter")

    assert str(caught.value).startswith("plugins.entries.greeter.config")
    assert "made up" not in str(caught.value)
    assert "greet" not in state.plugins.tools.names()


def test_the_specified_settings_of_memory_are_checked(state) -> None:
    """The settings of `memory-lancedb` are those of the specification, with their bounds."""
    (state.paths.root / "openclaw.json").parent.mkdir(exist_ok=True, mode=0o700)
    (state.paths.root / "openclaw.json").write_text(
        '{plugins: {entries: {"memory-lancedb": {config: {captureMaxChars: 99}}}}}'
    )

    with pytest.raises(ConfigError, match=r"memory-lancedb\.config\.captureMaxChars"):
        state.plugins.load("memory-lancedb")


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
def test_what_others_can_change_is_not_run(state) -> None:
    """A plugin whose folder or file others can write is refused, by name and with a remedy."""
    folder = plugin_folder(state.paths.root / "extensions")
    state.plugins.enable("greeter")
    (folder / "plugin.py").chmod(0o666)

    with pytest.raises(UnavailableError, match="chmod go-w"):
        state.plugins.load("greeter")

    findings = list(state.health.check("plugins"))
    assert [each.code for each in findings] == ["plugin"]


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ({"id": "../up"}, "is no id of a plugin"),
        ({"configSchema": None}, "configSchema: is missing"),
        ({"entry": "../plugin.py"}, "leads elsewhere"),
        ({"entry": "missing.py"}, "is no file there"),
        ({"name": 5}, "is no text"),
        ({"configSchema": {"type": "no such type"}}, "is no JSON Schema"),
    ],
)
def test_a_bad_manifest_is_told_of(state, manifest: dict, problem: str) -> None:
    """What is wrong with a manifest is a sentence in the list, and the rest is listed as ever."""
    plugin_folder(state.paths.root / "extensions", "odd", **manifest)

    with pytest.raises((UnavailableError, ConfigError, InvalidError), match=problem):
        state.plugins.load("odd")

    assert status_of(state, "memory-core")[0] == "enabled"


def test_all_that_is_wrong_with_a_manifest_is_told_at_once(state) -> None:
    """Whoever mends a manifest is not sent back for each mistake; looking loads no code."""
    plugin_folder(
        state.paths.root / "extensions",
        "odd",
        id="Not An Id",
        name=5,
        entry="/etc/passwd",
        configSchema={"type": "object", "properties": {"a": {"type": "no such type"}}},
    )

    _, reason = status_of(state, "odd")

    for member in ("id", "name", "entry", "configSchema"):
        assert f"{member}: " in reason
    assert "properties.a.type" in reason


def test_what_is_no_file_is_no_manifest(state) -> None:
    """A pipe or a text nested too deeply in the place of a manifest is told, and hangs nobody."""
    folder = state.paths.root / "extensions" / "pipe"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "clawstate.plugin.json")
    deep = plugin_folder(state.paths.root / "extensions", "deep")
    (deep / "clawstate.plugin.json").write_text("[" * 5_000)

    for each in ("pipe", "deep"):
        assert status_of(state, each)[0] == "disabled"
        with pytest.raises(UnavailableError):
            state.plugins.enable(each)


def test_a_plugin_that_ends_the_program_fails_alone(state) -> None:
    """`sys.exit` in a plugin, a hook or a tool is a failure of it, not the end of the program."""
    code = GREETER.replace('return {"greeter": True}', "raise SystemExit(7)")
    plugin_folder(state.paths.root / "extensions", code=code)
    state.plugins.enable("greeter")
    state.plugins.hooks.add("program", "agent_end", lambda _: sys.exit(7))

    found = {each.id: each.status for each in state.plugins.start()}

    assert found["greeter"] == "failed"
    assert found["memory-core"] == "loaded"
    assert state.plugins.hooks.run("agent_end") == {}


def test_what_a_plugin_imports_is_looked_at_as_well(state) -> None:
    """A helper beside the entry that others can write is refused as the entry would be."""
    folder = plugin_folder(state.paths.root / "extensions")
    (folder / "helper.py").write_text("x = 1\n")
    (folder / "helper.py").chmod(0o666)

    assert "can be changed by others" in status_of(state, "greeter")[1]


def test_a_plugin_of_openclaw_is_left_to_it(state) -> None:
    """A folder with only the manifest of OpenClaw is listed as what only OpenClaw runs."""
    folder = state.paths.root / "extensions" / "telegram"
    folder.mkdir(parents=True)
    (folder / "openclaw.plugin.json").write_text('{"id": "telegram", "configSchema": {}}')

    assert "only OpenClaw runs it" in status_of(state, "telegram")[1]
    with pytest.raises(UnavailableError, match="Node"):
        state.plugins.load("telegram")


def test_deny_allow_and_the_main_switch(state) -> None:
    """What is denied, not allowed, or all of it when plugins are off, runs by no means."""
    plugin_folder(state.paths.root / "extensions")
    reasons = []
    for path, value in (("deny", ["greeter"]), ("allow", ["other"]), ("enabled", False)):
        state.config.set(f"plugins.{path}", value)
        with pytest.raises(UnavailableError) as caught:
            state.plugins.load("greeter")
        reasons.append(str(caught.value))
        state.config.unset(f"plugins.{path}")

    assert [
        f"plugins.{each}" in reason
        for each, reason in zip(("deny", "allow", "enabled"), reasons, strict=True)
    ] == [True, True, True]
    assert state.plugins.load("greeter")["greeter"] is True


def test_beside_openclaw_its_own_file_stays(tmp_path: Path) -> None:
    """In a directory of OpenClaw, enabling is written to our file, and no byte of its own moves."""
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    theirs = '{\n  // mine\n  "meta": {"lastTouchedVersion": "2026.2.26"}\n}\n'
    (root / "openclaw.json").write_text(theirs)
    with clawstate.open(root) as state:
        assert state.owner.is_openclaw

        state.plugins.enable("memory-lancedb")

        assert (root / "openclaw.json").read_text() == theirs
        assert state.config.get("plugins.slots.memory") == "memory-lancedb"


def test_a_plugin_that_is_not_there(state) -> None:
    """An unknown plugin is an error that names those there are."""
    with pytest.raises(NotFoundError, match="memory-core, memory-lancedb"):
        state.plugins.load("nothing-like-it")


def test_closing_tells_the_plugins(tmp_path: Path) -> None:
    """Plugins are told when the state closes, while it can still be used."""
    seen = []
    with clawstate.open(tmp_path / "state") as other:
        other.plugins.load("memory-core")
        other.plugins.hooks.add(
            "program", "gateway_stop", lambda _: seen.append(other.memory.search("tea"))
        )

    assert seen == [[]]
