from __future__ import annotations

from pathlib import Path

import clawstate


def test_a_receipt_tells_of_a_memory_that_was_set_aside(tmp_path: Path) -> None:
    """While a memory that was moved away is kept, nobody is told that no byte is left."""
    with clawstate.open(tmp_path) as state:
        record = state.memory.add("Ada prefers green tea")
        aside = tmp_path / "state" / "set-aside" / "2026-01-01T00-00-00.000Z" / "memory"
        aside.mkdir(parents=True)

        told = state.memory.forget([record])

        assert not told.gone
        assert "store clean" in str(told.waits_for)
        aside.rmdir()
        assert state.memory.compact().complete
