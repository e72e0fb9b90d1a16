"""The command line `watch`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import clawstate


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
    assert lines(cli("watch", "--once", "--since", all_parts[0]["cursor"], "--json")) == []


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
