from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from config_files import CANARY, read, write_own

from clawstate.config.layers import MAX_CONFIG_BYTES
from clawstate.errors import ConfigError, CorruptError, StateError
from clawstate.files.paths import StatePaths


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    (tmp_path / "state").mkdir()
    (tmp_path / "cwd").mkdir()
    return StatePaths(tmp_path / "state")


def test_every_step_is_taken_in_its_order(paths: StatePaths) -> None:
    """Includes bring variables, variables bring paths, defaults fill the gaps."""
    (paths.root / "env.json5").write_text("{vars: {DATA: '~/data'}}")
    (paths.root / ".env").write_text("KEY=from-state")
    text = "{env: {$include: 'env.json5'}, memory: {store: {path: '${DATA}'}}, k: ['x-${KEY}']}"

    loaded = read(paths, text)

    assert loaded.templates["memory"] == {"store": {"path": "${DATA}"}}
    assert loaded.resolved["memory"] == {"store": {"path": "~/data"}}
    assert loaded.value["memory"]["store"]["path"] == "/h/data"
    assert loaded.value["k"] == ["x-from-state"]
    assert loaded.value["gateway"]["port"] == 18789
    assert [each.path for each in loaded.substitutions] == [("memory", "store", "path"), ("k", 0)]


def test_missing_file_is_an_empty_configuration(paths: StatePaths) -> None:
    """Without a file there are only defaults, and no text to change."""
    loaded = read(paths)

    assert (loaded.resolved, loaded.config.source) == ({}, None)
    assert loaded.value["gateway"]["mode"] == "local"
    assert loaded.provenance.nearest(("a", "b")) == ((), None)


def test_text_and_tree_are_kept(paths: StatePaths) -> None:
    """The source is the very text of the file, byte order mark and line ends included."""
    text = "\ufeff{\r\n // why\r\n a: 1,\r\n}\r\n"

    source = read(paths, text).config.source

    assert source is not None
    assert source.text == text
    assert source.document.value == {"a": 1}
    assert source.path == paths.config


def test_link_is_followed_and_its_includes_lie_beside_it(paths: StatePaths, tmp_path: Path) -> None:
    """A linked configuration is read where it leads; its includes belong to the state."""
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles/config").write_text("{$include: 'a'}")
    (paths.root / "a").write_text("{x: 1}")
    paths.config.symlink_to(tmp_path / "dotfiles/config")

    loaded = read(paths)

    assert loaded.resolved == {"x": 1}
    assert loaded.files[0].real == tmp_path / "dotfiles/config"


@pytest.mark.parametrize("kind", ["directory", "pipe", "dangling", "loop", "large"])
def test_what_is_no_configuration_is_refused(paths: StatePaths, kind: str) -> None:
    """Whatever stands in its place is neither waited for nor taken for an empty one."""
    path = paths.config
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to(path.parent / "unmounted")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes(b"{}".ljust(MAX_CONFIG_BYTES + 1))

    with pytest.raises(ConfigError, match=str(path)):
        read(paths)


@pytest.mark.parametrize("text", ["", " \r\n", "{", "{a: 1", "{a: = }"])
def test_damaged_configuration_is_refused(paths: StatePaths, text: str) -> None:
    """An empty or broken file is damaged, never an empty configuration."""
    with pytest.raises(CorruptError, match=r"line [12], column"):
        read(paths, text)


def test_all_missing_variables_are_named_at_once(paths: StatePaths) -> None:
    """One error lists each variable with its key path, file, line and column."""
    (paths.root / "inc").write_text("{\n  token: '${B_TOKEN}'}")
    text = "{a: {b: [{c: 'x${A_KEY}'}]},\n chan: {$include: 'inc'}, ok: '${SET}'}"

    with pytest.raises(ConfigError) as caught:
        read(paths, text, SET="1")

    first = f"missing environment variable A_KEY, referenced at a.b[0].c ({paths.config}:1:14)"
    inner = f"B_TOKEN, referenced at chan.token ({paths.root / 'inc'}:2:10)"
    assert f"{first}; missing environment variable {inner}; set it in" in str(caught.value)


def test_error_about_very_many_variables_stays_short(paths: StatePaths) -> None:
    """Five missing variables are named, the others counted."""
    names = ", ".join(f"'${{V_{index}}}'" for index in range(60))

    with pytest.raises(ConfigError) as caught:
        read(paths, f"{{a: [{names}]}}")

    assert str(caught.value).count("missing environment variable") == 5
    assert "; and 55 more; set it in" in str(caught.value)


def test_lenient_reading_lists_what_is_missing(paths: StatePaths) -> None:
    """Who only changes settings can read without the variables; the templates stay."""
    loaded = read(paths, "{a: '${NONE}', b: '${SET}'}", strict=False, SET="1")

    assert loaded.resolved == {"a": "${NONE}", "b": "1"}
    assert [each.name for each in loaded.missing] == ["NONE"]


def test_variables_of_files_lie_under_those_of_the_environment(paths: StatePaths) -> None:
    """The environment, the working directory, the state, the configuration: in this order."""
    (paths.root.parent / "cwd/.env").write_text("A=cwd\nB=cwd\n")
    (paths.root / ".env").write_text("A=state\nB=state\nC=state\nnonsense\n")
    text = "{env: {A: 'c', B: 'c', C: 'c', D: 'c'}, v: '${A} ${B} ${C} ${D}'}"

    loaded = read(paths, text, A="env")

    assert loaded.value["v"] == "env cwd state c"
    assert [str(notice) for notice in loaded.notices] == [
        f"{paths.root / '.env'}:4:1: is not NAME=value"
    ]
    assert "B" not in os.environ


def test_agent_sees_its_own_settings(paths: StatePaths) -> None:
    """Entry and own file of the agent lie over the configuration; others see nothing of them."""
    write_own(paths, "ada", "{tools: {allow: ['${ADA}']}, env: {ADA: 'own'}}")
    text = "{tools: {allow: ['x', 'y']}, agents: {list: [{id: 'ada', workspace: '~/ada'}]}}"

    own, shared = read(paths, text, agent="Ada"), read(paths, agent="bob")

    assert own.value["tools"] == {"allow": ["own"]}
    assert own.value["agents"]["defaults"]["workspace"] == "/h/ada"
    assert [each.path for each in own.substitutions] == [("tools", "allow", 0)]
    assert own.own is not None
    assert own.own.provenance.at(("tools",)) is not None
    assert shared.resolved == read(paths).resolved


def test_agent_includes_stay_in_its_directory(paths: StatePaths) -> None:
    """The file of an agent includes its own files, and none of the state above."""
    path = write_own(paths, "ada", "{x: {$include: 'inc'}}")
    (path.parent / "inc").write_text("[1]")
    inside = read(paths, "{}", agent="ada").resolved
    path.write_text("{x: {$include: '../../../openclaw.json'}}")

    outside = read(paths, agent="ada")

    assert inside == {"x": [1]}
    assert "leaves" in outside.fallen
    assert outside.resolved == {}


def test_missing_variable_of_an_agent_is_found_in_its_file(paths: StatePaths) -> None:
    """The place of a missing variable is that of the file that refers to it."""
    path = write_own(paths, "ada", "{x: '${NONE}'}")

    with pytest.raises(ConfigError, match=f"referenced at x .{path}:1:5."):
        read(paths, "{x: 'y'}", agent="ada")


def test_five_hundred_keys_are_all_there(paths: StatePaths) -> None:
    """A large configuration of plain JSON is read whole, equal keys noted as ever."""
    entries = {f"k{index}": {"v": index, "s": "${A}"} for index in range(500)}
    text = json.dumps({"entries": entries}, indent=2)[:-2] + ', "x": 1, "x": 2}'

    loaded = read(paths, text, A="a")

    assert loaded.resolved["entries"]["k499"] == {"v": 499, "s": "a"}
    assert len(loaded.substitutions) == 500
    assert "'x' more than once" in str(loaded.notices[0])


HOSTILE = [
    f"{{a: '{CANARY}', b: = }}",
    f"{{a: '{CANARY}",
    f"{{a: '{CANARY}${{NONE}}'}}",
    f"{{a: '{CANARY}', $include: 'gone'}}",
    f"{{$include: ['inc', {{x: '{CANARY}'}}]}}",
    f"['{CANARY}']",
    f"'{CANARY}'",
    f"{{$include: 'inc', a: '{CANARY}'}}",
    f"{{a: '{CANARY}', b: {'[' * 200}{']' * 200}}}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_error_shows_a_value(paths: StatePaths, text: str) -> None:
    """Whatever is wrong, neither the text of a file nor a variable is part of the error."""
    (paths.root / "inc").write_text(f"['{CANARY}']")
    (paths.root / ".env").write_text(f"A={CANARY}\n{CANARY}")

    with pytest.raises(StateError) as caught:
        read(paths, text, B=CANARY)

    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in f"{error} {error!r} {error.args}"
        error = error.__cause__ or error.__context__


def test_representation_shows_no_value(paths: StatePaths) -> None:
    """Printing what was loaded shows paths and counts, never a value."""
    (paths.root / ".env").write_text(f"A={CANARY}")

    loaded = read(paths, f"{{a: '{CANARY}', b: '{CANARY}${{A}}', c: '${{N}}'}}", strict=False)

    layers = (loaded.config, loaded.config.source, loaded.provenance.at(("a",)))
    assert CANARY not in repr(loaded) + repr(layers)
