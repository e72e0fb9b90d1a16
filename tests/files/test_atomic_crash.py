from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from clawstate.files.atomic import is_temporary, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

OLD, NEW = b"o" * 3000, b"n" * 5000
WRITE = "atomic.write_atomic(path, b'n' * 5000)"
UNTOUCHED = {"brk", "mmap", "munmap", "mremap", "futex", "rt_sigaction", "rt_sigprocmask"}


def leftovers(path: Path) -> list[Path]:
    return [entry for entry in path.parent.iterdir() if entry != path]


def restore(path: Path) -> None:
    for entry in leftovers(path):
        entry.unlink()
    write_atomic(path, OLD)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids="{:03o}".format)
@pytest.mark.parametrize(
    "action",
    [
        "atomic.write_atomic(path, b'secret')",
        "atomic.create_private_file(path)",
        "atomic.write_json_file_atomically(path, {'k': 1})",
    ],
    ids=["write", "create", "write JSON"],
)
def test_nothing_is_ever_wider_than_private(victim, action: str, mask: int) -> None:
    """Files are created 0600 and directories 0700, and no call widens them afterwards."""
    calls = victim(action, name="x/y/a.json", umask=mask).calls()

    created = [call.line for call in calls if "O_CREAT" in call.line]
    directories = [call.line for call in calls if call.name.startswith("mkdir")]
    assert len(created) == 1
    assert re.search(r"O_EXCL.*O_NOFOLLOW.*O_CLOEXEC, 0600\)", created[0])
    assert [line for line in directories if not re.search(r", 0700\) += 0", line)] == []
    assert len(directories) == 2
    assert not [call for call in calls if "chmod" in call.name or "chown" in call.name]


def test_umask_only_narrows_a_public_file(victim) -> None:
    """A public file is created narrower than wanted, and widened to no more than wanted."""
    action = "atomic.write_atomic(path, b'{}', mode=0o644)"

    narrow = victim(action, umask=0o077).calls()
    wide = victim(action, umask=0o022).calls()

    (widened,) = [call.line for call in narrow if "chmod" in call.name]
    assert ", 0644)" in widened
    assert not [call for call in wide if "chmod" in call.name]


def test_file_is_durable_before_it_takes_its_name(victim) -> None:
    """The order is create, write, sync, rename, sync of the directory."""
    calls = victim(WRITE).calls()

    order = [call.name for call in calls if call.name.startswith(("write", "fsync", "rename"))]
    assert order == ["write", "fsync", "renameat", "fsync"]


def test_new_directories_are_durable_before_the_file(victim) -> None:
    """The directory in which a level was created is synced at once."""
    calls = victim(WRITE, name="x/y/a.json").calls()

    order = [call.name for call in calls if call.name.startswith(("mkdir", "fsync", "rename"))]
    assert order == ["mkdir", "fsync", "mkdir", "fsync", "fsync", "renameat", "fsync"]


def test_existing_database_is_not_opened(victim) -> None:
    """An existing file is never opened, since closing it would drop the locks of SQLite."""
    process = victim("atomic.create_private_file(path)", name="memory.db")
    process.path.write_bytes(b"rows")

    attempts = [c.line for c in process.calls() if c.name == "openat" and "memory.db" in c.line]

    assert len(attempts) == 1
    assert "O_EXCL" in attempts[0]
    assert "EEXIST" in attempts[0]


def test_kill_at_any_call_leaves_old_or_new(victim) -> None:
    """Whichever system call is the last, the file is the old or the new one, and writable."""
    process = victim(WRITE)
    restore(process.path)
    calls = process.calls()
    renamed = next(index for index, call in enumerate(calls) if call.name == "renameat")
    died = 0

    for index, call in enumerate(calls):
        restore(process.path)
        kill = f"inject={call.name}:signal=KILL:when={call.nth}"
        outcome, _ = process.run("-e", kill)
        died += outcome == "start"
        assert process.path.read_bytes() in {OLD, NEW}
        if outcome == "start" and index < renamed:
            assert process.path.read_bytes() == OLD
        assert all(is_temporary(entry) for entry in leftovers(process.path))

    assert died > len(calls) * 0.8
    restore(process.path)
    assert process.run()[0] == "done"


@pytest.mark.parametrize("failure", ["EIO", "ENOSPC", "EROFS", "EMFILE"])
@pytest.mark.parametrize("repeated", ["", "+"], ids=["once", "for ever"])
def test_failure_of_any_call_is_reported(victim, failure: str, repeated: str) -> None:
    """An error of any call is told as it is: unchanged, or replaced but perhaps not durable."""
    process = victim(WRITE)
    restore(process.path)
    reported = 0

    for call in [call for call in process.calls() if call.name not in UNTOUCHED]:
        restore(process.path)
        fault = f"inject={call.name}:error={failure}:when={call.nth}{repeated}"
        outcome, _ = process.run("-e", fault)
        if outcome == "done":
            assert process.path.read_bytes() == NEW
        elif "may still bring the old" in outcome:
            assert process.path.read_bytes() == NEW
            assert leftovers(process.path) == []
        elif "is unchanged" in outcome or "cannot be used as a directory" in outcome:
            assert outcome.startswith(f"UnavailableError {process.path.parent}")
            assert process.path.read_bytes() == OLD
            assert leftovers(process.path) == []
        else:
            pytest.fail(f"{call.line}: {outcome}")
        reported += outcome != "done"

    assert reported >= 5


@pytest.mark.parametrize("failure", ["EIO", "ENOSPC"])
def test_failed_sync_is_not_tried_again(victim, failure: str) -> None:
    """After a failed sync the file is thrown away; the descriptor is not asked twice."""
    process = victim(WRITE)
    restore(process.path)

    outcome, trace = process.run("-e", f"inject=fsync:error={failure}:when=1")

    assert "is unchanged" in outcome
    assert trace.count("fsync(") == 1
    assert process.path.read_bytes() == OLD


def test_short_write_is_continued_where_it_ended(victim) -> None:
    """When the system takes a part of the bytes, the rest is written after them."""
    process = victim("atomic.write_atomic(path, bytes(range(250)) * 20)")
    (first,) = [call for call in process.calls() if call.name == "write"]

    outcome, _ = process.run("-e", f"inject=write:retval=1010:when={first.nth}")

    assert outcome == "done"
    assert process.path.read_bytes() == (bytes(range(250)) * 20)[1010:]


def test_write_without_progress_is_an_error(victim) -> None:
    """A system that takes no byte and reports no error does not make the writer wait for ever."""
    process = victim(WRITE)
    (first,) = [call for call in process.calls() if call.name == "write"]

    outcome, _ = process.run("-e", f"inject=write:retval=0:when={first.nth}+")

    assert "the disk reports an error" in outcome


def test_directory_that_cannot_be_synced_is_accepted(victim) -> None:
    """A file system that does not know how to sync a directory is no failure."""
    process = victim(WRITE)

    outcome, _ = process.run("-e", "inject=fsync:error=EINVAL:when=2")

    assert outcome == "done"
    assert process.path.read_bytes() == NEW


def test_random_kills_never_tear_a_file(tmp_path: Path) -> None:
    """A writer that is killed at any moment leaves one whole version, not older than it said."""
    path = tmp_path / "a.json"
    program = (
        "import sys; from pathlib import Path; from clawstate.files.atomic import write_atomic\n"
        "for n in range(10**6):\n"
        "    write_atomic(Path(sys.argv[1]), b'%07d' % n * 700)\n"
        "    print(n, flush=True)\n"
    )
    random = Random(20260227)

    for _ in range(15):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
        ) as writer:
            writer.stdout.readline()
            deadline = time.monotonic() + random.uniform(0, 0.05)
            while time.monotonic() < deadline:
                pass
            writer.kill()
            said = writer.stdout.read().split()
        content = path.read_bytes()
        assert content == content[:7] * 700
        assert int(content[:7]) >= int(said[-1] if said else 0)
