"""The policy of the setting `memory.retention`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import clawstate
from clawstate import ConfigError, InvalidError, RetentionPolicy, RetentionRule

DAY = 86_400.0


def test_a_setting_is_a_policy(tmp_path: Path, clock) -> None:
    """Its rules are those of a policy in code, and `retain` without one applies it."""
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        memory = state.memory
        chat = memory.add("hello", tags=["chat"])
        junk = memory.add("weather", importance=0.1)
        clock.advance(100 * DAY)
        kept = memory.add("tea", tags=["chat"])
        rules = [
            {"tag": "chat", "olderThan": "90d"},
            {"action": "forget", "importanceBelow": 0.3},
        ]
        state.config.set("memory.retention", {"rules": rules, "archiveFor": "1y"})

        told = memory.retain(dry_run=True)
        done = memory.retain()

        assert memory.retention_policy() == RetentionPolicy(
            rules=(
                RetentionRule(tag="chat", older_than=90 * DAY),
                RetentionRule(action="forget", importance_below=0.3),
            ),
            archive_for=365.25 * DAY,
        )
        assert (told.archived, told.forgotten, told.is_dry) == ((chat,), (junk,), True)
        assert (done.archived, done.forgotten) == ((chat,), (junk,))
        assert [each.id for each in memory.records()] == [kept]


def test_no_setting_is_no_policy(tmp_path: Path) -> None:
    """Without one `retain` refuses, so nothing leaves by chance."""
    with clawstate.open(tmp_path / "state") as state:
        assert state.memory.retention_policy() is None
        with pytest.raises(InvalidError, match=r"memory\.retention"):
            state.memory.retain()


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"namespace": "work"},
        {"action": "forget"},
        {"olderThn": "90d", "tag": "chat"},
        {"olderThan": "soon"},
        {"importanceBelow": "low"},
        {"tag": ""},
        {"action": "burn", "tag": "chat"},
        "chat",
    ],
    ids=str,
)
def test_a_rule_that_is_not_understood_keeps_everything(tmp_path: Path, rule: object) -> None:
    """A slip in a rule names its place, and no record leaves, also by the other rules."""
    place = tmp_path / "state"
    place.mkdir()
    text = json.dumps({"memory": {"retention": {"rules": [{"tag": "chat"}, rule]}}})
    (place / "openclaw.json").write_text(text)
    with clawstate.open(place) as state:
        state.memory.add("hello", tags=["chat"])

        with pytest.raises(ConfigError, match=r"memory\.retention\.rules"):
            state.memory.retain()

        assert len(state.memory.records()) == 1
