"""Settings that OpenClaw does not know, beside a configuration that it reads."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from config_files import CANARY

from clawstate.config.history import History
from clawstate.config.loading import load
from clawstate.config.service import Config
from clawstate.errors import ConfigError, CorruptError, CorruptWarning, NotFoundError
from clawstate.files.atomic import write_atomic
from clawstate.files.paths import StatePaths
from clawstate.json5.parse import parse_json5
from clawstate.openclaw.accepted import read_accepted

TEXT = """// the operator's
{
  gateway: {port: 1}, // where
  agents: {defaults: {maxConcurrent: 2}},
}
"""
ERAS = {"2026.2.26": "devices/paired.json", "2026.9.6": "state/openclaw.sqlite"}
OURS: list[tuple[str, Any]] = [
    ("state.store", "sqlite"),
    ("pairing.limit", 4),
    ("caches.query.maxEntries", 1),
    ("locks.stale", 40_000),
    ("memory.store.type", "sqlite"),
    ("gateway.host", "localhost"),
    ("auth.order", ["openai:a", "openai:b"]),
    ("gateway.auth.token", {"source": "keyring", "provider": "default", "id": "x"}),
    ("not.known", True),
]


def beside(root: Path, version: str) -> StatePaths:
    mark = root / ERAS[version]
    mark.parent.mkdir(parents=True)
    mark.touch()
    (root / "openclaw.json").write_text(TEXT)
    return StatePaths(root)


@pytest.fixture(params=ERAS)
def version(request) -> str:
    return request.param


@pytest.fixture
def paths(tmp_path: Path, version: str) -> StatePaths:
    return beside(tmp_path / "state", version)


@pytest.fixture
def config(paths: StatePaths) -> Config:
    return opened(paths)


def opened(paths: StatePaths) -> Config:
    return Config(paths, env={"HOME": "/h"}, cwd=paths.root)


def overlay(paths: StatePaths) -> Path:
    return paths.root / "clawstate.json"


def value_of(path: Path) -> Any:
    return parse_json5(path.read_text(), path=path)


def require_accepted(paths: StatePaths, version: str) -> None:
    assert read_accepted(version).refusals(value_of(paths.config)) == ()


@pytest.mark.parametrize(("path", "value"), OURS)
def test_what_openclaw_refuses_is_kept_beside_its_file(
    config: Config, paths: StatePaths, version: str, path: str, value: Any
) -> None:
    """Such a setting counts at once, in a file of ours, and OpenClaw's text stays as it is."""
    change = config.set(path, value)

    assert change is not None
    assert [each.file for each in change.files] == [str(overlay(paths))]
    assert config.get(path) == value
    assert opened(paths).get(path) == value
    assert paths.config.read_text() == TEXT
    require_accepted(paths, version)


def test_what_openclaw_knows_is_set_in_its_file(config: Config, paths: StatePaths) -> None:
    """All else is written where it is read by everybody, comments and all."""
    config.set("gateway.port", 2)
    config.set("channels.telegram.enabled", True)

    assert "// where" in paths.config.read_text()
    assert config.get("gateway.port") == 2
    assert not overlay(paths).exists()


@pytest.mark.parametrize(
    ("path", "version", "name"),
    [
        ("agents.defaults.memorySearch.enabled", "2026.2.26", "openclaw.json"),
        ("agents.defaults.memorySearch.enabled", "2026.9.6", "clawstate.json"),
        ("memory.search.enabled", "2026.2.26", "clawstate.json"),
        ("memory.search.enabled", "2026.9.6", "openclaw.json"),
        ("session.idleMinutes", "2026.2.26", "openclaw.json"),
        ("session.idleMinutes", "2026.9.6", "clawstate.json"),
    ],
)
def test_the_release_of_the_owner_decides(
    tmp_path: Path, version: str, path: str, name: str
) -> None:
    """A key that one release knows and another refuses is written where that release bears it."""
    paths = beside(tmp_path / "owned", version)
    value = 5 if path.endswith("Minutes") else True

    change = opened(paths).set(path, value)

    assert change is not None
    assert Path(change.file).name == name
    require_accepted(paths, version)


def test_an_object_is_shared_out(config: Config, paths: StatePaths, version: str) -> None:
    """Of an object each part goes where it belongs, and both are one change and one undo."""
    profile = {"provider": "openai", "mode": "api_key"}
    wanted = {"order": ["openai:a"], "profiles": {"openai:a": profile}}

    change = config.set("auth", wanted)

    assert change is not None
    assert {Path(each.file).name for each in change.files} == {"openclaw.json", "clawstate.json"}
    assert config.require("auth") == wanted
    assert value_of(overlay(paths)) == {"auth": {"order": ["openai:a"]}}
    require_accepted(paths, version)
    config.undo()
    assert paths.config.read_text() == TEXT
    assert config.get("auth.order") is None


def test_the_accepted_form_takes_the_place_of_the_other(
    config: Config, paths: StatePaths, version: str
) -> None:
    """What was kept aside does not hide what is set in OpenClaw's file afterwards."""
    config.set("auth.order", ["openai:a"])
    config.set("auth.order", {"openai": ["openai:a"]})

    assert config.get("auth.order") == {"openai": ["openai:a"]}
    assert value_of(paths.config)["auth"]["order"] == {"openai": ["openai:a"]}
    require_accepted(paths, version)


def test_unset_finds_the_file(config: Config, paths: StatePaths) -> None:
    """A setting is removed from whichever file holds it, and from both where both do."""
    config.set("state.store", "sqlite")
    config.set("auth.order", {"openai": ["openai:a"]})
    config.set("auth.order", ["openai:a"])

    config.unset("state.store")
    config.unset("auth.order")

    assert config.get("state.store") == "file"  # the default
    assert config.get("auth.order") is None
    assert "order" not in paths.config.read_text()
    with pytest.raises(NotFoundError):
        config.unset("state.store")


def test_openclaw_may_rewrite_its_file(config: Config, paths: StatePaths) -> None:
    """Whatever OpenClaw's repair makes of its own file, our settings are still there."""
    config.set("state.store", "sqlite")

    write_atomic(paths.config, b'{"gateway": {"port": 7}}')

    assert (config.get("state.store"), config.get("gateway.port")) == ("sqlite", 7)


def test_both_files_have_one_history(config: Config, paths: StatePaths) -> None:
    """Changes of either are numbered together, shown, and taken back from the last one on."""
    config.set("state.store", "sqlite")
    config.set("gateway.port", 2)
    config.set("state.store", "file")

    assert [each.paths for each in config.history()] == [
        ("state.store",),
        ("gateway.port",),
        ("state.store",),
    ]
    assert '"store": "file"' in config.diff()
    config.undo()
    config.undo()
    assert config.get("gateway.port") == 1
    assert config.get("state.store") == "sqlite"
    assert (paths.root / "clawstate.json.bak").exists()


def test_comments_of_the_overlay_stay(config: Config, paths: StatePaths) -> None:
    """The overlay is a text of people as well: JSON5, changed key by key."""
    text = "{\n  // why\n  state: {store: 'file'}, // engine\n}\n"
    overlay(paths).write_text(text)

    config.set("state.store", "sqlite")

    assert overlay(paths).read_text() == text.replace("'file'", "'sqlite'")


def test_the_overlay_includes_and_refers(config: Config, paths: StatePaths) -> None:
    """`$include` and `${NAME}` hold in the overlay; a place in either is told with its file."""
    (paths.root / "more.json5").write_text("{limit: 'x'}")
    overlay(paths).write_text("{\n pairing: {$include: './more.json5'},\n state: {store: '${S}'}}")

    loaded = load(paths.config, paths=paths, env={"S": "sqlite"}, cwd=paths.root)
    issues = config.issues()

    assert loaded.value["state"]["store"] == "sqlite"
    told = {(each.path, each.file and each.file.name, each.line) for each in issues}
    assert (("pairing", "limit"), "more.json5", 1) in told
    assert (("state", "store"), "clawstate.json", 3) in told


def test_a_secret_makes_the_overlay_private(config: Config, paths: StatePaths) -> None:
    """A secret in the clear narrows the file that holds it, and only that."""
    paths.config.chmod(0o644)

    config.set("not.apiKey", CANARY)

    assert stat.S_IMODE(overlay(paths).stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.config.stat().st_mode) == 0o644
    assert CANARY not in config.diff()


def test_a_broken_overlay_leaves_the_last_good_settings(config: Config, paths: StatePaths) -> None:
    """As with the configuration itself: what was read stays in force, a new reader is told."""
    config.set("state.store", "sqlite")
    write_atomic(overlay(paths), b"{state: {")

    with pytest.warns(CorruptWarning, match=r"clawstate\.json"):
        assert config.get("state.store") == "sqlite"
    with pytest.raises(CorruptError, match=r"clawstate\.json"):
        opened(paths).get("gateway.port")
    opened(paths).undo(force=True)
    assert opened(paths).get("gateway.port") == 1


def test_changes_of_the_overlay_are_noticed(config: Config, paths: StatePaths) -> None:
    """Somebody else's change of the overlay is one of the configuration; ours is not."""
    heard: list[Any] = []
    config.on_change("state.store", lambda old, new: heard.append((old, new)))
    config.set("state.store", "sqlite")
    assert not config.changed()

    write_atomic(overlay(paths), b"{state: {store: 'file'}}")

    assert config.changed()
    assert not config.changed()
    assert heard == [("file", "sqlite"), ("sqlite", "file")]


LEGACY = """// the operator's
{
  gateway: {port: 1, host: 'localhost'}, // where
  state: {
    // rows are faster
    store: 'sqlite', /* or file */
  }, // ours
  auth: {order: ['openai:a']},
}
"""


def test_settings_from_before_are_moved_apart(
    config: Config, paths: StatePaths, version: str
) -> None:
    """A directory that became OpenClaw's later is read as it is, and put right in one change."""
    paths.config.write_text(LEGACY)
    before = config.require("state"), config.get("gateway.host"), config.get("auth.order")
    assert set(config.misplaced()) == {"state", "gateway.host", "auth.order"}

    change = config.set_apart()

    assert change is not None
    assert len(config.history()) == 1
    assert config.misplaced() == ()
    require_accepted(paths, version)
    assert (config.require("state"), config.get("gateway.host"), config.get("auth.order")) == before
    moved = overlay(paths).read_text()
    assert all(comment in moved for comment in ("// rows are faster", "/* or file */", "// ours"))
    assert "// where" in paths.config.read_text()
    assert config.set_apart() is None
    config.undo()
    assert paths.config.read_text() == LEGACY


def test_a_text_with_our_settings_is_parted(
    config: Config, paths: StatePaths, version: str
) -> None:
    """What is typed into OpenClaw's file and would break it goes to ours when it is saved."""
    config.replace(LEGACY)

    require_accepted(paths, version)
    assert config.get("state.store") == "sqlite"
    assert "rows are faster" in overlay(paths).read_text()


def test_what_cannot_be_parted_is_refused(config: Config, paths: StatePaths, version: str) -> None:
    """Part of a list cannot lie elsewhere: a text or value that would need it is an error."""
    text = "{bindings: [{agentId: 'a', match: {channel: 'telegram'}, colour: 1}]}"

    with pytest.raises(ConfigError, match=version):
        config.replace(text)

    assert paths.config.read_text() == TEXT
    config.replace(text, force=True)
    assert paths.config.read_text() == text


def test_elsewhere_everything_is_in_one_file(tmp_path: Path) -> None:
    """In a directory of nobody's all settings are in openclaw.json, as specified."""
    (tmp_path / "state").mkdir()
    paths = StatePaths(tmp_path / "state")
    config = opened(paths)

    for path, value in OURS:
        config.set(path, value)

    assert not overlay(paths).exists()
    assert all(config.get(path) == value for path, value in OURS)


def test_a_directory_that_is_nobodys_again_takes_its_settings_home(tmp_path: Path) -> None:
    """An overlay that lies there is read, and what is set goes to openclaw.json."""
    (tmp_path / "state").mkdir()
    paths = StatePaths(tmp_path / "state")
    overlay(paths).write_text("{state: {store: 'sqlite'}, pairing: {limit: 9}}")
    config = opened(paths)
    assert config.get("state.store") == "sqlite"

    config.set("state.store", "file")

    assert config.get("state.store") == "file"
    assert value_of(paths.config) == {"state": {"store": "file"}}
    assert config.get("pairing.limit") == 9


def test_the_directory_of_the_file_decides_too(tmp_path: Path) -> None:
    """A configuration of an OpenClaw is spared also when it is used with a state elsewhere."""
    theirs = beside(tmp_path / "theirs", "2026.9.6")
    env = {"HOME": "/h", "OPENCLAW_CONFIG_PATH": str(theirs.config)}
    config = Config(StatePaths(tmp_path / "mine"), env=env, cwd=tmp_path)

    config.set("state.store", "sqlite")

    assert theirs.config.read_text() == TEXT
    assert config.get("state.store") == "sqlite"


def test_the_trail_is_no_file_of_openclaws(config: Config, paths: StatePaths) -> None:
    """Beside an OpenClaw the audit trail has a name of its own: it takes its own one away."""
    config.set("gateway.port", 2)

    names = [each.name for each in paths.logs_dir.iterdir()]

    assert names == ["clawstate-config-audit.jsonl"]
    line = json.loads((paths.logs_dir / names[0]).read_text())
    assert line["configPath"] == str(paths.config)


def test_history_is_that_of_the_configuration(config: Config, paths: StatePaths) -> None:
    """The overlay has no history of its own: one number names one change."""
    config.set("state.store", "sqlite")

    assert len(History(paths.config).changes()) == 1
    assert History(overlay(paths)).changes() == ()


def test_an_object_in_both_files_goes_from_both(config: Config, paths: StatePaths) -> None:
    """Unsetting what has parts in both removes all of it, in one change."""
    config.set("gateway.host", "localhost")

    change = config.unset("gateway")

    assert change is not None
    assert len(change.files) == 2
    assert "gateway" not in paths.config.read_text() + overlay(paths).read_text()
    config.undo()
    assert config.get("gateway.port") == 1
    assert config.get("gateway.host") == "localhost"


def test_part_of_a_list_is_not_hidden_aside(
    config: Config, paths: StatePaths, version: str
) -> None:
    """A list with something in it that OpenClaw refuses is no list of ours: it is an error."""
    binding = {"agentId": "a", "match": {"channel": "telegram"}}
    config.set("bindings", [binding])
    before = paths.config.read_text()

    for path, value in (("bindings", [{**binding, "colour": 1}]), ("bindings[0].colour", 1)):
        with pytest.raises(ConfigError, match=version):
            config.set(path, value)

    assert paths.config.read_text() == before
    assert not overlay(paths).exists()


def test_an_undo_leaves_openclaws_old_settings_to_it(tmp_path: Path) -> None:
    """What a release has dropped is put back where its own doctor looks for it; ours are not."""
    paths = beside(tmp_path / "owned", "2026.9.6")
    text = "{agents: {list: [{id: 'a'}]}, state: {store: 'file'}}"
    paths.config.write_text(text)
    config = opened(paths)
    config.replace("{}", force=True)

    config.undo()

    assert value_of(paths.config) == {"agents": {"list": [{"id": "a"}]}}
    assert value_of(overlay(paths)) == {"state": {"store": "file"}}
