"""
A program that changes a memory until it is killed, and says what was acknowledged.

`python memory_victim.py VERB STATE [COUNT]`: prints `ACK verb id ...` after each call.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

import clawstate
from clawstate.memory.backends.sqlite import rows
from clawstate.memory.records import new_id
from clawstate.memory.vector_index import table

BATCH = 40
BLOCK = 50  # vectors


def tell(verb: str, *values: str) -> None:
    """Say so in one write, which no buffer can hold back."""
    os.write(1, (" ".join(["ACK", verb, *values]) + "\n").encode())


def word(number: int) -> str:
    """Return a word that only the record *number* of a run holds."""
    return f"zq{os.getpid()}x{number}"


def add_many(memory: clawstate.Memory, rounds: range) -> None:
    for number in rounds:
        ids = [new_id() for _ in range(BATCH)]
        os.write(1, (" ".join(["TRY", "add", *ids]) + "\n").encode())
        memory.add_many(
            {
                "id": each,
                "text": f"the lobster {word(number)}y{place}",
                "tags": ["sea", f"t{place}"],
                "thread": "t",
                "metadata": {"round": number},
            }
            for place, each in enumerate(ids)
        )
        tell("add", *ids)


def add(memory: clawstate.Memory, rounds: range) -> None:
    for number in rounds:
        tell("add", memory.add(f"the lobster {word(number)}", tags=["sea"], thread="t"))


def update(memory: clawstate.Memory, rounds: range) -> None:
    ids = [record.id for record in memory.records(limit=50)]
    for number in rounds:
        record_id = ids[number % len(ids)]
        memory.update(record_id, text=f"the parrot {word(number)}", metadata={"n": number})
        tell("update", record_id, str(number))


def delete(memory: clawstate.Memory, rounds: range) -> None:
    ids = [record.id for record in memory.records(limit=1000)]
    for number in rounds:
        if number >= len(ids):
            break
        memory.delete(ids[number])
        tell("delete", ids[number])


def supersede(memory: clawstate.Memory, rounds: range) -> None:
    ids = [record.id for record in memory.records(limit=1000)]
    for number, old in zip(rounds, ids, strict=False):
        tell("supersede", old, memory.supersede(old, f"the heron {word(number)}").id)


def archive(memory: clawstate.Memory, rounds: range) -> None:
    ids = [record.id for record in memory.records(limit=1000)]
    for _, each in zip(rounds, ids, strict=False):
        memory.archive([each])
        memory.restore([each])
        tell("add", each)


def optimize(memory: clawstate.Memory, rounds: range) -> None:
    for number in rounds:
        tell("add", *memory.add_many({"text": f"the crab {word(number)}y{n}"} for n in range(30)))
        memory.optimize()
        tell("optimize")


def rebuild(memory: clawstate.Memory, rounds: range) -> None:
    for _ in rounds:
        memory.rebuild()
        tell("rebuild")


def reembed(memory: clawstate.Memory, rounds: range) -> None:
    for number in rounds:
        memory.reembed(("wordllama", "static")[number % 2])
        tell("reembed")


VERBS = {
    "add": add,
    "add_many": add_many,
    "update": update,
    "delete": delete,
    "supersede": supersede,
    "archive": archive,
    "optimize": optimize,
    "rebuild": rebuild,
    "reembed": reembed,
}


def main() -> None:
    verb, path, *rest = sys.argv[1:]
    rows.VECTOR_BLOCK = BLOCK
    table.EXACT = 2 * BLOCK
    rounds = range(int(rest[0])) if rest else count()
    with clawstate.open(Path(path), lock_timeout=60.0) as state:
        os.write(1, b"READY\n")
        VERBS[verb](state.memory, rounds)
    os.write(1, b"DONE\n")


if __name__ == "__main__":
    main()
