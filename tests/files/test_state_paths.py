from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clawstate.errors import InvalidError
from clawstate.files.paths import (
    StatePaths,
    effective_home,
    expand_path,
    normalise_account_id,
    normalise_agent_id,
    resolve_state_dir,
)

ANY_TEXT = st.text(st.characters(), max_size=100)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def test_fresh_home_gets_the_new_directory(home: Path) -> None:
    """Without any directory the state lies in .openclaw, which is not created."""
    found = resolve_state_dir({"HOME": str(home)})

    assert found == home / ".openclaw"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("old", [".clawdbot", ".moldbot", ".moltbot"])
def test_directory_of_an_older_release_is_found(home: Path, old: str) -> None:
    """A state of an older release is used where it is, and not moved."""
    (home / old).mkdir()

    assert resolve_state_dir({"HOME": str(home)}) == home / old
    assert (home / old).is_dir()


def test_new_directory_wins_over_an_old_one(home: Path) -> None:
    """An existing .openclaw is used even beside the directory of an older release."""
    (home / ".clawdbot").mkdir()
    (home / ".openclaw").mkdir()

    assert resolve_state_dir({"HOME": str(home)}) == home / ".openclaw"


def test_first_of_several_old_directories_wins(home: Path) -> None:
    """The order of the older names decides between them."""
    (home / ".moltbot").mkdir()
    (home / ".moldbot").mkdir()

    assert resolve_state_dir({"HOME": str(home)}) == home / ".moldbot"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"OPENCLAW_STATE_DIR": "/x"}, "/x"),
        ({"OPENCLAW_STATE_DIR": "  /x/../y \n"}, "/y"),
        ({"OPENCLAW_STATE_DIR": "/x", "CLAWDBOT_STATE_DIR": "/z"}, "/x"),
        ({"OPENCLAW_STATE_DIR": "  ", "CLAWDBOT_STATE_DIR": "/z"}, "/z"),
        ({"OPENCLAW_STATE_DIR": "~"}, "/h"),
        ({"OPENCLAW_STATE_DIR": "~/s"}, "/h/s"),
        ({"OPENCLAW_STATE_DIR": "~/s", "OPENCLAW_HOME": "/o"}, "/o/s"),
        ({"OPENCLAW_STATE_DIR": "~/s", "OPENCLAW_HOME": "~/o"}, "/h/o/s"),
        ({"OPENCLAW_HOME": "/o"}, "/o/.openclaw"),
        ({"HOME": " ", "USERPROFILE": "/u"}, "/u/.openclaw"),
    ],
)
def test_environment_names_the_directory(env: dict[str, str], expected: str) -> None:
    """The variables are trimmed, expanded and ranked as OpenClaw does."""
    assert resolve_state_dir({"HOME": "/h", **env}) == Path(expected)


def test_relative_directory_becomes_absolute(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path counts from the working directory, and so does `~name`."""
    monkeypatch.chdir(home)

    assert resolve_state_dir({"OPENCLAW_STATE_DIR": "s"}) == home / "s"
    assert resolve_state_dir({"OPENCLAW_STATE_DIR": "~ada"}) == home / "~ada"


def test_process_environment_is_the_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the environment of the process decides."""
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(home / "mine"))

    assert resolve_state_dir() == home / "mine"


def test_empty_environment_falls_back_to_the_system(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment without a home uses that of the user of the process."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("OPENCLAW_HOME", raising=False)

    assert effective_home({}) == home
    assert effective_home() == home


def test_user_without_a_home_works_in_the_current_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system knows no home, the working directory takes its place."""

    def unknown() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.chdir(home)

    assert effective_home({}) == home


def test_home_that_cannot_be_examined_has_no_old_directory(tmp_path: Path) -> None:
    """An unusable home still gives the name of the new directory."""
    endless = tmp_path / ("x" * 300)

    assert resolve_state_dir({"HOME": str(endless)}) == endless / ".openclaw"


def test_tilde_stands_for_the_home_alone() -> None:
    """Only a bare tilde, or one before a separator, is expanded."""
    assert expand_path("~/a", env={"HOME": "/h"}) == Path("/h/a")
    assert expand_path("/a/~/b", env={"HOME": "/h"}) == Path("/a/~/b")


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("main", "main"),
        ("", "main"),
        ("  ", "main"),
        ("Ops_1", "ops_1"),
        ("_x", "_x"),
        ("my agent!", "my-agent"),
        ("../../etc", "etc"),
        ("...", "main"),
        ("-a-", "a"),
        ("a-", "a-"),
        ("\u212a-", "k"),
        ("日本", "main"),
        ("a" * 80, "a" * 64),
    ],
)
def test_agent_ids_are_folded_as_openclaw_does(given_id: str, expected: str) -> None:
    """Both programs find one agent in one directory."""
    assert normalise_agent_id(given_id) == expected


def test_account_ids_fall_back_to_default() -> None:
    """An empty account id is the default account."""
    assert normalise_account_id(" ") == "default"
    assert normalise_account_id("Work Phone") == "work-phone"


@pytest.mark.parametrize("reserved", ["__proto__", "prototype", " Constructor "])
def test_reserved_account_ids_are_refused(reserved: str) -> None:
    """A name that means something to every object is no account."""
    with pytest.raises(InvalidError, match="choose another name"):
        normalise_account_id(reserved)


def test_paths_are_those_of_the_specification() -> None:
    """Each file of the specification has its place."""
    paths = StatePaths(Path("/s"))

    found = {
        paths.config: "openclaw.json",
        paths.agent_config("Ada"): "agents/ada/agent/config.json",
        paths.auth_profiles(): "agents/main/agent/auth-profiles.json",
        paths.auth_cache(): "agents/main/agent/auth.json",
        paths.legacy_oauth: "credentials/oauth.json",
        paths.sessions_index: "sessions/sessions.json",
        paths.session_profile("main"): "sessions/profile/main.json",
        paths.pairing: "state/pairing.json",
        paths.devices: "state/devices.json",
        paths.device_auth: "state/identity/device-auth.json",
        paths.memory_db: "memory/memory.db",
        paths.lancedb_dir: "memory/lancedb",
        paths.vectors(3): "memory/vectors/3",
        paths.dedupe("telegram"): "dedupe/telegram.json",
        paths.matrix_account(): "matrix/accounts/default",
        paths.logs_dir: "logs",
        paths.locks_dir: "locks",
    }

    assert {str(path) for path in found} == {f"/s/{name}" for name in found.values()}


@given(ANY_TEXT, st.integers())
@example("../../../x", -1)
@example("/etc/passwd", 0)
@example("\0", 0)
def test_no_path_leaves_the_state(text: str, scope: int) -> None:
    """No id, key or namespace leads out of the state directory."""
    paths = StatePaths(Path("/s"))

    reached = [
        paths.agent_config(text),
        paths.auth_profiles(text),
        paths.auth_cache(text),
        paths.session_profile(text),
        paths.dedupe(text),
        paths.vectors(scope),
    ]

    for path in reached:
        assert path.is_relative_to("/s")
        assert len(path.relative_to("/s").parts) >= 2
        assert not {".", ".."} & set(path.parts)
        assert "\0" not in str(path)


def test_paths_cannot_be_redirected() -> None:
    """The root of a state is fixed once it is chosen."""
    paths = StatePaths(Path("/s"))

    with pytest.raises(FrozenInstanceError):
        paths.root = Path("/t")  # type: ignore[misc]
