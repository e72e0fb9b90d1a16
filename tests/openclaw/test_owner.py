"""Whose a state directory is."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawstate.openclaw.owner import Era, find_owner


def make(root: Path, *paths: str, text: str = "{}") -> Path:
    for each in paths:
        target = root / each
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def test_an_absent_directory_is_nobodys(tmp_path: Path) -> None:
    """A directory that does not exist yet is nobody's."""
    assert find_owner(tmp_path / "none").era is Era.NOBODY


def test_what_clawstate_keeps_makes_no_openclaw(tmp_path: Path) -> None:
    """A directory with nothing but what clawstate writes is nobody's."""
    ours = (
        *("openclaw.json", "sessions/sessions.json", "state/pairing.json", "memory/memory.db"),
        *("agents/main/agent/auth-profiles.json", "identity/device.json", "dedupe/a.json"),
    )

    assert not find_owner(make(tmp_path, *ours)).is_openclaw


@pytest.mark.parametrize(
    "path",
    ["agents/main/sessions/sessions.json", "identity/device-auth.json", "devices/paired.json"],
)
def test_files_of_openclaw_tell_the_file_era(tmp_path: Path, path: str) -> None:
    """A file that only OpenClaw writes makes the directory OpenClaw's, of the file era."""
    owner = find_owner(make(tmp_path, "openclaw.json", path))

    assert owner.era is Era.FILES
    assert path.startswith(owner.mark)


def test_a_configuration_that_openclaw_wrote_tells_the_file_era(tmp_path: Path) -> None:
    """The version that OpenClaw leaves in its configuration shows whose the directory is."""
    text = '{"meta": {"lastTouchedVersion": "2026.2.26"}}'

    assert find_owner(make(tmp_path, "openclaw.json", text=text)).era is Era.FILES


@pytest.mark.parametrize(
    "path", ["state/openclaw.sqlite", "agents/work/agent/openclaw-agent.sqlite"]
)
def test_a_database_tells_the_sqlite_era(tmp_path: Path, path: str) -> None:
    """A database of OpenClaw wins over files that are left from its file era."""
    owner = find_owner(make(tmp_path, path, "devices/paired.json"))

    assert (owner.era, owner.mark) == (Era.SQLITE, path)
