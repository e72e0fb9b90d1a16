from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.clock import from_iso, from_ms, is_moment, system_clock, to_iso, to_ms
from clawstate.errors import InvalidError

LAST_MS = 253_402_214_400_000  # 9999-12-31
MILLISECONDS = st.integers(0, LAST_MS)


@given(MILLISECONDS)
def test_milliseconds_survive_seconds(milliseconds: int) -> None:
    """Every whole millisecond up to the year 9999 comes back from seconds as itself."""
    assert to_ms(from_ms(milliseconds)) == milliseconds


@given(MILLISECONDS)
def test_iso_text_survives_seconds(milliseconds: int) -> None:
    """The ISO text of a millisecond means the very same float of seconds."""
    seconds = from_ms(milliseconds)

    assert from_iso(to_iso(seconds)) == seconds


@given(MILLISECONDS, MILLISECONDS)
def test_iso_text_sorts_like_time(one: int, other: int) -> None:
    """The texts of two moments have the order of the moments."""
    assert (to_iso(from_ms(one)) < to_iso(from_ms(other))) == (one < other)


FIRST, LAST = datetime.fromisoformat("1970-01-02"), datetime.fromisoformat("9999-12-30")


@given(st.datetimes(FIRST, LAST, timezones=st.timezones()))
def test_any_zone_means_the_same_moment(moment: datetime) -> None:
    """ISO text with an offset is the moment that it names, to the microsecond."""
    seconds = from_iso(moment.isoformat())

    assert seconds == pytest.approx(moment.timestamp(), abs=1e-5)


@given(st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """Text is a time, or raises `InvalidError`: never anything else."""
    with contextlib.suppress(InvalidError):
        assert isinstance(from_iso(text), float)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01", 0.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("2026-02-27T09:30Z", 1_772_184_600.0),
        ("2026-02-27T09:30:00.250", 1_772_184_600.25),
        ("20260227T093000Z", 1_772_184_600.0),
    ],
)
def test_forms_of_iso_text(text: str, seconds: float) -> None:
    """Dates, offsets, fractions and the basic form are read; without a zone it is UTC."""
    assert from_iso(text) == seconds


def test_iso_text_has_one_form() -> None:
    """Written times are UTC with milliseconds, rounded."""
    assert to_iso(0) == "1970-01-01T00:00:00.000Z"
    assert to_iso(1_772_184_600.2516) == "2026-02-27T09:30:00.252Z"


def test_the_range_is_1970_to_9999() -> None:
    """Moments are the years 1970 to 9999, ends included; infinities and NaN are none."""
    assert is_moment(0)
    assert is_moment(from_ms(LAST_MS))
    assert not is_moment(-0.001)
    assert not is_moment(from_ms(LAST_MS) + 1)
    assert not is_moment(float("inf"))
    assert not is_moment(float("nan"))


def test_the_system_clock_is_the_machines() -> None:
    """The system clock gives seconds since the epoch."""
    before = time.time()

    now = system_clock()

    assert before <= now <= time.time()
    assert datetime.fromtimestamp(now, UTC).year >= 2024
