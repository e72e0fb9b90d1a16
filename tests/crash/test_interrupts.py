from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import interrupting
import pytest
from interrupting import STEPS

from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
MOST = 60  # descriptors that an agent has open
PLACES = 12  # that are tried of each step, unless all are
LINES = {"config": 13_000, "search": 5_000, "sessions": 3_000, "memory": 800, "identity": 60}

pytestmark = pytest.mark.crash


def run(mode, root, engine, *arguments):
    """Interrupt an agent in a process of its own, and return what was found."""
    command = [sys.executable, interrupting.__file__, mode, root, engine, *arguments]
    ended = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return json.loads(ended.stdout.splitlines()[-1])


def require_usable(found, *, least):
    assert found["problems"] == []
    assert found["lost"] == []
    assert found["came"] >= least
    assert found["descriptors"] < MOST


def sweep(mode, root, engine, step, places):
    """Interrupt *step* at some places, another choice each day; in a full run at all of them."""
    stride = 1 if FULL else max(1, places // PLACES)
    first = 1 if FULL else 1 + seed() % stride
    require_usable(run(mode, root, engine, step, first, stride), least=1)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("engine", ["file", "sqlite"])
@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_at_any_line_leaves_the_state_usable(tmp_path, engine, step) -> None:
    """Wherever the code is cut off, this process and another one can do the same step at once."""
    sweep("lines", tmp_path, engine, step, LINES.get(step, 1_500))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("engine", ["file", "sqlite"])
@pytest.mark.parametrize("step", ["sessions", "memory", "dedupe", "transcripts"])
def test_an_interrupt_at_any_instruction_of_what_holds_is_harmless(tmp_path, engine, step) -> None:
    """So it is between any two instructions of the code that holds locks and transactions."""
    sweep("instructions", tmp_path, engine, step, 10_000)


@pytest.mark.parametrize("engine", ["file", "sqlite"])
def test_interrupts_at_random_moments_leave_the_state_usable(tmp_path, engine) -> None:
    """After an alarm in mixed work all goes on, here and elsewhere; what was acknowledged stays."""
    run_of = run("random", tmp_path, engine, seed(), 60)

    require_usable(run_of, least=60)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("engine", ["file", "sqlite"])
def test_thousands_of_interrupts_leave_the_state_usable(tmp_path, engine) -> None:
    """So it is after 10,000 of them, in a full run."""
    interrupts = 10_000 if FULL else 300

    require_usable(run("random", tmp_path, engine, seed() + 1, interrupts), least=interrupts)


@pytest.mark.parametrize("engine", ["file", "sqlite"])
def test_an_interrupted_first_use_can_be_repeated(tmp_path, engine) -> None:
    """What is loaded and made at the first use can be interrupted at any moment, many times."""
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_USE, str(tmp_path), engine, str(seed())],
        env={**os.environ, "PYTHONPATH": str(Path(interrupting.__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr[-4000:]
    assert ended.stdout == "done\n"


FIRST_USE = """
import faulthandler, random, sys, warnings
faulthandler.dump_traceback_later(240, exit=True)  # a hang tells where
from interrupting import Agent, Alarm, InterruptedTestError, STEPS
warnings.simplefilter("ignore")
moments = random.Random(int(sys.argv[3]))
agent = Agent(*sys.argv[1:3])
left = list(STEPS)
for attempt in range(400):
    step = moments.choice(left)
    alarm = Alarm(moments.uniform(0.001, 0.06 * (1 + attempt // 40)))
    try:
        with alarm:
            agent.do(step, attempt)
    except InterruptedTestError:
        continue
    left.remove(step)
    if not left:
        break
for step in STEPS:
    agent.do(step, 1000)
print("done")
"""
