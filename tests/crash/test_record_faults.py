from __future__ import annotations

from pathlib import Path

import pytest
from harm import Case, fail_everywhere, interrupt_everywhere, kill_everywhere

pytestmark = [
    pytest.mark.crash,
    pytest.mark.filterwarnings("ignore::clawstate.errors.CorruptWarning"),
]

SCRIPT = Path(__file__).with_name("record_victim.py")
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
