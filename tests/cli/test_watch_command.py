"""The command line `watch`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

import clawstate
from feed_writer import NOTES


def lines(ran):
    return [json.loads(line) for line in ran.out.splitlines()]


def test_it_goes_on_from_a_cursor(cli, tmp_path) -> None:
    """What moved since a cursor is printed line by line, of the parts that were named."""
    (begun,) = lines(cli("watch", "--once", "--json"))
    with clawstate.open(tmp_path / "state") as state:
        state.sessions.resolve("telegram:42")
        state.memory.add("a blue lobster")
    since = begun["cursor"]

    all_parts = lines(cli("watch", "--once", "--since", since, "--json"))
    one = cli("watch", "sessions", "--once", "--since", since)

    assert {each["part"] for each in all_parts} == {"sessions", "memory"}
    assert one.out == "sessions  telegram:42\n"
    assert lines(cli("watch", "--once", "--since", all_parts[-1]["cursor"], "--json")) == []


def test_a_cursor_that_is_none_is_told(cli) -> None:
    """After a cursor that is not known anything may have moved."""
    (told,) = lines(cli("watch", "--once", "--since", "x", "--json"))

    assert (told["part"], told["keys"], told["complete"]) == (None, None, False)
    assert "anything may have moved" in cli("watch", "--once", "--since", "x").out


def test_it_prints_until_it_is_interrupted(environment, tmp_path) -> None:
    """Each change of another process is a line at once; Ctrl-C ends it with 130."""
    root = tmp_path / "state"
    command = [sys.executable, "-m", "clawstate", "watch", "--json", "--interval", "0.01"]
    with clawstate.open(root) as state:
        state.sessions.resolve("first")
        process = subprocess.Popen(
            [*command, "--since", state.changes().cursor],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for key in ("one", "two"):
                state.sessions.resolve(key)
                told = {"keys": ()}
                while told["keys"] is not None and key not in told["keys"]:
                    told = json.loads(process.stdout.readline())
                assert told["part"] == "sessions"
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        finally:
            process.kill()
            process.communicate()

    assert process.returncode == 130


def test_a_reader_may_stop_after_any_line(cli, tmp_path) -> None:
    """Whoever goes on from the cursor of any line is told all that came after that line."""
    (begun,) = lines(cli("watch", "--once", "--json"))
    with clawstate.open(tmp_path / "state") as state:
        state.sessions.resolve("telegram:42")
        state.memory.add("a blue lobster")
        state.config.set("gateway.port", 18_790)

    told = lines(cli("watch", "--once", "--since", begun["cursor"], "--json"))

    assert len(told) == 3
    for number, line in enumerate(told):
        rest = lines(cli("watch", "--once", "--since", line["cursor"], "--json"))
        assert {each["part"] for each in told[number + 1 :]} <= {each["part"] for each in rest}
    assert rest == []


def test_a_key_forges_no_line(cli, tmp_path) -> None:
    """What a key holds stays within its line, and steers no terminal."""
    (begun,) = lines(cli("watch", "--once", "--json"))
    with clawstate.open(tmp_path / "state", store="sqlite") as state:
        state.collection(NOTES).put("a\nsessions  \rforged\x1b[2J", {})

    told = cli("watch", "--once", "--since", begun["cursor"]).out

    assert told == "notes  a\\nsessions  \\rforged\\x1b[2J\n"


@pytest.mark.parametrize("part", ["nosuchpart", "", "auth", "a\nb"])
def test_a_part_that_is_none_is_an_error(cli, part) -> None:
    """A part that there is not is refused with the names of those that there are."""
    ran = cli("watch", part, "--once")

    assert ran.code != 0
    assert "sessions" in ran.err
    assert "dedupe:NAME" in ran.err


def test_own_records_are_a_part(cli, tmp_path) -> None:
    """Rows that a program keeps for itself may be watched by their name."""
    with clawstate.open(tmp_path / "state", store="sqlite") as state:
        state.collection(NOTES).put("a", {})
        cursor = state.changes().cursor
        state.collection(NOTES).put("b", {})
        state.config.set("state.store", "sqlite")

    assert cli("watch", "notes", "--once", "--since", cursor).out == "notes  b\n"


def test_another_directory_ends_it(environment, tmp_path) -> None:
    """Where the state was replaced by another directory, nothing more can be told: an error."""
    root = tmp_path / "state"
    with clawstate.open(root) as state:
        state.sessions.resolve("first")
        cursor = state.changes().cursor
        state.sessions.resolve("second")
    process = subprocess.Popen(
        [sys.executable, "-m", "clawstate", "watch", "--interval", "0.01", "--since", cursor],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline().startswith("sessions")
        root.rename(tmp_path / "away")
        root.mkdir(mode=0o700)
        _, told = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode not in {0, None}
    assert "another directory" in told
