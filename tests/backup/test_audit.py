"""The chain over memory and transcripts, and what it shows."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agmi.attacks.at_rest import AT_REST_ATTACKS_WITH_SNAPSHOT

import clawstate
from backup.integrity_adapter import ClawstateAdapter
from clawstate.errors import InvalidError, NotFoundError, StateError, UnavailableError


@pytest.fixture
def audited(tmp_path: Path):
    with clawstate.open(tmp_path / "state") as state:
        state.memory.add("Ada prefers green tea", tags=["drinks"])
        state.transcripts.append("talk", {"role": "user", "content": "at nine"})
        state.audit.turn_on(f"file:{tmp_path / 'key'}", head=tmp_path / "head")
        yield state


def change(state, sql: str) -> None:
    connection = sqlite3.connect(state.paths.memory_db)
    connection.execute(sql)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("attack", AT_REST_ATTACKS_WITH_SNAPSHOT, ids=lambda each: each.name)
def test_each_kind_of_tampering_is_reported(attack) -> None:
    """What an outside suite does to the rows behind our back is named by the next proof."""
    result = attack().run(ClawstateAdapter())

    assert (result.status, result.error, result.guard) == ("safe", None, None)


def test_what_programs_do_holds(audited) -> None:
    """Adding, changing, superseding, archiving, forgetting, and talking break nothing."""
    memory = audited.memory
    ids = memory.add_many([{"text": f"note {number}", "tags": ["n"]} for number in range(50)])
    memory.update(ids[0], text="another text", tags=["m"])
    memory.supersede(ids[1], "a newer text")
    memory.forget(ids[2:5])
    memory.delete_many(ids[5:9])
    memory.compact()
    memory.optimize()
    audited.transcripts.append("talk", {"role": "assistant", "content": "at ten"})
    audited.transcripts.fork("talk", audited.transcripts.messages("talk")[0].id, "other")
    audited.transcripts.delete("other")

    report = audited.audit.verify()

    assert report.broken is None
    assert report.links > 8


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tags SET tag = 'poison'",
        "UPDATE messages SET entry = replace(entry, 'nine', 'noon')",
        "DELETE FROM messages",
        "UPDATE transcripts SET session_id = 'other'",
        "UPDATE scopes SET namespace = 'other'",
        "DELETE FROM clawstate_audit WHERE number = 2",
        "DELETE FROM clawstate_audit WHERE number = (SELECT max(number) FROM clawstate_audit)",
        "UPDATE clawstate_audit SET rows = '[]' WHERE number = 2",
        "UPDATE clawstate_audit SET number = -number; ",
    ],
)
def test_what_was_changed_is_named(audited, sql: str) -> None:
    """Each change that no program of ours made is found, in rows and in the chain itself."""
    change(audited, sql)

    assert audited.audit.verify().broken is not None


def test_a_printed_head_is_enough(audited) -> None:
    """An older copy of everything, the file of the head too, is told by a head that was printed."""
    root = audited.paths.root
    audited.memory.add("before")
    kept = root.with_name("kept")
    shutil.copytree(root, kept)
    outside = (root.parent / "head").read_text()
    audited.memory.add("after")
    head = audited.audit.head()
    audited.close()
    shutil.rmtree(root)
    shutil.copytree(kept, root)
    (root.parent / "head").write_text(outside)

    with clawstate.open(root) as state:
        assert state.audit.verify().holds
        assert "taken back" in str(state.audit.verify(heads=[head]).broken)


def test_without_the_key_nothing_is_written(audited, tmp_path: Path) -> None:
    """A writer that has no key is refused, so that no change stays out of the chain."""
    (tmp_path / "key").rename(tmp_path / "away")

    with (
        clawstate.open(audited.paths.root) as state,
        pytest.raises((UnavailableError, InvalidError)),
    ):
        state.memory.add("unseen")

    (tmp_path / "away").rename(tmp_path / "key")
    assert audited.audit.verify().holds


def test_key_and_head_stay_outside(state) -> None:
    """A key or a head within the state would be changed together with it."""
    state.memory.add("something")
    with pytest.raises(StateError):
        state.audit.turn_on(f"file:{state.paths.root / 'key'}")
    with pytest.raises(StateError):
        state.audit.turn_on("file", head=state.paths.root / "head")
    with pytest.raises(NotFoundError):
        state.audit.verify()


def test_two_processes_make_one_chain(audited, tmp_path: Path) -> None:
    """Links of several processes follow each other, and all of them hold."""
    script = (
        "import sys, clawstate\n"
        "with clawstate.open(sys.argv[1]) as state:\n"
        "    for number in range(20): state.memory.add(f'{sys.argv[2]} {number}')\n"
    )
    command = [sys.executable, "-c", script, str(audited.paths.root)]
    running = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    for each in running:
        assert each.wait() == 0

    assert audited.audit.verify().holds
    assert audited.audit.head()[0] >= 41


def test_the_command_line_tells_by_its_exit_code(audited, tmp_path: Path) -> None:
    """`audit verify` ends with 1 and names what was changed; with 0 while all holds."""
    command = [sys.executable, "-m", "clawstate", "--json", "--state-dir", str(audited.paths.root)]

    def run(*words: str) -> tuple[int, dict]:
        done = subprocess.run([*command, "audit", *words], capture_output=True, check=False)
        return done.returncode, json.loads(done.stdout)

    assert run("verify")[0] == 0
    change(audited, "UPDATE memories SET content = 'Ada prefers coffee'")
    code, told = run("verify")
    assert code == 1
    assert "row 1 of memories" in told["problem"]


@pytest.mark.slow
def test_the_chain_costs_little_of_a_write(tmp_path: Path) -> None:
    """A durable write takes at most a quarter more processor time with a chain."""
    spent = {}
    for name in ("plain", "chained"):
        with clawstate.open(tmp_path / name) as state:
            state.memory.add("the first")
            if name == "chained":
                state.audit.turn_on(f"file:{tmp_path / 'key'}", head=tmp_path / "head")
            begun = time.process_time()
            for number in range(2000):
                state.memory.add(f"note {number} about tea and other things")
            spent[name] = time.process_time() - begun

    assert spent["chained"] / spent["plain"] < 1.25, spent
