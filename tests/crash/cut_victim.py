# ruff: noqa: T201 - lines are what a victim tells
from __future__ import annotations

import sys
from pathlib import Path

from operations import FILE, PATIENCE, Things

from clawstate.files.lock import FileLock

root, engine, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with Things(engine if engine != "held" else "json", root) as things:
    things.fill()
    print("READY")
    if engine == "held":
        FileLock(root / FILE, options=PATIENCE).acquire()
        print("HELD")
    for number in range(1, count + 1):
        things.do("put", number)
        print("ACK", number)
    # So that blocks are written while it is held.
    (root / "last").write_bytes(bytes(100_000))
