from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.errors import CorruptError, LimitError, NotFoundError
from clawstate.records.inmemory import InMemoryBackend
from clawstate.stores.pairing import ATTEMPTS, Attempts

WRONG = "AAAAAAAA"


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


def guess(state, count, **options):
    for _ in range(count):
        with pytest.raises(NotFoundError):
            state.pairing.approve(WRONG, **options)


def test_guessing_is_locked_out_even_where_it_is_right(state) -> None:
    """After five wrong codes the right one is refused as well, and stays good."""
    made = state.pairing.request(user_id="ada", device_id="phone")
    guess(state, 5)

    for attempt in (state.pairing.approve, state.pairing.reject):
        with pytest.raises(LimitError, match=r"try again in 12 s"):
            attempt(made.code)

    assert state.devices.paired() == ()
    assert state.pairing.pending() == (made,)


def test_who_waits_may_try_again(state, clock) -> None:
    """The error says how long to wait; after that one try is free, and after a minute all are."""
    made = state.pairing.request(user_id="ada", device_id="phone")
    guess(state, 5)

    clock.advance(12)
    guess(state, 1)
    with pytest.raises(LimitError):
        state.pairing.approve(WRONG)
    clock.advance(60)
    guess(state, 4)

    assert state.pairing.approve(made.code).device_id == "phone"


def test_a_restart_does_not_begin_anew(tmp_path, clock) -> None:
    """The count outlives the process."""
    for _ in range(5):
        with clawstate.open(tmp_path / "state", clock=clock) as state:
            guess(state, 1)

    with clawstate.open(tmp_path / "state", clock=clock) as state, pytest.raises(LimitError):
        state.pairing.approve(WRONG)


def test_each_place_has_its_own_tries(state) -> None:
    """One place that guesses locks another out only when all together are too many."""
    made = state.pairing.request(user_id="ada", device_id="phone")
    guess(state, 5, source="10.0.0.1")
    with pytest.raises(LimitError):
        state.pairing.approve(made.code, source="10.0.0.1")

    for number in range(2, 5):
        guess(state, 5, source=f"10.0.0.{number}")

    with pytest.raises(LimitError, match="20"):
        state.pairing.approve(made.code, source="10.0.0.9")


def test_rejecting_counts_as_well(state) -> None:
    """Rejecting cannot be used to find out which code is right."""
    for _ in range(5):
        with pytest.raises(NotFoundError):
            state.pairing.reject(WRONG)

    with pytest.raises(LimitError):
        state.pairing.reject(WRONG)


@pytest.mark.parametrize("jump", [3.2e8, -3.2e8])
def test_a_clock_that_jumps_locks_nobody_out(state, clock, jump) -> None:
    """After ten years forward or back all tries are free, and five wrong ones lock again."""
    guess(state, 5)

    clock.advance(jump)

    guess(state, 5)
    with pytest.raises(LimitError):
        state.pairing.approve(WRONG)


def test_places_that_are_quiet_are_forgotten(clock) -> None:
    """Many places, of whatever name, leave no growing file."""
    collection = InMemoryBackend().collection(ATTEMPTS)
    attempts = Attempts(collection, clock=clock)
    for number in range(60):
        attempts.admit("\ud800" * 2000 + str(number), right=False)
        clock.advance(20)

    assert collection.count() <= 7


def test_a_right_code_writes_nothing(state) -> None:
    """Only wrong codes are counted."""
    made = state.pairing.request(user_id="ada", device_id="phone")

    state.pairing.approve(made.code)

    assert not (state.paths.root / "state" / "pairing-attempts.json").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"version": 1, "attempts": []}', '{"version": 2, "attempts": {}}']
)
def test_a_damaged_count_lets_nobody_guess(tmp_path, clock, text) -> None:
    """While the count cannot be read, no code is accepted, and the file is left as it is."""
    path = tmp_path / "state" / "state" / "pairing-attempts.json"
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        made = state.pairing.request(user_id="ada", device_id="phone")
        path.write_text(text)

        with pytest.raises(CorruptError):
            state.pairing.approve(made.code)

    assert path.read_text() == text


@pytest.mark.parametrize(
    "strange", [7, [], {"left": "many", "atMs": True}, {"left": 2**60, "atMs": 0}]
)
def test_a_strange_count_is_no_free_try(tmp_path, clock, strange) -> None:
    """A record that cannot be a count means that none is left, for as long as that takes."""
    path = tmp_path / "state" / "state" / "pairing-attempts.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": 1, "attempts": {"all": strange}}))

    with clawstate.open(tmp_path / "state", clock=clock) as state:
        with pytest.raises(LimitError):
            state.pairing.approve(WRONG)
        clock.advance(60)
        guess(state, 5)
