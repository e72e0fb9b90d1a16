"""Backups that are made while others write."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import clawstate
from backup.backup_writer import PARTS, read
from clawstate.backup import create, restore

PATIENCE = 300.0  # seconds
WRITER = Path(__file__).with_name("backup_writer.py")


@contextmanager
def writers(root: Path, store: str, count: int, folder: Path):
    """Let *count* processes write; gives the files in which they tell what was acknowledged."""
    logs = [folder / f"writer-{number}.log" for number in range(count)]
    running = []
    try:
        for number, log in enumerate(logs):
            command = [sys.executable, str(WRITER), str(root), store, str(number)]
            with log.open("wb") as out:
                running.append(subprocess.Popen(command, stdout=out))
        yield logs
    finally:
        for each in running:
            each.kill()
            each.wait()


def steps_of(log: Path) -> list[tuple[str, int, float, float]]:
    """Return what a writer acknowledged: the part, the number, when it began and when it ended."""
    lines = log.read_text().rpartition("\n")[0].splitlines()
    return [(a, int(b), float(c), float(d)) for a, b, c, d in map(str.split, lines)]


def require_one_moment(restored: Path, store: str, logs: list[Path]) -> int:
    """Assert that what was restored is what was acknowledged at one moment; return its steps."""
    latest_in, earliest_out, total = 0.0, float("inf"), 0
    with clawstate.open(restored, store=store) as state:
        for name, log in enumerate(logs):
            there = {part: read(state, part, str(name)) for part in PARTS}
            # A writer goes from part to part: what comes later never has more.
            counts = [there[part] for part in PARTS]
            assert counts == sorted(counts, reverse=True), there
            assert counts[0] - counts[-1] in {0, 1}, there
            for part, number, begun, ended in steps_of(log):
                if number <= there[part]:
                    latest_in, total = max(latest_in, begun), total + 1
                else:
                    earliest_out = min(earliest_out, ended)
    # Whatever ended before the moment is there, and what began after it is not.
    assert latest_in <= earliest_out
    return total


def check_moments(tmp_path: Path, store: str, *, count: int, backups: int) -> None:
    root = tmp_path / "state"
    with writers(root, store, count, tmp_path) as logs, clawstate.open(root, store=store) as state:
        end = time.monotonic() + PATIENCE
        while not all(len(steps_of(log)) >= len(PARTS) for log in logs):
            assert time.monotonic() < end
            time.sleep(0.01)  # a process has no other sign than what it wrote
        made = []
        for number in range(backups):
            file = tmp_path / f"{number}.tar.gz"
            before = sum(len(steps_of(log)) for log in logs)
            create(state, file)
            made.append((file, before))

    for file, before in made:
        restored = restore(file, tmp_path / file.stem).path
        assert require_one_moment(restored, store, logs) >= before


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_a_backup_is_of_one_moment(tmp_path: Path, store: str) -> None:
    """All parts of a backup are as they were acknowledged at one moment, whoever writes."""
    check_moments(tmp_path, store, count=3, backups=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_each_of_many_backups_is_of_one_moment(tmp_path: Path, store: str) -> None:
    """Each of a hundred backups, beside eight processes that write, is of one moment."""
    check_moments(tmp_path, store, count=8, backups=100)
