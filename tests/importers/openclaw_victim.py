# ruff: noqa: T201 - lines are what a victim tells
from __future__ import annotations

import sys
import warnings
from pathlib import Path

import clawstate
import clawstate.importers.openclaw
from clawstate.importers.openclaw import import_openclaw

sys.path.append(str(Path(__file__).parents[1]))
from manual_clock import ManualClock

warnings.simplefilter("ignore")


def main() -> None:
    print("WARM")
    root, source = Path(sys.argv[1]), Path(sys.argv[2])
    print("READY")
    with clawstate.open(root, clock=ManualClock()) as state:
        report = import_openclaw(state, source, archives=True, secrets=True)
    print("DONE", sum(each.new for each in report.counts.values()))


main()
