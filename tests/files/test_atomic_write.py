from __future__ import annotations

import os
import secrets
import socket
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawstate.errors import InvalidError, LimitError, NotFoundError, UnavailableError
from clawstate.files.atomic import (
    create_private_file,
    is_temporary,
    make_private_dir,
    write_atomic,
    write_json_file_atomically,
)
from clawstate.files.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = os.geteuid() == 0
UMASKS = [0o000, 0o022, 0o077]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def plant(kind: str, path: Path) -> None:
    """Put something at *path* that is not a file of ours."""
    other = path.with_name("other")
    other.write_bytes(b"precious")
    match kind:
        case "symlink":
            path.symlink_to(other)
        case "dangling symlink":
            path.symlink_to(path.with_name("nowhere"))
        case "hard link":
            path.hardlink_to(other)
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
        case "device":
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


ALIENS = ["symlink", "dangling symlink", "hard link", "directory", "pipe", "socket"]
ALIENS += ["device"] if ROOT else []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=4))
def test_last_write_is_what_is_read(tmp_path: Path, contents: list[bytes]) -> None:
    """A file holds what was written last, and nothing lies beside it."""
    path = tmp_path / "a.json"

    for content in contents:
        write_atomic(path, content)

    assert read_regular(path, limit=5000) == contents[-1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("mask", UMASKS)
def test_everything_new_is_private(tmp_path: Path, mask: int) -> None:
    """Files are 0600 and every created directory is 0700, under any umask."""
    path = tmp_path / "x" / "y" / "a.json"

    with umask(mask):
        write_atomic(path, b"1")
        create_private_file(path.with_name("m.db"))

    assert [mode_of(path), mode_of(path.with_name("m.db"))] == [0o600, 0o600]
    assert [mode_of(path.parent), mode_of(path.parent.parent)] == [0o700, 0o700]


@pytest.mark.parametrize("mask", UMASKS)
def test_wider_mode_is_given_when_asked_for(tmp_path: Path, mask: int) -> None:
    """A public file is public even if the umask would hide it."""
    with umask(mask):
        write_atomic(tmp_path / "openclaw.json", b"{}", mode=0o644)

    assert mode_of(tmp_path / "openclaw.json") == 0o644


def test_wide_old_file_becomes_private(tmp_path: Path) -> None:
    """Replacing a file that others could read ends that."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    path.chmod(0o666)

    write_atomic(path, b"new")

    assert mode_of(path) == 0o600


@pytest.mark.parametrize("kind", ALIENS)
def test_alien_target_is_refused(tmp_path: Path, kind: str) -> None:
    """Nothing but a regular file with one name is ever replaced, and no link is followed."""
    path = tmp_path / "a.json"
    plant(kind, path)
    before = path.lstat()

    with pytest.raises(InvalidError, match=r"a\.json"):
        write_atomic(path, b"new")

    assert path.lstat() == before
    assert (tmp_path / "other").read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["a.json", "other"]  # noqa: PTH208


@pytest.mark.parametrize("kind", ALIENS)
def test_alien_temporary_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something planted at the temporary name is neither followed nor removed."""
    monkeypatch.setattr(secrets, "token_hex", lambda size: "0" * size * 2)
    path = tmp_path / "a.json"
    write_atomic(path, b"old")
    planted = tmp_path / "a.json.0000000000000000.tmp"
    plant(kind, planted)

    with pytest.raises(InvalidError, match="in the way"):
        write_atomic(path, b"new")

    assert path.read_bytes() == b"old"
    assert (tmp_path / "other").read_bytes() == b"precious"
    assert planted.is_symlink() or planted.exists()


@pytest.mark.parametrize("kind", [*ALIENS, "nothing"])
def test_alien_source_is_never_read(tmp_path: Path, kind: str) -> None:
    """A reader gets the bytes of a regular file, or an error that names the path, at once."""
    path = tmp_path / "a.json"
    plant(kind, path)
    if kind == "hard link":
        assert read_regular(path, limit=100) == b"precious"
        return

    with pytest.raises((InvalidError, NotFoundError), match=r"a\.json"):
        read_regular(path, limit=100)


def test_reader_has_a_limit(tmp_path: Path) -> None:
    """A file of exactly the limit is read, one byte more is refused."""
    path = tmp_path / "a.json"
    write_atomic(path, b"12345")

    assert read_regular(path, limit=5) == b"12345"
    with pytest.raises(LimitError, match=r"4 bytes in .*a\.json"):
        read_regular(path, limit=4)


def test_long_names_leave_room_for_the_temporary(tmp_path: Path) -> None:
    """A target may have the longest name that the file system takes."""
    path = tmp_path / ("é" * 127)

    write_atomic(path, b"1")

    assert path.read_bytes() == b"1"


def test_json_ends_with_a_line(tmp_path: Path) -> None:
    """A JSON file is pretty text and one line end, from a path of either type."""
    write_json_file_atomically(str(tmp_path / "a.json"), {"k": [1.0]})

    assert (tmp_path / "a.json").read_text() == '{\n  "k": [\n    1\n  ]\n}\n'


def test_value_without_json_leaves_the_file_alone(tmp_path: Path) -> None:
    """A value that cannot be written costs nothing."""
    path = tmp_path / "a.json"
    write_json_file_atomically(path, {})

    with pytest.raises(InvalidError):
        write_json_file_atomically(path, {"k": object()})

    assert path.read_text() == "{}\n"


def test_existing_directories_keep_their_mode(tmp_path: Path) -> None:
    """A directory that is there is not changed."""
    (tmp_path / "x").mkdir(mode=0o755)
    (tmp_path / "x").chmod(0o755)

    make_private_dir(tmp_path / "x" / "y")
    make_private_dir(tmp_path / "x" / "y")

    assert [mode_of(tmp_path / "x"), mode_of(tmp_path / "x" / "y")] == [0o755, 0o700]


def test_directory_behind_a_link_is_used(tmp_path: Path) -> None:
    """The state directory itself may be a link, as after OpenClaw's own migration."""
    make_private_dir(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    write_atomic(tmp_path / "link" / "a.json", b"1")

    assert (tmp_path / "real" / "a.json").read_bytes() == b"1"


@pytest.mark.parametrize("kind", ["dangling symlink", "pipe", "file"])
def test_directory_cannot_replace_something(tmp_path: Path, kind: str) -> None:
    """A place that is taken by something else is named."""
    path = tmp_path / "taken"
    plant(kind, path)
    if kind == "file":
        path.write_bytes(b"")

    with pytest.raises(InvalidError, match="taken"):
        make_private_dir(path)
    with pytest.raises((InvalidError, UnavailableError), match="taken"):
        write_atomic(path / "deeper" / "a.json", b"1")


def test_existing_private_file_is_not_opened(tmp_path: Path) -> None:
    """A database that is there keeps its content, mode and inode."""
    path = tmp_path / "memory.db"
    path.write_bytes(b"rows")
    path.chmod(0o644)
    before = path.stat()

    create_private_file(path)

    assert path.stat() == before


@pytest.mark.parametrize("kind", ALIENS)
def test_alien_database_is_refused(tmp_path: Path, kind: str) -> None:
    """SQLite is never led to a link or a device."""
    path = tmp_path / "memory.db"
    plant(kind, path)

    with pytest.raises(InvalidError, match=r"memory\.db"):
        create_private_file(path)


def test_temporaries_are_known_by_name() -> None:
    """What a killed writer leaves is told apart from every file of a state."""
    assert is_temporary(Path("/s/a.json.0123456789abcdef.tmp"))
    for name in ("a.json", "a.tmp", "a.json.0123456789abcde.tmp", "x.tmp.json"):
        assert not is_temporary(Path(name))
