from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import clawstate

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
ROUNDS = 8 if FULL else 1
SOURCE = Path(clawstate.__file__).parents[1]

# Waits for a line, does one thing, and says what came of it as JSON.
DO = """
import json, sys
import clawstate
from clawstate.errors import StateError
root, store, verb, what = sys.argv[1:]
with clawstate.open(root, store=store, lock_timeout=60.0) as state:
    state.devices.paired()
    print("READY", flush=True)
    sys.stdin.readline()
    try:
        if verb == "approve":
            told = ["done", state.pairing.approve(what).token]
        elif verb == "reject":
            told = ["done", state.pairing.reject(what).device_id]
        elif verb == "request":
            told = ["done", state.pairing.request(user_id="ada", device_id=what).code]
        elif verb == "rotate":
            told = ["done", state.devices.rotate(what).token]
        else:
            told = ["done", state.devices.revoke(what)]
    except StateError as error:
        told = [error.code, str(error)]
print(json.dumps(told))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(params=["file", "sqlite"])
def crowd(request, tmp_path):
    """Give a function that lets a process for each deed begin at the same moment."""
    root = tmp_path / "state"

    def run(*deeds):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", DO, str(root), request.param, *deed],
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for deed in deeds
        ]
        for each in processes:
            assert each.stdout.readline() == "READY\n"
        for each in processes:
            each.stdin.write("go\n")
            each.stdin.flush()
        return [json.loads(each.communicate(timeout=120)[0]) for each in processes]

    run.open = lambda: clawstate.open(root, store=request.param)
    return run


@pytest.mark.parametrize("number", range(ROUNDS))
def test_of_a_crowd_that_approves_one_wins(crowd, number) -> None:
    """Sixteen processes approve one code: one gets the token, which is good; others are told."""
    with crowd.open() as state:
        made = state.pairing.request(user_id="ada", device_id=f"phone{number}")

    told = crowd(*[("approve", made.code)] * 16)

    tokens = [said for what, said in told if what == "done"]
    assert len(tokens) == 1
    assert {what for what, _ in told} == {"done", "not_found"}
    with crowd.open() as state:
        assert state.devices.verify(made.device_id, tokens[0])
        assert state.pairing.pending() == ()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_code_is_approved_or_rejected(crowd, number) -> None:
    """Of eight that approve and eight that reject at once, one is told that it did."""
    with crowd.open() as state:
        made = state.pairing.request(user_id="ada", device_id=f"phone{number}")

    told = crowd(*[("approve", made.code), ("reject", made.code)] * 8)

    tokens = [said for (what, said) in told[::2] if what == "done"]
    rejections = [said for (what, said) in told[1::2] if what == "done"]
    assert len(tokens) + len(rejections) == 1
    with crowd.open() as state:
        assert state.pairing.pending() == ()
        assert len(state.devices.paired()) == len(tokens)


def test_a_crowd_of_requests_keeps_the_limit(crowd) -> None:
    """Of sixteen devices that ask at once, three get a code, and each a different one."""
    told = crowd(*[("request", f"phone{number}") for number in range(16)])

    codes = [said for what, said in told if what == "done"]
    assert len(codes) == len(set(codes)) == 3
    assert {what for what, _ in told} == {"done", "limit"}
    with crowd.open() as state:
        assert {each.code for each in state.pairing.pending()} == set(codes)


def test_a_crowd_of_guesses_keeps_the_limit(crowd) -> None:
    """Of sixteen wrong codes at once, five are looked at."""
    told = crowd(*[("approve", "AAAAAAAA")] * 16)

    assert sorted(what for what, _ in told) == ["limit"] * 11 + ["not_found"] * 5


def test_after_a_revocation_no_token_is_good(crowd) -> None:
    """However rotations and a revocation meet, the device is out, and one revocation tells so."""
    with crowd.open() as state:
        state.devices.issue(device_id="phone", user_id="ada")

    told = crowd(*[("rotate", "phone"), ("revoke", "phone")] * 4)

    tokens = [said for what, said in told[::2] if what == "done"]
    assert [said for what, said in told[1::2]].count(True) == 1
    with crowd.open() as state:
        assert not [each for each in tokens if state.devices.verify("phone", each)]
