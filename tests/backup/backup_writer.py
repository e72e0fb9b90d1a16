"""A writer of one state: counts up in one part after the other, and tells each step."""

from __future__ import annotations

import sys
import time

import clawstate

PARTS = ("memory", "sessions", "dedupe", "transcripts", "config")


def write(state, part: str, name: str, number: int) -> None:
    """Write *number* in *part*, and return when that is acknowledged."""
    if part == "memory":
        state.memory.add_many([{"id": f"writer-{name}", "text": f"writer {name} at {number}"}])
    elif part == "sessions":
        state.sessions.resolve(f"session-{name}")
        state.sessions.update(f"session-{name}", {"step": number})
    elif part == "dedupe":
        state.dedupe.check_and_record(f"{name}:{number}", "steps")
    elif part == "transcripts":
        state.transcripts.append(f"talk-{name}", {"role": "user", "content": f"step {number}"})
    else:
        state.config.set(f"env.vars.WRITER_{name}", str(number))


def read(state, part: str, name: str) -> int:
    """Return the last number in *part*."""
    if part == "memory":
        record = state.memory.get(f"writer-{name}")
        return 0 if record is None else int(record.text.rpartition(" ")[2])
    if part == "sessions":
        entry = state.sessions.get(f"session-{name}")
        return 0 if entry is None else entry.fields.get("step", 0)
    if part == "dedupe":
        number = 0
        while state.dedupe.seen(f"{name}:{number + 1}", "steps"):
            number += 1
        return number
    if part == "transcripts":
        return state.transcripts.count(f"talk-{name}")
    return int(state.config.get("env.vars").get(f"WRITER_{name}", 0))


def main() -> None:
    """Write until killed."""
    root, store, name = sys.argv[1:]
    with clawstate.open(root, store=store) as state:
        number = 0
        while True:
            number += 1
            for part in PARTS:
                begun = time.monotonic()
                write(state, part, name, number)
                sys.stdout.write(f"{part} {number} {begun} {time.monotonic()}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
