from __future__ import annotations

from pathlib import Path

import pytest

import clawstate
from clawstate.errors import InvalidError


def test_a_moment_of_which_nobody_knows_brings_nothing_back(tmp_path: Path) -> None:
    """Long before the first change no text is known: nothing is taken from the file for it."""
    with clawstate.open(tmp_path) as state:
        state.config.set("gateway.port", 18790)

        with pytest.raises(InvalidError, match="30 days before the first change"):
            state.config.put_back("gateway", "1999-01-01")

        assert state.config.get("gateway.port") == 18790


def test_a_span_of_the_future_is_refused_by_its_beginning(tmp_path: Path) -> None:
    """A beginning that is still to come is named, and not the end that nobody gave."""
    with (
        clawstate.open(tmp_path) as state,
        pytest.raises(InvalidError, match="since: lies in the future"),
    ):
        state.memory.changes("2999-01-01")
