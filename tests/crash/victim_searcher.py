"""
A program that searches a memory until its input ends, and prints how often.

`python victim_searcher.py STATE`. Whatever a search raises ends it with a traceback.
"""

from __future__ import annotations

import os
import select
import sys
import warnings
from itertools import cycle

import clawstate

QUESTIONS = ["lobster", "the crab of day 3", "paragraph of the bank", "nothing of the kind"]
MODES = ["words", "vector", "hybrid"]


def main() -> None:
    warnings.simplefilter("error")
    done = 0
    most = 0
    with clawstate.open(sys.argv[1]) as state:
        os.write(1, b"READY\n")
        for question, mode in zip(cycle(QUESTIONS), cycle(MODES), strict=False):
            hits = state.memory.search(f"{question} {done}", k=20, mode=mode)
            assert len({hit.record.id for hit in hits}) == len(hits)
            found = state.memory.get_many([hit.record.id for hit in hits])
            assert all(found[hit.record.id].text for hit in hits)
            count = len(state.memory.records(limit=1000))
            assert count >= most, "a record was lost"
            most = count
            done += 1
            if select.select([0], [], [], 0)[0]:
                break
    os.write(1, f"{done}\n".encode())


if __name__ == "__main__":
    main()
