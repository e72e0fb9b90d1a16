from __future__ import annotations

from pathlib import Path

import pytest
from harm import Case, fail_everywhere, interrupt_everywhere, kill_everywhere, need, prepared

from clawstate.testing.faults import strace
from clawstate.testing.faults.victim import Victim

pytestmark = [
    pytest.mark.crash,
    pytest.mark.filterwarnings("ignore::clawstate.errors.CorruptWarning"),
]

CASES = [
    *[
        Case(engine, operation, before)
        for engine in ("json", "sqlite")
        for operation in ("put", "update", "change_all", "delete")
        for before in ("fresh", "existing")
    ],
    Case("json", "put", "locked"),
    Case("json", "repair", "existing"),
    Case("json", "repair", "damaged"),
    Case("json", "repair", "hopeless"),
]
EVERY = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module")
def victim():
    need(strace.available())
    with Victim(Path(__file__).with_name("record_victim.py"), timeout=60) as made:
        yield made


@pytest.fixture
def template(victim, tmp_path, case):
    """Return a directory as it is before the operation."""
    made = tmp_path / "template"
    made.mkdir()
    return prepared(victim, made, case)


@EVERY
def test_a_kill_at_any_system_call_loses_nothing(victim, template, tmp_path, case) -> None:
    """A kill leaves old or new records with all acknowledged; the next writer enters at once."""
    kill_everywhere(victim, template, tmp_path, case)


@EVERY
def test_any_failing_system_call_is_survived(victim, template, tmp_path, case) -> None:
    """An error, once or for ever, is told as it is, and the victim works on when it is gone."""
    fail_everywhere(victim, template, tmp_path, case)


@EVERY
def test_an_interrupted_system_call_is_no_loss(victim, template, tmp_path, case) -> None:
    """A call that a signal interrupts is made again, and nobody is told."""
    interrupt_everywhere(victim, template, tmp_path, case)
