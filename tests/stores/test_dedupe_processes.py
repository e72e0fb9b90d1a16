from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import clawstate

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SOURCE = Path(clawstate.__file__).parents[1]
ASKER = Path(__file__).with_name("dedupe_asker.py")
PROCESSES, KEYS, UNIVERSE = (12, 2_000, 6_000) if FULL else (4, 100, 200)


def crowd(root, engine, *, threads):
    """Return which keys were asked for, and how often each was told to be new."""
    root.mkdir(mode=0o700)
    limits = {"caches": {"dedupe": {"fileMaxEntries": UNIVERSE}}}
    (root / "openclaw.json").write_text(json.dumps(limits))
    arguments = [str(each) for each in (KEYS, UNIVERSE, threads)]
    processes = [
        subprocess.Popen(
            [sys.executable, ASKER, root, engine, str(number), *arguments],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout.readline() == "READY\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    new = Counter()
    for process in processes:
        said, complaint = process.communicate()
        assert (process.returncode, complaint) == (0, "")
        new.update(int(each) for each in said.splitlines()[0].split()[1:])
        sys.stdout.write(f"{engine} {said.splitlines()[1]}\n")
    shares = [random.Random(n).sample(range(UNIVERSE), KEYS) for n in range(PROCESSES)]
    return {key for share in shares for key in share}, new


@pytest.mark.timeout(3000 if FULL else 300)
@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("engine", ["file", "sqlite"])
def test_in_a_crowd_of_processes_each_key_is_new_once(tmp_path, engine, threads) -> None:
    """Of processes that ask for overlapping keys as fast as they can, one is told of each key."""
    asked, new = crowd(tmp_path / "state", engine, threads=threads)

    assert set(new) == asked
    assert set(new.values()) == {1}
    with clawstate.open(tmp_path / "state", store=engine) as state:
        assert state.dedupe.stats("crowd").marks == len(asked)
        assert not any(state.dedupe.check_many([f"update-{key}" for key in asked], "crowd"))
