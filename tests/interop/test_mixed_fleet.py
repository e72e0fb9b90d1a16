from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from ledger import Ledger, strays_of
from node_options import HASTY, PATIENT

import clawstate

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SOURCE = Path(clawstate.__file__).parents[1]
WRITER = Path(__file__).with_name("python_writer.py")
OURS, OUR_TIMES = 8, 200 if FULL else 25
OUR_COUNTS = {f"ours{n}": OUR_TIMES for n in range(OURS)}
THEIRS, THEIR_TIMES = 4, 200 if FULL else 10

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]


@pytest.fixture
def start_writers():
    """Return a starter of our writers, which wait for `go` and end with the test."""
    with ExitStack() as stack:

        def start(path, *, busy=0.0, away=0.0):
            writers = [stack.enter_context(writer(path, n, busy, away)) for n in range(OURS)]
            for each in writers:
                stack.callback(each.kill)
            for each in writers:
                assert each.stdout.readline() == "READY\n"
            return writers

        yield start


def writer(path, number, busy, away):
    return subprocess.Popen(
        [sys.executable, WRITER, path, f"ours{number}", str(OUR_TIMES), str(busy), str(away)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(writers):
    for each in writers:
        each.stdin.write("go\n")
        each.stdin.flush()


def told_by(writers):
    """Return what each told: its writes, and its summary as the last."""
    said = [each.communicate()[0] for each in writers]
    assert [each.returncode for each in writers] == [0] * len(writers)
    return [[json.loads(line) for line in each.splitlines()] for each in said]


@dataclass(frozen=True)
class Fleet:
    """How OpenClaw waits, how long each of us holds the lock, and is away between two writes."""

    options: dict[str, object]
    busy: float  # seconds
    away: float  # seconds at most


FLEETS = {
    "patient": Fleet(PATIENT, 0, 0),
    "hasty": Fleet(HASTY, 0, 0),
    "patient and long together": Fleet(PATIENT, 0.005, 0.5),
    "hasty and long together": Fleet(HASTY, 0.005, 0.5),
}


@pytest.mark.parametrize("fleet", FLEETS.values(), ids=FLEETS.keys())
def test_mixed_fleet_loses_nothing_through_us(
    tmp_path, start_peers, start_writers, tell, fleet
) -> None:
    """
    Among many OpenClaws and many of us at one file, nothing is lost but by OpenClaw's own race.

    Whatever was acknowledged to us is there. What is lost was written by an OpenClaw while another
    one removed a lock; no lock of the living is taken over, and all of our writers come through.
    """
    path = tmp_path / "counter.json"
    peers = start_peers(THEIRS)
    writers = start_writers(path, busy=fleet.busy, away=fleet.away)

    how = {
        "times": THEIR_TIMES,
        "options": fleet.options,
        "busy": 1000 * fleet.busy,
        "away": 1000 * fleet.away,
    }
    asked = [
        each.send("increment", path=path, writer=f"node{n}", **how) for n, each in enumerate(peers)
    ]
    go(writers)
    ours = told_by(writers)
    theirs = [each.events(number) for each, number in zip(peers, asked, strict=True)]

    document = json.loads(path.read_text())
    acknowledged = [write for each in ours + theirs for write in each[:-1]]
    strays = [stray for n, each in enumerate(theirs) for stray in strays_of(each[-1], f"node{n}")]
    ledger = Ledger(acknowledged, document["id"], strays)
    failed = sum(len(each[-1]["errors"]) for each in theirs)
    foreign = sum(not each.own for each in strays)
    report = (
        f"{OURS} of ours and {THEIRS} OpenClaws: {len(acknowledged)} acknowledged, final count"
        f" {document['seq']}, {failed} of OpenClaw timed out, {sum(o[-1]['refused'] for o in ours)}"
        f" of ours refused and repeated, {ledger.meetings} changes of side, {foreign}"
        f" removals of perhaps foreign locks by OpenClaw\n  {ledger.report()}"
    )
    tell(report)
    assert [each[-1]["errors"] for each in ours] == [[]] * OURS, report
    assert [each[-1]["warnings"] for each in ours] == [[]] * OURS, report
    assert [len(each) - 1 for each in ours] == [OUR_TIMES] * OURS, report
    assert sum(len(each) - 1 for each in theirs) + failed == THEIRS * THEIR_TIMES, report
    for loss in ledger.losses:
        among_them = loss.overwriter is not None and loss.overwriter.by_node
        assert loss.lost.by_node and (among_them or loss.is_of_node_only), report  # noqa: PT018
    assert ledger.robbed == (), report
    assert OUR_COUNTS.items() <= document["counts"].items(), report
    assert len(ledger.surviving) == document["seq"] == sum(document["counts"].values()), report
    assert document["seq"] == len(acknowledged) - len(ledger.losses), report
    assert not list(tmp_path.glob("*.tmp")), report


def test_our_writers_alone_lose_nothing(tmp_path, start_writers) -> None:
    """Each increment of many of us at one file is in its final content."""
    path = tmp_path / "counter.json"
    writers = start_writers(path)

    go(writers)
    ours = told_by(writers)

    document = json.loads(path.read_text())
    assert [each[-1] for each in ours] == [{"refused": 0, "errors": [], "warnings": []}] * OURS
    assert document["counts"] == OUR_COUNTS
    assert document["seq"] == OURS * OUR_TIMES
