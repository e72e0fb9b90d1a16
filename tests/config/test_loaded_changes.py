from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from config_files import read, wait_until_settled, write_own

from clawstate.files.paths import StatePaths


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    (tmp_path / "state").mkdir()
    (tmp_path / "cwd").mkdir()
    return StatePaths(tmp_path / "state")


@pytest.mark.parametrize("name", ["openclaw.json", "inc", ".env", "own", "own inc", "cwd"])
def test_change_of_any_file_is_noticed(paths: StatePaths, name: str) -> None:
    """Whichever file was read, a change of it makes what was loaded outdated."""
    own = write_own(paths, "ada", "{y: {$include: 'inc'}}")
    (own.parent / "inc").write_text("1")
    (paths.root / "inc").write_text("1")
    (paths.root / ".env").write_text("A=1")
    places = {
        "own": own,
        "own inc": own.parent / "inc",
        "cwd": paths.root.parent / "cwd/.env",
        "openclaw.json": paths.config,
    }
    wait_until_settled(read(paths, "{x: {$include: 'inc'}}", agent="ada"))
    loaded = read(paths, agent="ada")
    before = loaded.is_current()

    path = places.get(name, paths.root / name)
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")

    assert before
    assert not loaded.is_current()


@pytest.mark.parametrize("gone", ["openclaw.json", ".env"])
def test_vanished_and_new_files_are_noticed(paths: StatePaths, gone: str) -> None:
    """A file that goes, and one that comes where none was, are changes as well."""
    missing = read(paths)
    (paths.root / ".env").write_text("A=1")
    wait_until_settled(read(paths, "{}"))
    present = read(paths)
    before = present.is_current()

    (paths.root / gone).unlink()

    assert before
    assert not present.is_current()
    assert not missing.is_current()


def test_file_that_may_have_changed_without_a_trace_is_not_trusted(paths: StatePaths) -> None:
    """Where the clock of files could not tell two writes apart, the file is read again."""
    paths.config.write_text("{}")
    wait_until_settled(read(paths))
    file = read(paths).files[0]

    assert file.is_current()
    assert not replace(file, settled=False).is_current()
