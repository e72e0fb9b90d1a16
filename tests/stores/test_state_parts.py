from __future__ import annotations

import threading

import pytest

import clawstate
from clawstate.errors import ClosedError

PARTS = [
    *("memory", "sessions", "transcripts", "pairing", "devices", "device_auth"),
    *("identity", "dedupe", "encryption"),
]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_made_once(state: clawstate.State, name: str) -> None:
    """Threads that ask for a part at the same moment get the same one."""
    together, found = threading.Barrier(8), []

    def ask() -> None:
        together.wait()
        found.append(getattr(state, name))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize("engine", ["file", "sqlite"])
def test_nothing_answers_after_closing(tmp_path, engine: str) -> None:
    """A closed state raises `ClosedError`, for parts that were used before and for others."""
    used = clawstate.open(tmp_path / "state", store=engine)
    used.memory.add("tea")
    used.transcripts.append("s", [{"role": "user", "content": "hello"}])
    used.sessions.resolve("k")
    unused = clawstate.open(tmp_path / "state", store=engine)

    for each in (used, unused):
        each.close()

        for call in (
            lambda state: state.memory.records(),
            lambda state: state.transcripts.stats(),
            lambda state: state.sessions.entries(),
            lambda state: state.auth().profiles(),
            lambda state: state.devices.paired(),
            lambda state: state.dedupe.seen("k"),
        ):
            with pytest.raises(ClosedError):
                call(each)
