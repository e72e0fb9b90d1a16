from __future__ import annotations

import pytest

from clawstate.quantities import age_text, number_of


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ((0, "record"), "0 records"),
        ((1, "record"), "1 record"),
        ((2, "record"), "2 records"),
        ((12_345, "record"), "12,345 records"),
        ((2, "entry"), "2 entries"),
        ((2, "day"), "2 days"),
        ((1, "record waits", "records wait"), "1 record waits"),
        ((1_000, "record waits", "records wait"), "1,000 records wait"),
    ],
)
def test_a_number_stands_with_the_word_that_fits_it(given, written) -> None:
    """One is told in the singular, all else in the plural, thousands with a comma."""
    assert number_of(*given) == written


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (1, "1 second"), (61, "1 minute"), (7200, "2 hours"), (200_000, "2 days")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    """An age is a whole number of the largest unit of which it holds one."""
    assert age_text(seconds) == text
