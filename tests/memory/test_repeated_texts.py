"""What the database does for texts that come again and again, as heartbeats and boilerplate do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

import clawstate
from clawstate.importers.sync import import_paths

BATCH = 300
BATCHES = 6


class Steps:
    """Counts the steps of SQLite's virtual machine, in all connections of this process."""

    def __init__(self) -> None:
        self._count = 0

    def watch(self, connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._add)

    def _add(self, event: dict) -> None:
        # Those of a virtual table are prepared once, and told with all that they did before.
        if "'main'." not in event["sql"]:
            self._count += event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

    def of(self, call: Callable[[], object]) -> int:
        before = self._count
        call()
        return self._count - before


@pytest.fixture
def steps():
    counted = Steps()
    apsw.connection_hooks.append(counted.watch)
    yield counted
    apsw.connection_hooks.remove(counted.watch)


@pytest.fixture
def memory(steps, tmp_path):
    with clawstate.open(tmp_path / "state") as state:
        yield state.memory


def unlike(number: int) -> list[str]:
    return [f"HEARTBEAT {number * BATCH + each} OK" for each in range(BATCH)]


def costs(memory, steps: Steps, text: str) -> list[int]:
    """Return what it costs to add *text*, to change that and to forget it."""
    record_id = ""

    def add() -> None:
        nonlocal record_id
        record_id = memory.add(text, tags=["x"])

    return [
        steps.of(add),
        steps.of(lambda: memory.update(record_id, importance=1)),
        steps.of(lambda: memory.update(record_id, text="another text")),
        steps.of(lambda: memory.update(record_id, text=text)),
        steps.of(lambda: memory.delete(record_id)),
    ]


def test_a_text_that_is_there_often_costs_no_more(memory, steps) -> None:
    """Whatever is done with one more copy costs the same among two copies and among thousands."""
    memory.add_many([{"text": "HEARTBEAT_OK"}] * 2)
    costs(memory, steps, "HEARTBEAT_OK")
    few = costs(memory, steps, "HEARTBEAT_OK")
    memory.add_many([{"text": "HEARTBEAT_OK"}] * 5000)

    many = costs(memory, steps, "HEARTBEAT_OK")

    assert [one <= 1.2 * other for one, other in zip(many, few, strict=True)] == 5 * [True]


def test_a_file_of_repeated_lines_costs_no_more(memory, steps, tmp_path: Path) -> None:
    """Lines of which half are equal cost what lines do that are all unlike, also when they go."""

    def taken(name: str, texts: list[str]) -> int:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        counted = steps.of(lambda: import_paths(memory, [path]))
        path.write_text(json.dumps({"text": "the rest"}))
        return counted + steps.of(lambda: import_paths(memory, [path]))

    memory.add("the first write makes the tables")
    texts = [text for number in range(BATCHES) for text in unlike(number)]
    half = ["HEARTBEAT_OK" if place % 2 else text for place, text in enumerate(texts)]

    assert taken("half.jsonl", half) < 1.2 * taken("unlike.jsonl", [f"{each} !" for each in texts])
