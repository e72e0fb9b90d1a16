from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import ConflictError

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
PROCESSES, TURNS = 8, 60 if FULL else 12
SOURCE = Path(clawstate.__file__).parents[1]

# Appends turns to one session, and prints their ids; half of them go through compare-and-set.
WRITER = """
import json, sys
import clawstate
from clawstate.errors import ConflictError
root, name, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])
with clawstate.open(root, lock_timeout=60) as state:
    store = state.transcripts
    for number in range(turns):
        turn = [
            {"role": "user", "content": f"{name} {number}", "who": name},
            {"role": "assistant", "content": [{"type": "toolCall", "id": f"{name}{number}"}]},
            {"role": "toolResult", "toolCallId": f"{name}{number}", "content": "x" * 20000},
        ]
        while True:
            held = store.info("s")
            expected = {"expect_leaf": held and held.leaf} if number % 2 else {}
            try:
                ids = store.append("s", turn, strict=True, turn=f"{name}{number}", **expected)
            except ConflictError:
                continue
            break
        print(json.dumps(ids), flush=True)
    store.close()
"""

# Reads pages over and over, and fails if a turn is not whole.
READER = """
import sys
import clawstate
with clawstate.open(sys.argv[1]) as state:
    print("ready", flush=True)
    while state.transcripts.count("s") < int(sys.argv[2]):
        found = state.transcripts.messages("s")
        assert len(found) % 3 == 0, len(found)
        assert [each.role for each in found[-3:]] in ([], ["user", "assistant", "toolResult"])
    state.transcripts.close()
"""


def started(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


@pytest.mark.slow
def test_every_process_sees_turns_whole(tmp_path) -> None:
    """Of eight processes that append to one session no turn is lost, torn or mixed."""
    root = tmp_path / "state"
    total = PROCESSES * TURNS * 3
    reader = started(READER, root, total)
    writers = [started(WRITER, root, f"w{number}", TURNS) for number in range(PROCESSES)]

    told = [json.loads(line) for writer in writers for line in writer.communicate()[0].splitlines()]
    reader.communicate()

    assert {process.returncode for process in [reader, *writers]} == {0}
    with clawstate.open(root) as state:
        found = state.transcripts.messages("s")
        damage = state.transcripts.check()
        state.transcripts.close()
    ids = [each.id for each in found]
    turns = [ids[place : place + 3] for place in range(0, len(ids), 3)]
    assert sorted(turns) == sorted(told)
    assert len(set(ids)) == total
    assert [each.parent for each in found] == [None, *ids[:-1]]
    assert damage == []


def test_threads_of_one_store_lose_nothing(state) -> None:
    """Threads that append and read through one object keep every turn whole."""
    store = state.transcripts
    failures = []

    def work(name):
        try:
            for number in range(15):
                store.append("s", [{"role": "user", "content": f"{name}{number}"}] * 2)
                assert len(store.messages("s")) % 2 == 0
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.messages("s")
    store.close()

    assert failures == []
    assert len(found) == 120
    assert all(first.id == second.parent for first, second in pairwise(found))


def test_only_one_of_many_wins_a_leaf(state) -> None:
    """Of threads that expect the same leaf exactly one appends, the others conflict."""
    store = state.transcripts
    (leaf,) = store.append("s", {"role": "user", "content": "first"})
    won, lost = [], []

    def work(name):
        try:
            won.extend(store.append("s", {"role": "user", "content": name}, expect_leaf=leaf))
        except ConflictError:
            lost.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = store.count("s")
    store.close()

    assert (len(won), len(lost), count) == (1, 5, 2)
