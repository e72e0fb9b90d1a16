"""What a damaged `records.db` keeps of credentials, sessions and devices."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

import clawstate
from clawstate.doctor import examine, salvage

KEY = "sk-0123456789abcdef"


def fill(root: Path) -> None:
    with clawstate.open(root, store="sqlite") as state:
        for number in range(30):
            profile = {"type": "api_key", "provider": "openai", "key": f"{KEY}-{number}"}
            state.auth().upsert(f"openai:{number}", profile)
            state.sessions.resolve(f"telegram:{number}")
            state.dedupe.check_and_record(f"update-{number}", namespace="telegram")


def kept(root: Path) -> tuple[object, ...]:
    with clawstate.open(root, store="sqlite") as state:
        return (
            [state.auth().secret(f"openai:{n}") for n in range(30)],
            [state.sessions.get(f"telegram:{n}") for n in range(30)],
            [state.dedupe.seen(f"update-{n}", namespace="telegram") for n in range(30)],
        )


def damage(path: Path, way: str) -> None:
    whole = path.read_bytes()
    first = {
        "zeros": bytes(4096),
        "noise": random.Random(1).randbytes(4096),
        "cut": whole[100:4096],
        "list": whole[:100] + bytes(3996),
    }
    path.write_bytes(first[way] + whole[4096:])


SLOW = [pytest.param(each, marks=pytest.mark.slow) for each in ("noise", "cut")]


@pytest.mark.parametrize("way", ["zeros", "list", *SLOW])
def test_a_lost_list_of_tables_loses_no_record(tmp_path: Path, way: str) -> None:
    """Where the first page is lost, every record is found by its page, and the state goes on."""
    fill(tmp_path)
    before = kept(tmp_path)
    damage(tmp_path / "state" / "records.db", way)

    with clawstate.open(tmp_path, store="sqlite") as state:
        found, left = salvage(state)

    assert [each for each in left if each.severity == "error"] == []
    assert any(each.fix.startswith("saved ") for each in found)
    assert kept(tmp_path) == before
    with clawstate.open(tmp_path, store="sqlite") as state:
        state.sessions.resolve("telegram:new")
        assert examine(state) == []


def test_nothing_of_a_secret_is_told(tmp_path: Path) -> None:
    """The command names the file and counts its records, and shows none of them."""
    fill(tmp_path)
    damage(tmp_path / "state" / "records.db", "zeros")

    command = [sys.executable, "-m", "clawstate", "--state-dir", str(tmp_path)]
    command += ["--store", "sqlite", "doctor", "--salvage"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    assert "saved" in done.stdout
    assert "records.db" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_whoever_followed_the_records_is_told_that_all_may_have_moved(tmp_path: Path) -> None:
    """A cursor from before is not good any more: which records were lost is not known."""
    fill(tmp_path)
    with clawstate.open(tmp_path, store="sqlite") as state:
        cursor = state.changes().cursor
    damage(tmp_path / "state" / "records.db", "zeros")
    with clawstate.open(tmp_path, store="sqlite") as state:
        salvage(state)

        assert not state.changes(cursor).complete
