from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.atomic import (
    create_private_file,
    make_private_dir,
    write_atomic,
)
from clawstate.files.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="needs root")


@pytest.fixture
def open_room() -> Iterator[Path]:
    """Give a directory that every user may enter and write."""
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        room.chmod(0o777)
        yield room


@contextmanager
def nobody() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
def test_database_of_another_user_is_refused(open_room: Path) -> None:
    """A file that somebody else put there first is not trusted, unless root asks."""
    planted = open_room / "memory.db"
    planted.write_bytes(b"")
    own = open_room / "own.db"
    with nobody():
        create_private_file(own)

        with pytest.raises(InvalidError, match="another user"):
            create_private_file(planted)

    create_private_file(own)


@needs_root
def test_missing_permission_is_explained(open_room: Path) -> None:
    """Without permission the old content stays, and the error says what to check."""
    room = open_room / "private"
    path = room / "a.json"
    write_atomic(path, b"old", mode=0o644)
    room.chmod(0o755)

    with nobody(), pytest.raises(UnavailableError) as caught:
        write_atomic(path, b"new")

    assert str(caught.value) == (
        f"{path}: was not written and is unchanged: permission denied; "
        "check owner and mode of the file and its directory"
    )
    assert isinstance(caught.value.__cause__, PermissionError)
    assert path.read_bytes() == b"old"


def test_too_large_file_leaves_the_old_one(tmp_path: Path) -> None:
    """A size limit that is hit in mid-write leaves the old file and no temporary."""
    path = tmp_path / "a.json"
    write_atomic(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    try:
        with pytest.raises(UnavailableError, match="ulimit -f"):
            write_atomic(path, b"n" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 64 kB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if not ROOT:
        pytest.skip("mounting needs root")
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not possible here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk_leaves_the_old_file(tiny_disk: Path) -> None:
    """On a full disk the old content stays, no temporary is left, and freeing space suffices."""
    path = tiny_disk / "a.json"
    write_atomic(path, b"old")
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(40_000))

    with pytest.raises(UnavailableError, match="the disk is full; free some space"):
        write_atomic(path, bytes(50_000))

    assert path.read_bytes() == b"old"
    assert sorted(entry.name for entry in tiny_disk.iterdir()) == ["a.json", "ballast"]
    ballast.unlink()
    write_atomic(path, bytes(50_000))
    assert read_regular(path, limit=60_000) == bytes(50_000)


def test_read_only_disk_leaves_the_old_file(tiny_disk: Path) -> None:
    """A disk that became read-only is named as such, for files, directories and databases."""
    path = tiny_disk / "a.json"
    write_atomic(path, b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)

    for attempt in (
        lambda: write_atomic(path, b"new"),
        lambda: make_private_dir(tiny_disk / "x"),
        lambda: create_private_file(tiny_disk / "m.db"),
    ):
        with pytest.raises(UnavailableError, match="read-only"):
            attempt()

    assert path.read_bytes() == b"old"


@needs_root
def test_immutable_directory_leaves_the_old_file(tmp_path: Path) -> None:
    """A directory that even root may not change is named with what to check."""
    room = tmp_path / "room"
    path = room / "a.json"
    write_atomic(path, b"old")
    chattr = shutil.which("chattr")
    if chattr is None or subprocess.run([chattr, "+i", room], check=False).returncode:
        pytest.skip("chattr does not work here")

    try:
        with pytest.raises(UnavailableError, match=r"unchanged: .*; check owner"):
            write_atomic(path, b"new")
    finally:
        subprocess.run([chattr, "-i", room], check=True)

    assert path.read_bytes() == b"old"
    assert list(room.iterdir()) == [path]
