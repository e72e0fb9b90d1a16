"""What the doctor says of the modes of a directory that an OpenClaw made."""

from __future__ import annotations

from pathlib import Path

import pytest

import clawstate
from clawstate.doctor import examine
from clawstate.errors import ConfigError
from clawstate.openclaw.owner import Era


@pytest.fixture
def theirs(tmp_path) -> Path:
    """Return a directory of the file era with the modes that OpenClaw gives: its root is shut."""
    root = tmp_path / "state"
    for folder in ("identity", "agents/main/sessions", "cron"):
        (root / folder).mkdir(parents=True, mode=0o755)
    root.chmod(0o700)
    (root / "agents/main/sessions/sessions.json").write_text("{}")
    (root / "agents/main/sessions/sessions.json").chmod(0o600)
    return root


def wide(root: Path) -> dict[str, str]:
    with clawstate.open(root) as state:
        found = [each for each in examine(state, deep=False) if each.code == "wide-mode"]
    assert len({each.path for each in found}) == len(found)
    return {Path(each.path).relative_to(root).as_posix(): each.severity for each in found}


def test_directories_that_nobody_else_gets_to_are_no_warning(theirs):
    """OpenClaw makes directories that others could list, in one that is shut to them."""
    assert wide(theirs) == {"identity": "info", "agents/main/sessions": "info"}


def test_they_are_one_when_the_state_directory_is_open(theirs):
    """What others can reach is a warning, each place once."""
    theirs.chmod(0o755)

    assert wide(theirs)["identity"] == "warning"
    assert wide(theirs)["agents/main/sessions"] == "warning"


@pytest.mark.parametrize("name", ["sessions.json", "11111111-1111-4111-8111-111111111111.jsonl"])
def test_files_of_sessions_that_others_may_read_are_found_with_each_agent(theirs, name):
    """The sessions of agents are looked at as those of the state itself are."""
    path = theirs / "agents/main/sessions" / name
    path.touch()
    path.chmod(0o644)

    assert wide(theirs)[f"agents/main/sessions/{name}"] == "warning"


def test_where_sessions_lie_is_told_as_it_is(theirs, tmp_path):
    """Without a setting `session.store` is the place that is used, whoever owns the directory."""
    (tmp_path / "new/state").mkdir(parents=True)
    (tmp_path / "new/state/openclaw.sqlite").touch()

    with clawstate.open(theirs) as shared, clawstate.open(tmp_path / "new") as rows:
        assert shared.owner.era is Era.FILES
        told = shared.config.get("session.store")
        assert told == str(theirs / "agents/{agentId}/sessions/sessions.json")
        assert rows.config.get("session.store") == "sqlite"


def test_files_that_are_asked_for_beside_databases_are_refused_and_told(tmp_path):
    """`state.store: file` is never passed over in silence where records lie in rows for good."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state/openclaw.sqlite").touch()

    with clawstate.open(tmp_path) as state:
        with pytest.raises(ConfigError, match="does not count"):
            state.config.set("state.store", "file")
        (tmp_path / "clawstate.json").write_text('{"state": {"store": "file"}}')
        codes = [each.code for each in examine(state, deep=False)]

    assert codes.count("passed-over") == 1
