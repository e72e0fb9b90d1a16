"""The doctor tells where nothing can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import clawstate
from clawstate.doctor import examine
from clawstate.errors import UnavailableError

Mount = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a state with a configuration and a session, which nobody has open."""
    folder = tmp_path / "state"
    with clawstate.open(folder) as state:
        state.config.set("gateway.port", 18790)
        state.sessions.resolve("telegram:42")
    return folder


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Give what runs the command to mount things, and undoes it at the end."""
    with ExitStack() as undo:

        def call(*arguments: object) -> None:
            words = [str(each) for each in arguments]
            if subprocess.run(["mount", *words], check=False, capture_output=True).returncode:
                pytest.skip("this system does not let us mount")
            if "remount" not in ",".join(words):
                undo.callback(subprocess.run, ["umount", "-l", words[-1]], check=True)

        yield call


def codes(folder: Path) -> list[str]:
    with clawstate.open(folder) as state:
        return [each.code for each in examine(state) if each.severity == "error"]


def test_a_read_only_mount_is_found(folder: Path, mount: Mount) -> None:
    """A state on a read-only mount is a finding of its own, told once."""
    assert codes(folder) == []

    mount("--bind", folder, folder)
    mount("-o", "remount,ro,bind", folder)

    assert codes(folder) == ["read-only"]


def test_a_read_only_part_is_found(folder: Path, mount: Mount) -> None:
    """A single directory of a state that is mounted read-only is found."""
    part = folder / "sessions"
    mount("--bind", part, part)
    mount("-o", "remount,ro,bind", part)

    assert codes(folder)[0] == "read-only"


def test_a_mount_of_a_single_file_is_found(folder: Path, mount: Mount) -> None:
    """A file that is mounted by itself can never be replaced, which the doctor and writes say."""
    config = folder / "openclaw.json"
    before = config.read_bytes()
    mount("--bind", config, config)

    assert codes(folder) == ["file-mount"]
    with (
        clawstate.open(folder) as state,
        pytest.raises(UnavailableError, match="mounted by itself"),
    ):
        state.config.set("gateway.port", 18791)
    assert config.read_bytes() == before


def test_an_unchangeable_directory_is_found(folder: Path) -> None:
    """A directory that `chattr +i` protects is found, though its mode says nothing."""
    done = subprocess.run(["chattr", "+i", str(folder)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this file system keeps no attributes, or this user may not set them")
    try:
        assert codes(folder) == ["read-only"]
    finally:
        subprocess.run(["chattr", "-i", str(folder)], check=True)


def test_a_directory_of_somebody_else_is_found() -> None:
    """A directory that this user may not write is found."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "state"
        with clawstate.open(folder) as state:
            state.sessions.resolve("telegram:42")
        for each in (folder.parent, folder):
            each.chmod(0o755)

        os.seteuid(65534)
        try:
            found = codes(folder)
        finally:
            os.seteuid(0)

    assert "not-writable" in found


def test_a_full_disk_is_found(tmp_path: Path, mount: Mount) -> None:
    """A state on a disk with no space left is found."""
    room = tmp_path / "room"
    room.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", room)
    with clawstate.open(room / "state") as state:
        state.sessions.resolve("telegram:42")
    with (room / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))

    assert codes(room / "state") == ["disk-full"]


@pytest.mark.parametrize("name", ["openclaw.json", "sessions/sessions.json", "memory/memory.db"])
def test_a_file_that_may_not_change_is_found(folder: Path, name: str) -> None:
    """A single file that is marked unchangeable is a finding of its own."""
    with clawstate.open(folder) as state:
        state.memory.add("Ada prefers green tea")
    if subprocess.run(["chattr", "+i", folder / name], check=False, capture_output=True).returncode:
        pytest.skip("this file system does not know the attribute")
    try:
        assert codes(folder) == ["read-only"]
    finally:
        subprocess.run(["chattr", "-i", folder / name], check=True)

    assert codes(folder) == []


@pytest.mark.parametrize("name", ["agents", "sessions", "memory", "dedupe", "state"])
def test_a_link_to_nothing_in_a_state_is_found(folder: Path, name: str, tmp_path: Path) -> None:
    """What lies behind a link to a disk that is not there is no empty state."""
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).symlink_to(tmp_path / "gone" / name)

    assert "dead-link" in codes(folder)
