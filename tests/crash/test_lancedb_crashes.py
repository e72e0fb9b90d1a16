"""Memory in LanceDB whose program, process of the table, or machine ends at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from clawstate.errors import StateError
from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder
from faults import power_cut
from faults.victim import Victim
from lance_table import in_table
from seeds import seed

# Not imported here: it has threads, which forks of other tests in this process would meet.
if find_spec("lancedb") is None:
    pytest.skip("the extra 'lancedb' is not installed", allow_module_level=True)

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SEED = seed()
SCRIPT = Path(__file__).with_name("lance_victim.py")
KILLS = 60 if FULL else 4
CUTS = 150 if FULL else 12
MOMENTS = 3.0  # seconds of a run within which it is killed

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(1800)]


def verdict(folder, lines) -> str:
    """Return in one word what became of the records in *folder* after *lines* were printed."""
    acknowledged: dict[str, str] = {}
    tried: dict[str, str | None] = {}
    for line in lines:
        verb, *words = line.split(" ", 2)
        if verb == "TRY":
            tried[words[0]] = words[1] if len(words) > 1 else None
        elif verb == "ACK":
            text = tried.pop(words[0])
            acknowledged |= {words[0]: text} if text is not None else {}
            if text is None:
                acknowledged.pop(words[0])
    try:
        memory = Memory(LancedbMemory(folder), embedder=HashEmbedder())
        kept = {each.id: each.text for each in memory.records(limit=100_000)}
        for key in acknowledged.keys() | kept.keys():
            allowed = [acknowledged.get(key)]
            allowed += [tried[key]] if key in tried else []
            if kept.get(key) not in allowed:
                return f"{key} is {kept.get(key)}, not {allowed}"
        kept[memory.add("one more")] = "one more"
        memory.optimize()
        problems = memory.check(deep=True)
        memory.close()
    except StateError as error:
        return f"stuck: {error}"
    rows = in_table(folder)["rows"]
    if len(rows) != len(kept) or {row["id"]: row["text"] for row in rows} != kept:
        return f"the table has {len(rows)} rows, not {len(kept)}, or others"
    return "sound" if not problems else f"damaged: {problems}"


@pytest.mark.parametrize("number", range(KILLS))
def test_whatever_is_killed_no_acknowledged_record_is_lost(tmp_path, number) -> None:
    """The program, the process of the table, or both killed at any moment: all is in the table."""
    chance = random.Random(SEED + number)
    command = [sys.executable, str(SCRIPT), str(tmp_path), "0", str(SEED + number)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as program:
        _, process = program.stdout.readline().split()
        time.sleep(chance.random() * MOMENTS)  # the moment of death, not a wait for anything
        if number % 2:
            os.kill(int(process), signal.SIGKILL)
            time.sleep(chance.random() * 0.1)
        program.kill()
        said = program.stdout.read().split("\n")[:-1]

    assert verdict(tmp_path / "lancedb", said) == "sound"


@pytest.mark.powercut
@pytest.mark.parametrize("fs", [power_cut.EXT4, power_cut.XFS], ids=lambda each: each.kind)
def test_a_power_cut_loses_no_acknowledged_record(fs, tmp_path) -> None:
    """A cut at any block leaves all acknowledged, and a table that is brought in step."""
    reason = power_cut.available(fs)
    if reason is not None:
        pytest.skip(reason)
    with Victim(SCRIPT, timeout=120.0) as victim:
        log = power_cut.record(victim, "8", str(SEED), fs=fs)

    def check(root, lines):
        # LanceDB keeps files open for a while, which would keep the disk from being unmounted.
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(root / "lancedb", copy)
        return verdict(copy, lines)

    cuts = power_cut.cuts(log, CUTS, seed=SEED)
    found = Counter(power_cut.replay(log, cuts, check, fs=fs, workers=1))

    assert found == {"sound": CUTS}
