from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from clawstate.clock import system_clock
from clawstate.config.editing import plan_set
from clawstate.config.history import History
from clawstate.config.loading import Loaded, load
from clawstate.config.rewrite import EditPlan
from clawstate.config.service import Config
from clawstate.config.writing import Writer
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths
from clawstate.json5.parse import parse_json5
from clawstate.testing.forked import Child, child_processes

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
WRITERS, EDITS = (16, 50) if FULL else (8, 20)
STRANGERS_EDITS = 200 if FULL else 20
PATIENT = LockOptions(timeout=240.0)

TEXT = """// what my agent is
{
  gateway: {
    mode: 'local', // never remote
    port: 0x4965,
  },

  /* what it knows */
  env: {
    vars: {
      FIRST: "${HOME}", // stays
    },
  },
}
"""
COMMENTS = ("// what my agent is\n", "// never remote\n", "/* what it knows */\n", "// stays\n")


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    (tmp_path / "state").mkdir(mode=0o700)
    made = StatePaths(tmp_path / "state")
    made.config.write_text(TEXT)
    return made


def opened(paths: StatePaths) -> Config:
    return Config(paths, env={"HOME": "/h"}, cwd=paths.root, lock=PATIENT)


def statuses(work, writers: int) -> list[int]:
    """Return how *writers* processes ended that each did *work* with its number."""
    with child_processes() as fork:

        def numbered(number: int) -> Child:
            return fork(lambda _: work(number))

        return [child.wait() for child in [numbered(number) for number in range(writers)]]


def edited(paths: StatePaths, number: int) -> None:
    config = opened(paths)
    for count in range(EDITS):
        config.set(f"env.vars.W{number}_{count}", f"{number} {count}")


def expected() -> dict[str, str]:
    edits = [(number, count) for number in range(WRITERS) for count in range(EDITS)]
    return {f"W{number}_{count}": f"{number} {count}" for number, count in edits}


@contextmanager
def hammered(path: Path) -> Iterator[list[str]]:
    """Give what is wrong with *path*, which a thread reads and parses all the time."""
    wrong: list[str] = []
    ended = threading.Event()

    def read() -> None:
        most = 0
        while not ended.is_set():
            try:
                found = parse_json5(path.read_bytes(), path=path)
            except Exception as error:  # noqa: BLE001 - any is one too many
                wrong.append(repr(error))
                return
            count = len(found["env"]["vars"])
            if count < most:
                wrong.append(f"{most} keys became {count}")
            most = max(most, count)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        thread.join()


@pytest.mark.slow
def test_edits_of_many_processes_are_all_there(paths: StatePaths) -> None:
    """No edit of any process is lost, the file is whole at every instant, comments stay."""
    with hammered(paths.config) as wrong:
        ends = statuses(lambda number: edited(paths, number), WRITERS)

    config, text = opened(paths), paths.config.read_text()
    assert ends == [0] * WRITERS
    assert wrong == []
    assert config.get("env.vars") == {"FIRST": "/h", **expected()}
    assert all(text.count(comment) == 1 for comment in COMMENTS)
    assert 'FIRST: "${HOME}"' in text
    assert "0x4965" in text
    last = WRITERS * EDITS
    numbers = [change.number for change in config.history()]
    assert numbers == list(range(last + 1 - len(numbers), last + 1))
    trail = (paths.logs_dir / "config-audit.jsonl").read_text().splitlines()
    assert len(trail) == last
    hashes = [(line["previousHash"], line["nextHash"]) for line in map(json.loads, trail)]
    assert all(one[1] == two[0] for one, two in pairwise(hashes))
    assert not list(paths.root.glob("*.tmp"))


@pytest.mark.slow
def test_edits_of_several_files_share_one_history(paths: StatePaths) -> None:
    """Processes that change different included files of one state lose no change either."""
    names = [f"part{number}.json5" for number in range(4)]
    for number, name in enumerate(names):
        (paths.root / name).write_text(f"{{env: {{vars: {{P{number}: 'x'}}}}}}")
    included = ", ".join(f"'./{name}'" for name in names)
    paths.config.write_text(f"{{$include: [{included}]}}")

    def work(number: int) -> None:
        config = opened(paths)
        for count in range(10):
            config.set(f"env.vars.P{number}", f"v{count}")

    ends = statuses(work, 4)

    config = opened(paths)
    assert ends == [0] * 4
    assert config.get("env.vars") == {f"P{number}": "v9" for number in range(4)}
    changes = config.history()
    assert [change.number for change in changes] == list(range(1, 41))
    assert all(config.diff(change.number) for change in changes)


@pytest.mark.slow
def test_writer_without_a_lock_costs_none_of_our_edits(paths: StatePaths) -> None:
    """Beside a program that takes no lock, each edit adds its key to what is there, and no more."""
    paths.config.write_text(json.dumps({"gateway": {"mode": "local"}, "env": {"vars": {}}}))
    strange = paths.root / "strange"
    strange.write_text(f"{digest(paths.config.read_bytes())}\n")

    def stranger(_: Child) -> None:
        for count in range(STRANGERS_EDITS):
            found = json.loads(paths.config.read_bytes())
            found["env"]["vars"][f"S{count}"] = "stranger"
            temporary = paths.root / "openclaw.json.stranger"
            temporary.write_text(json.dumps(found, indent=2))
            with strange.open("a") as known:
                known.write(f"{digest(temporary.read_bytes())}\n")
            temporary.rename(paths.config)

    with child_processes() as fork:
        other = fork(stranger)
        ends = statuses(lambda number: edited(paths, number), 3)
        ends.append(other.wait())

    assert ends == [0] * 4
    trail = (paths.logs_dir / "config-audit.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in trail]
    assert len(lines) == 3 * EDITS
    ours = {line["nextHash"] for line in lines} | set(strange.read_text().split())
    assert {line["previousHash"] for line in lines} <= ours
    history = History(paths.config)
    for change in history.changes():
        before, after = (known(history.text(name or "")) for name in (change.before, change.after))
        (key,) = change.paths
        assert before | {key.removeprefix("env.vars.")} == after


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("way", ["renamed", "in place"])
def test_change_between_our_read_and_our_rename_is_noticed(
    paths: StatePaths, at: int, way: str
) -> None:
    """Whatever somebody writes after we read, however quickly, is in what we then write."""
    calls = 0

    def plan(loaded: Loaded) -> EditPlan | None:
        nonlocal calls
        calls += 1
        planned = plan_set(loaded, ("env", "vars", "OURS"), "x")
        if calls == at:
            found = paths.config.read_text().replace("stays", f"STAY{calls}")
            place = paths.root / "new" if way == "renamed" else paths.config
            place.write_text(found)
            place.rename(paths.config)
        elif calls < at:
            os.utime(paths.config)
        return planned

    config = opened(paths)
    writer = Writer(
        path=paths.config,
        load=lambda: load(paths.config, paths=paths, env={"HOME": "/h"}, cwd=paths.root),
        trail=paths.logs_dir / "config-audit.jsonl",
        clock=system_clock,
        lock=PATIENT,
    )
    writer.write(plan, force=False)

    assert calls > at
    assert f"STAY{at}" in paths.config.read_text()
    assert config.get("env.vars.OURS") == "x"
    assert len(config.history()) == 1


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def known(content: bytes) -> set[str]:
    return set(json.loads(content)["env"]["vars"])
