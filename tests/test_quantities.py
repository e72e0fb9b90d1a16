from __future__ import annotations

import pytest

from clawstate.quantities import number_of


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
