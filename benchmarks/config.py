"""The configuration: reading it, looking at it again, changing it, and many who change it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from clawstate.config.service import Config
from clawstate.files.paths import StatePaths
from timing import Figures
from turns import Arm, table, turns
from workbench import Workbench

TITLE = "A configuration of 500 keys"
PROVIDERS = 72  # of seven keys each
WRITERS, EDITS = 16, 50
ROUNDS = 30
MOST_LOAD_MS, MOST_CHECKED_US, MOST_CACHED_US, MOST_CLI_MS = 30, 10, 2, 200

LOAD, CHECKED, CACHED, SET, PLAIN = (
    "read anew",
    "Config.get, with a look at the files",
    "view.get",
    "Config.set",
    "json.load",
)
WRITER = """
import sys
from pathlib import Path
from clawstate.config.service import Config
from clawstate.files.paths import StatePaths
root, name, edits = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
config = Config(StatePaths(root), env={})
print("READY", flush=True)
sys.stdin.readline()
for number in range(edits):
    config.set(f"env.vars.W{name}_{number}", str(number))
"""


def measure(bench: Workbench) -> Figures:
    """Return times of one reader and writer, the CPU of the command, and what a crowd leaves."""
    root = bench.scratch / "config"
    config = _made(root)
    return {
        "keys": 7 * PROVIDERS + 2,
        "bytes": config.path.stat().st_size,
        "arms": _times(config),
        "cli_ms": _command(root),
        "crowd": _crowd(bench.scratch / "crowd"),
    }


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    yield f"{result['keys']} keys, {result['bytes']:,} bytes with comments"
    yield from table(result["arms"])
    yield f"  targets: {LOAD} {MOST_LOAD_MS} ms, {CHECKED} {MOST_CHECKED_US} us, "
    yield f"  {CACHED} {MOST_CACHED_US} us"
    yield f"clawstate config get, whole process: {result['cli_ms']:.0f} ms of processor, "
    yield f"  target {MOST_CLI_MS}"
    crowd = result["crowd"]
    yield (
        f"{WRITERS} processes made {WRITERS * EDITS} edits of different keys in "
        f"{crowd['seconds']:.1f} s: {crowd['present']} are there, {crowd['comments']} of "
        f"{crowd['comments_before']} comments, {crowd['unreadable']} of {crowd['reads']} reads "
        f"meanwhile found no whole file"
    )


def _made(root: Path) -> Config:
    providers = ",\n".join(
        f"      // provider {number}\n      p{number}: {{ apiKey: '${{KEY}}', "
        f"baseUrl: 'http://localhost:{number}', models: [{{ id: 'm{number}', name: 'n' }}] }}"
        for number in range(PROVIDERS)
    )
    root.mkdir(parents=True)
    text = "{\n  gateway: { port: 18789, mode: 'local' },\n  models: {\n    providers: {\n"
    (root / "openclaw.json").write_text(f"{text}{providers}\n    }}\n  }}\n}}\n")
    return Config(StatePaths(root), env={"KEY": "x"})


def _times(config: Config) -> Figures:
    time.sleep(0.1)  # until the time of its last change is past doubt
    plain = config.path.with_name("plain.json")
    plain.write_text(json.dumps(config.view().loaded.templates))
    view = config.view()

    def read(_: int) -> None:
        config.invalidate()
        config.view()

    reading: dict[str, Arm] = {
        CHECKED: lambda _: config.get("gateway.port"),
        CACHED: lambda _: view.get("gateway.port"),
    }
    slow: dict[str, Arm] = {
        LOAD: read,
        PLAIN: lambda _: json.loads(plain.read_text()),
    }
    figures = turns(reading, range(2_000), rounds=ROUNDS) | turns(slow, range(3), rounds=ROUNDS)
    ports = iter(range(20_000, 30_000))
    writing: dict[str, Arm] = {SET: lambda _: config.set("gateway.port", next(ports))}
    return figures | turns(writing, range(3), rounds=ROUNDS)


def _command(root: Path) -> float:
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), "config", "get"]
    environment = os.environ | {"KEY": "x"}
    taken = []
    for _ in range(5):
        before = os.times()
        subprocess.run(
            [*command, "gateway.port"], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        after = os.times()
        user = after.children_user - before.children_user
        taken.append(1_000 * (user + after.children_system - before.children_system))
    return sorted(taken)[2]


def _crowd(root: Path) -> Figures:
    config = _made(root)
    comments = config.text().count("// provider")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), str(number), str(EDITS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(WRITERS)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    started = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    reads = unreadable = 0
    while any(process.poll() is None for process in processes):
        reads += 1
        unreadable += not config.path.read_text().rstrip().endswith("}")
        time.sleep(0.002)
    seconds = time.perf_counter() - started
    assert [process.returncode for process in processes] == [0] * WRITERS
    config.invalidate()
    return {
        "seconds": round(seconds, 2),
        "present": len(config.get("env.vars", {})),
        "comments_before": comments,
        "comments": config.text().count("// provider"),
        "reads": reads,
        "unreadable": unreadable,
    }
