from __future__ import annotations

import json

import pytest
from harm import kill_copies

import clawstate
from manual_clock import ManualClock

MANY = 40  # profiles, which are written at once
START, LATER = 1_800_000_000.0, 1_810_000_000.0
SCRIPT = """
import sys, warnings
from pathlib import Path
import clawstate, clawstate.state.sessions, clawstate.state.transcripts
import clawstate.state.sessions, clawstate.records.json_files, clawstate.config.schema.root
warnings.simplefilter("ignore")
print("WARM")
root, action, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("READY")
with clawstate.open(root, store="file", clock=lambda: 1_810_000_000.0) as state:
    if action == "prune":
        state.sessions.prune(older_than=1e9)
    else:
        entry = {"updatedAt": 1_810_000_000_000, "n": 2}
        state.sessions.merge({f"k{n}": {**entry, "sessionId": f"id{n}"} for n in range(count)})
    print("ACK")
"""

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::clawstate.errors.StateWarning"),
]


def test_a_killed_pruning_leaves_no_messages_for_ever(victim, tmp_path) -> None:
    """Killed at any call, what is gone for good goes with the next pruning, and nothing else."""
    template = tmp_path / "template"
    with clawstate.open(template, store="file", clock=ManualClock(START)) as state:
        for key in ("gone", "alive"):
            session = state.sessions.resolve(key)
            state.transcripts.append(session.session_id, {"role": "user", "content": key})
        state.transcripts.append("alone", {"role": "user", "content": "imported"})
        state.sessions.delete("gone")
        alive = state.sessions.require("alive").session_id

    def strange(root):
        with clawstate.open(root, store="file", clock=ManualClock(LATER)) as state:
            held = {each.session_id for each in state.transcripts.sessions()}
            archived, ended = state.sessions.archived(), state.sessions.ended_ids()
            problems = []
            if len(held) == 2 and archived:
                problems.append("what can be restored has no messages")
            if len(held) == 3 and not archived and not ended:
                problems.append("messages are left that nobody will remove")
            state.sessions.prune(older_than=1e9)
            left = {each.session_id for each in state.transcripts.sessions()}
            if left != {alive, "alone"} or state.sessions.archived() or state.sessions.ended_ids():
                problems.append(f"a second pruning leaves {left}")
            return problems

    kill_copies(victim, template, tmp_path, strange, "prune", str(MANY))


def test_many_profiles_at_once_are_old_or_new(victim, tmp_path) -> None:
    """Killed at any call, each profile is whole, and the doctor's mending makes all of them new."""
    template = tmp_path / "template"
    with clawstate.open(template, store="file", clock=ManualClock(START)) as state:
        entry = {"updatedAt": int(START * 1000), "n": 1}
        state.sessions.merge({f"k{n}": {**entry, "sessionId": f"id{n}"} for n in range(MANY)})

    def strange(root):
        profiles = (root / "sessions/profile").glob("*.json")
        numbers = {each.name: json.loads(each.read_text())["n"] for each in profiles}
        problems = [
            f"{name} is neither old nor new" for name, n in numbers.items() if n not in {1, 2}
        ]
        with clawstate.open(root, store="file", clock=ManualClock(LATER)) as state:
            seen = {each.fields["n"] for each in state.sessions.entries()}
            state.sessions.repair()
            if len(seen) != 1 or state.sessions.check():
                problems.append(f"healed, it is {seen} and {state.sessions.check()[:1]}")
        stray = [each.name for each in root.rglob("*.tmp") if "profile" in each.parts]
        return [*problems, *stray]

    kill_copies(victim, template, tmp_path, strange, "merge", str(MANY))
