from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import clawstate

WRITER = Path(__file__).parent / "auth_writer.py"
FULL = os.environ.get("CLAWSTATE_FULL") == "1"
PROCESSES, TIMES = (12, 200) if FULL else (4, 25)


@pytest.mark.parametrize("engine", ["file", "sqlite"])
@pytest.mark.slow
def test_many_processes_lose_nothing(tmp_path, engine) -> None:
    """Each change that any of many processes was promised is in the store when all are done."""
    names = [f"writer-{number}" for number in range(PROCESSES)]
    with clawstate.open(tmp_path, store=engine) as state:
        for name in names:
            key = {"type": "api_key", "provider": "own", "key": "k"}
            state.auth().upsert(f"own:{name}", key)
        state.auth().upsert("shared:all", {**key, "provider": "shared"})

    told = run([[WRITER, tmp_path, engine, name, TIMES] for name in names])

    with clawstate.open(tmp_path, store=engine) as state:
        auth = state.auth()
        assert [len(lines) for lines in told] == [TIMES] * PROCESSES
        failures = sum(lines.count("FAILED") for lines in told)
        assert auth.usage("shared:all").failure_counts == {"timeout": failures}
        assert auth.usage("shared:all").error_count == failures
        for name, lines in zip(names, told, strict=True):
            moments = [float(line.split()[1]) / 1000 for line in lines if line.startswith("USED")]
            numbers = [line.split()[1] for line in lines if line.startswith("STORED")]
            assert auth.usage(f"own:{name}").last_used == moments[-1]
            assert auth.require(f"own:{name}").metadata == {"n": numbers[-1]}


def run(commands: list[list[object]]) -> list[list[str]]:
    """Start all, let them go at once, and return the lines of each."""
    processes = [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    for process in processes:
        assert process.stdout.readline() == "READY\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=1800) for process in processes]
    assert [error for _, error in outputs if error] == []
    return [lines.splitlines() for lines, _ in outputs]
