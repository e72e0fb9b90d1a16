"""A program that ends at once leaves the table to a process that nobody waits for."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import clawstate
from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.memory.backends.lancedb.later import LOCK
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder
from lance_table import in_table, texts_in_table

# Not imported here: it has threads, which forks of other tests in this process would meet.
if find_spec("lancedb") is None:
    pytest.skip("the extra 'lancedb' is not installed", allow_module_level=True)


@pytest.fixture
def folder(tmp_path):
    """Give where the table lies; no process is left at it in the end."""
    made = tmp_path / "state" / "memory" / "lancedb"
    yield made
    wait_for_end(made)


def leave(folder, *texts: str) -> list[str]:
    memory = Memory(LancedbMemory(folder, leaves=True), embedder=HashEmbedder())
    keys = memory.add_many({"text": each} for each in texts)
    memory.close()
    return keys


def wait_for_end(folder) -> None:
    """Wait until no process is left to write to the table."""
    if (folder / LOCK).exists():
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def processes_at(folder) -> list[int]:
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().split(b"\0")
        except OSError:
            continue
        if (
            b"clawstate.memory.backends.lancedb.later_writer" in words
            and os.fsencode(folder) in words
        ):
            found.append(int(each.parent.name))
    return found


def test_what_was_left_comes_to_the_table(folder) -> None:
    """Records of a program that has ended are in the table once the process left by it ends."""
    (key,) = leave(folder, "tea")

    wait_for_end(folder)

    assert texts_in_table(folder) == {key: "tea"}


def test_many_programs_leave_one_process(folder) -> None:
    """Programs that end one after the other have one process at the table, and nothing is lost."""
    keys = {key for number in range(12) for key in leave(folder, f"number {number}")}

    assert len(processes_at(folder)) <= 1
    wait_for_end(folder)

    assert texts_in_table(folder).keys() == keys
    assert in_table(folder)["fragments"] <= 12


def test_what_the_process_could_not_write_the_next_program_writes(folder) -> None:
    """Killed, the process costs no record, and the next program does not leave it to another."""
    leave(folder, "tea")
    for each in processes_at(folder):
        os.kill(each, signal.SIGKILL)
    wait_for_end(folder)

    leave(folder, "milk")

    assert sorted(texts_in_table(folder).values()) == ["milk", "tea"]
    assert processes_at(folder) == []


def test_what_is_forgotten_is_gone_when_the_program_ends(folder) -> None:
    """A program that forgets leaves nothing of it to a process after it."""
    key, _ = leave(folder, "the password is zanzibar", "tea")
    wait_for_end(folder)
    memory = Memory(LancedbMemory(folder, leaves=True), embedder=HashEmbedder())
    memory.delete(key)
    memory.close()

    files = [each for each in folder.rglob("*") if each.is_file()]
    assert [each for each in files if b"zanzibar" in each.read_bytes()] == []


def run(folder, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = folder.parents[1]
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_a_command_leaves_the_table_and_tells_when_that_failed(folder, tmp_path) -> None:
    """Where LanceDB dies the second command says that records wait; later ones write them."""
    with clawstate.open(folder.parents[1]) as state:
        state.config.set("memory.store.type", "lancedb")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "lancedb.py").write_text("import os\nos.kill(os.getpid(), 4)\n")

    first = run(folder, "memory", "add", "tea", PYTHONPATH=str(broken))
    wait_for_end(folder)
    second = run(folder, "memory", "add", "milk", PYTHONPATH=str(broken))

    assert "wait to be written" not in first.stderr
    assert "records wait to be written to the table, and are safe" in second.stderr
    run(folder, "memory", "add", "salt")
    assert sorted(texts_in_table(folder).values()) == ["milk", "salt", "tea"]
