from __future__ import annotations

from pathlib import Path

import pytest

from clawstate.config.loading import find_config
from clawstate.files.paths import StatePaths, resolve_state_dir


def found(env: dict[str, str]) -> Path:
    return find_config(StatePaths(resolve_state_dir(env)), env)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"OPENCLAW_CONFIG_PATH": "/x/c.json5"}, "/x/c.json5"),
        ({"OPENCLAW_CONFIG_PATH": " ~/c.json "}, "/h/c.json"),
        ({"OPENCLAW_CONFIG_PATH": " ", "CLAWDBOT_CONFIG_PATH": "/old.json"}, "/old.json"),
        ({"OPENCLAW_CONFIG_PATH": "/new", "CLAWDBOT_CONFIG_PATH": "/old"}, "/new"),
        ({"OPENCLAW_CONFIG_PATH": "/c", "OPENCLAW_STATE_DIR": "/s"}, "/c"),
        ({"OPENCLAW_STATE_DIR": "/s"}, "/s/openclaw.json"),
    ],
)
def test_environment_names_the_file(env: dict[str, str], expected: str) -> None:
    """A path from the environment wins outright, whether it exists or not."""
    assert found({"HOME": "/h", **env}) == Path(expected)


def test_older_name_is_found_in_the_state(tmp_path: Path) -> None:
    """A configuration under a name of an older release is used, unless the new name exists."""
    env = {"HOME": str(tmp_path), "OPENCLAW_STATE_DIR": str(tmp_path / "s")}
    (tmp_path / "s").mkdir()
    for name in ("moltbot.json", "moldbot.json", "clawdbot.json", "openclaw.json"):
        (tmp_path / "s" / name).touch()

        assert found(env) == tmp_path / "s" / name


def test_chosen_state_is_not_given_the_configuration_of_the_home(tmp_path: Path) -> None:
    """A state directory that somebody chose never falls back to the one in the home."""
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / ".openclaw/openclaw.json").touch()
    env = {"HOME": str(tmp_path)}

    chosen = StatePaths(tmp_path / "other")

    assert found({**env, "OPENCLAW_STATE_DIR": str(chosen.root)}) == chosen.config
    assert find_config(chosen, env) == chosen.config


def test_home_without_a_new_configuration_uses_an_older_one(tmp_path: Path) -> None:
    """Where nobody chose a directory, those of older releases are looked through as well."""
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / ".moltbot").mkdir()
    (tmp_path / ".moltbot/clawdbot.json").touch()

    assert found({"HOME": str(tmp_path)}) == tmp_path / ".moltbot/clawdbot.json"


def test_link_to_nothing_counts_as_the_configuration(tmp_path: Path) -> None:
    """A dangling link is not passed over for an older file, so that reading it can fail."""
    (tmp_path / "openclaw.json").symlink_to(tmp_path / "unmounted/openclaw.json")
    (tmp_path / "clawdbot.json").touch()

    assert find_config(StatePaths(tmp_path), {"HOME": "/h"}) == tmp_path / "openclaw.json"
