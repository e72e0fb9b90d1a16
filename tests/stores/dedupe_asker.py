# ruff: noqa: T201 - lines are what it tells
"""Asks for a share of many keys, some of them in several threads, and tells which were new."""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clawstate

root, engine, number, count, universe, threads = Path(sys.argv[1]), sys.argv[2], *sys.argv[3:]
chosen = random.Random(int(number)).sample(range(int(universe)), int(count))
with clawstate.open(root, store=engine, lock_timeout=600.0) as state:
    dedupe = state.dedupe
    print("READY", flush=True)
    sys.stdin.readline()
    started, slowest = time.monotonic(), 0.0

    def ask(key: int) -> tuple[int, bool, float]:
        began = time.monotonic()
        return key, dedupe.check_and_record(f"update-{key}", "crowd"), time.monotonic() - began

    with ThreadPoolExecutor(int(threads)) as pool:
        answers = list(pool.map(ask, chosen))
    print("NEW", *(key for key, is_new, _ in answers if is_new))
    print("SLOWEST", max(waited for _, _, waited in answers), time.monotonic() - started)
