from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from session_writer import SHARED

import clawstate

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
WRITERS, TIMES = (12, 200) if FULL else (4, 25)
WRITER = Path(__file__).with_name("session_writer.py")
SOURCE = Path(clawstate.__file__).parents[1]

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_many_processes_at_one_index_lose_nothing(tmp_path, store) -> None:
    """Each update of each process is in the index, and index, profiles and archive agree."""
    root = tmp_path / "state"
    with clawstate.open(root, store=store) as state:
        ids = {key: state.sessions.resolve(key).session_id for key in SHARED}
    writers = [
        subprocess.Popen(
            [sys.executable, WRITER, root, store, f"w{number}", str(TIMES)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    for each in writers:
        assert each.stdout.readline() == "READY\n"

    said = [each.communicate("go\n") for each in writers]

    assert [(each.returncode, err) for each, (_, err) in zip(writers, said, strict=True)] == [
        (0, "")
    ] * WRITERS
    with clawstate.open(root, store=store) as state:
        for place, key in enumerate(SHARED):
            entry = state.sessions.get(key)
            due = len(range(place, TIMES, len(SHARED)))
            assert entry.session_id == ids[key]
            assert entry.fields == {f"w{number}": due for number in range(WRITERS)}
        own = {each.session_key for each in state.sessions.entries()} - set(SHARED)
        left = {f"w{w}:{n}" for w in range(WRITERS) for n in range(5, TIMES, 10)}
        left |= {f"w{w}:{n}" for w in range(WRITERS) for n in range(0, TIMES, 10) if n + 5 >= TIMES}
        assert own == left
        gone = {each.session_key for each in state.sessions.archived()}
        assert gone == {f"w{w}:{n}" for w in range(WRITERS) for n in range(0, TIMES - 5, 10)}
        assert state.sessions.check() == ()


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_many_who_resolve_one_key_get_one_session(tmp_path, store) -> None:
    """However many create the same session at once, there is one, and all were told its id."""
    answers = []
    with clawstate.open(tmp_path / "state", store=store) as state:
        barrier = threading.Barrier(8)

        def resolve():
            barrier.wait()
            answers.append(state.sessions.resolve("k").session_id)

        threads = [threading.Thread(target=resolve) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        assert set(answers) == {state.sessions.get("k").session_id}
        assert len(answers) == 8
