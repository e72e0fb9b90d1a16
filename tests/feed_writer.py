"""
Changes each part of a state in turn, and says part and key once the change is on disk.

    python feed_writer.py <state> <engine> <times>
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import clawstate
from clawstate.records.contract import CollectionSpec
from clawstate.records.layouts import MapLayout
from clawstate.state import State

MOST_REQUESTS = 3
"""More may not wait."""
NOTES = CollectionSpec("notes", PurePosixPath("notes.json"), MapLayout())
"""A collection that clawstate knows nothing of."""


def _add_memory(state: State, number: int) -> str:
    return state.memory.add(f"lobster {number}")


def _append(state: State, number: int) -> str:
    state.transcripts.append(f"s{number}", {"role": "user", "content": "hello"})
    return f"s{number}"


def _credential(agent: str) -> Callable[[State, int], str]:
    def put(state: State, number: int) -> str:
        credential = {"type": "api_key", "provider": "openai", "key": f"sk-{number}"}
        state.auth(agent).upsert(f"openai:{number}", credential)
        return f"profile/openai:{number}"

    return put


def _session(state: State, number: int) -> str:
    state.sessions.resolve(f"k{number}")
    return f"k{number}"


def _mark(state: State, number: int) -> str:
    state.dedupe.check_and_record(f"m{number}", namespace="telegram")
    return f"m{number}"


def _setting(state: State, number: int) -> str:
    state.config.set("gateway.port", 18_000 + number)
    return ""


def _token(state: State, number: int) -> str:
    state.device_auth.set(f"t{number}", f"token-{number}")
    return f"token/t{number}"


def _request(state: State, number: int) -> str:
    state.pairing.request(user_id=f"u{number}", device_id=f"d{number}")
    return ""  # the key is the code, which nobody is told


def _note(state: State, number: int) -> str:
    state.collection(NOTES).put(f"n{number}", {"number": number})
    return f"n{number}"


CHANGES: dict[str, Callable[[State, int], str]] = {
    "memory": _add_memory,
    "transcripts": _append,
    "auth:main": _credential("main"),
    "auth:work": _credential("work"),
    "sessions": _session,
    "dedupe:telegram": _mark,
    "config": _setting,
    "device-auth": _token,
    "pairing": _request,
    "notes": _note,
}
"""By part: what changes it, and returns the key of the record, empty if it has none."""


def main() -> None:
    """Do what the arguments say, once a line on standard input says so."""
    root, engine, times = sys.argv[1:]
    with clawstate.open(Path(root), store=engine) as state:
        sys.stdin.readline()
        for number in range(int(times)):
            for part, change in CHANGES.items():
                if part != "pairing" or number < MOST_REQUESTS:
                    print(part, change(state, number), flush=True)  # noqa: T201 - for the starter


if __name__ == "__main__":
    main()
