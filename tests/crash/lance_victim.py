"""
A program that changes a memory in LanceDB until it is killed, and says what was acknowledged.

`python lance_victim.py FOLDER COUNT SEED`: prints `PROCESS` and the id of the process
of the table, and `TRY` before and `ACK` after each change.
"""

from __future__ import annotations

import os
import random
import sys
from itertools import count
from pathlib import Path

from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder


def tell(*words: str) -> None:
    """Say so in one write, which no buffer can hold back."""
    os.write(1, (" ".join(words) + "\n").encode())


def change(memory: Memory, kept: list[str], number: int, chance: random.Random) -> None:
    """Make a change that *chance* chooses."""
    verb = chance.choice(("add", "add", "add_many", "update", "delete"))
    if verb in {"update", "delete"} and len(kept) > 3:
        key = kept[chance.randrange(len(kept))]
        if verb == "update":
            tell("TRY", key, f"changed {number}")
            memory.update(key, text=f"changed {number}")
            tell("ACK", key, f"changed {number}")
        else:
            tell("TRY", key)
            memory.delete(key)
            kept.remove(key)
            tell("ACK", key)
        return
    keys = [f"r{number}x{each}" for each in range(12 if verb == "add_many" else 1)]
    for key in keys:
        tell("TRY", key, f"number {number}")
    memory.add_many({"id": key, "text": f"number {number}"} for key in keys)
    for key in keys:
        tell("ACK", key, f"number {number}")
    kept += keys


def main() -> None:
    folder, most, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)
    engine = LancedbMemory(folder / "lancedb")
    memory = Memory(engine, embedder=HashEmbedder())
    engine.require_table()
    process = engine._process._process
    assert process is not None
    tell("PROCESS", str(process.pid))
    tell("READY")
    kept: list[str] = []
    for number in count() if most == 0 else range(most):
        for part in range(chance.randint(1, 4)):
            change(memory, kept, number * 4 + part, chance)
        work = chance.choice((engine.flush, engine.flush, memory.optimize))
        work()
    memory.close()
    engine._process.end()  # it would keep the file system from being unmounted
    tell("DONE")


if __name__ == "__main__":
    main()
