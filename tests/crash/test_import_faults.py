from __future__ import annotations

import os

import pytest
from harm import copied, some

import clawstate
from clawstate.importers.sync import import_paths
from faults import strace

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS = None if FULL else 24
# Calls by which something may come to be in the database.
CHANGING = {"openat", "pwrite64", "write", "fsync", "fdatasync", "ftruncate", "flock", "fcntl"}

pytestmark = pytest.mark.crash

# Forgets a file by its name, or with the folder that it vanished from.
SCRIPT = """
import sys
from pathlib import Path
import clawstate
from clawstate.importers.sync import import_paths
from clawstate.memory.backends.sqlite import engine
print("WARM")
root, how, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
with clawstate.open(root) as state:
    state.memory.imports.fingerprints()
    print("READY")
    if how == "forget":
        state.memory.imports.forget(str(folder / "gone.md"))
    else:
        import_paths(state.memory, [folder])
    print("END")
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "notes"
    made.mkdir()
    (made / "kept.md").write_text("The bread rises for twelve hours.\n")
    (made / "gone.md").write_text("The boiler is serviced in October.\n")
    return made


@pytest.mark.parametrize("how", ["forget", "import"])
def test_a_source_is_forgotten_whole_or_not_at_all(victim, tmp_path, folder, how) -> None:
    """Killed at any call, it leaves a whole source or none, and the next import removes that."""
    template = tmp_path / "template"
    with clawstate.open(template) as state:
        import_paths(state.memory, [folder])
    gone = folder / "gone.md"
    gone.unlink()
    with copied(template, tmp_path / "traced") as root:
        points = strace.trace(victim, root, how, folder)
    points = tuple(each for each in points if each.call in CHANGING)
    killed = []

    def kill(numbered):
        number, point = numbered
        with copied(template, tmp_path / f"killed{number}") as root:
            killed.append(strace.run_killed(victim, point, root, how, folder).killed)
            with clawstate.open(root) as state:
                memory = state.memory
                found = {each.source for each in memory.records()}
                assert memory.imports.fingerprints().keys() == found, point
                import_paths(memory, [folder])
                assert {each.source for each in memory.records()} == {str(folder / "kept.md")}
                # What was forgotten waits for the compaction, which this is not about.
                assert {each.code for each in memory.check()} <= {"memory-forgotten"}

    strace.spread(kill, enumerate(some(points, KILLS)))

    assert any(killed)
