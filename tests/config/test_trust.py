from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import clawstate
from clawstate.config.service import Config
from clawstate.doctor import examine
from clawstate.doctor.audit.examination import audit
from clawstate.errors import InvalidError
from clawstate.files.paths import StatePaths

FILES = ["openclaw.json", "more.json5", ".env", "clawstate.json", "agents/ada/agent/config.json"]
FOLDERS = [".", "agents/ada/agent"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a state directory whose files all decide something."""
    root = tmp_path / "state"
    (root / "agents/ada/agent").mkdir(parents=True)
    (root / "openclaw.json").write_text('{$include: "more.json5"}')
    for name in ("more.json5", "clawstate.json", "agents/ada/agent/config.json"):
        (root / name).write_text("{}")
    (root / ".env").write_text("A=1\n")
    for each in [root, *root.rglob("*")]:
        each.chmod(0o700 if each.is_dir() else 0o600)
    return root


def found(root: Path, *, fix: bool = False) -> list[tuple[str, str]]:
    """Return what the doctor says of files that others may write."""
    with clawstate.open(root) as state:
        findings = examine(state, fix=fix)
    return [(each.path, each.severity) for each in findings if each.code == "open-to-others"]


def test_closed_settings_are_no_finding(root: Path) -> None:
    """Files that only their owner may write are fine, and read by others too."""
    (root / "openclaw.json").chmod(0o644)

    assert found(root) == []


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o662])
@pytest.mark.parametrize("name", FILES)
def test_file_that_others_may_write(root: Path, name: str, mode: int) -> None:
    """Each file that decides is a finding of high severity, narrowed on request."""
    path = root / name
    path.chmod(mode)

    assert found(root) == [(str(path), "error")]
    with clawstate.open(root) as state:
        told = [each for each in audit(state).exposures if each.file == path]
    assert ("WIDE_MODE", "error") in {(each.code, each.severity) for each in told}

    found(root, fix=True)
    assert found(root) == []
    assert not path.stat().st_mode & 0o022


@pytest.mark.parametrize("mode", [0o777, 0o770])
@pytest.mark.parametrize("name", FOLDERS)
def test_directory_that_others_may_write(root: Path, name: str, mode: int) -> None:
    """A directory in which others may replace such a file is one as well."""
    path = root / name
    path.chmod(mode)

    assert found(root) == [(str(path), "error")]
    found(root, fix=True)
    assert not path.stat().st_mode & 0o022


def test_target_of_a_link_counts(root: Path, tmp_path: Path) -> None:
    """A configuration that is a link is as open as what it leads to."""
    target = tmp_path / "dotfiles"
    target.mkdir(mode=0o700)
    (root / "openclaw.json").rename(target / "claw.json")
    (root / "more.json5").rename(target / "more.json5")
    (root / "openclaw.json").symlink_to(target / "claw.json")
    (target / "claw.json").write_text("{}")
    (target / "claw.json").chmod(0o666)

    assert found(root) == [(str(target / "claw.json"), "error")]


def test_sticky_directory_protects_what_is_in_it(root: Path) -> None:
    """Where nobody can replace a file of another user, the directory is no finding."""
    root.chmod(0o1777)

    assert found(root) == []


@pytest.fixture
def config(root: Path) -> Config:
    """Return a configuration with a secret that a program knows."""
    program = root / "vault"
    program.write_text('#!/bin/sh\necho \'{"protocolVersion":1,"values":{"a":"s3cret"}}\'\n')
    program.chmod(0o700)
    (root / "openclaw.json").write_text(
        json.dumps(
            {
                "$include": "more.json5",
                "secrets": {"providers": {"v": {"source": "exec", "command": str(program)}}},
                "web": {"token": {"source": "exec", "provider": "v", "id": "a"}},
            }
        )
    )
    return Config(StatePaths(root), env={"HOME": "/h"}, cwd=root.parent)


@pytest.mark.parametrize("name", ["openclaw.json", "more.json5", "."])
def test_no_program_is_named_by_others(config: Config, root: Path, name: str) -> None:
    """No program is started from settings that others may write; the error says what to do."""
    assert config.secret("web.token") == "s3cret"
    before = (root / name).stat().st_mode
    (root / name).chmod(0o777)

    with pytest.raises(InvalidError) as caught:
        config.secret("web.token")

    assert "chmod go-w" in caught.value.hint
    assert "s3cret" not in str(caught.value)
    (root / name).chmod(before)
    assert config.secret("web.token") == "s3cret"


def test_variables_count_where_they_name_the_program(root: Path) -> None:
    """A `.env` that others may write only matters to a provider that is made of variables."""
    (root / ".env").write_text(f"WHERE={root}\n")
    (root / ".env").chmod(0o666)
    provider = {"source": "exec", "command": "${WHERE}/vault"}
    reference = {"source": "exec", "provider": "v", "id": "a"}
    text = json.dumps({"secrets": {"providers": {"v": provider}}, "web": {"token": reference}})
    (root / "openclaw.json").write_text(text)
    config = Config(StatePaths(root), env={"HOME": "/h"}, cwd=root.parent)

    with pytest.raises(InvalidError, match=r"\.env: others may write it"):
        config.secret("web.token")


def test_other_secrets_are_read_all_the_same(root: Path) -> None:
    """What starts no program is resolved: the finding is enough."""
    os.chmod(root / "openclaw.json", 0o666)  # noqa: PTH101 - as a shell does it
    (root / "openclaw.json").write_text('{web: {token: "${A}"}}')

    assert Config(StatePaths(root), env={}, cwd=root).secret("web.token") == "1"
