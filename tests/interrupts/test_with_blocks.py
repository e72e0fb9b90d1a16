"""Where a `with` block lies, also in code whose exception table is in no form that is known."""

from __future__ import annotations

import sys

import pytest

from clawstate.interrupts import Use, with_blocks
from clawstate.interrupts.with_blocks import with_block


class Kept:
    def __enter__(self):
        self.use = Use()
        self.was_over = self.use.is_over()
        return self

    def __exit__(self, *_):
        pass


def held(kept):
    with kept:
        inside = kept.use.is_over()
    return inside, kept.use.is_over()


def with_table(table):
    """Return `held` with another exception table."""
    function = type(held)(held.__code__.replace(co_exceptiontable=table), held.__globals__)
    assert function.__code__.co_exceptiontable == table
    return function


def test_a_block_is_over_when_it_is_left():
    """The use of a `with` block begins at its first line and ends behind its last."""
    kept = Kept()

    found = held(kept)

    assert not kept.was_over
    assert found == (False, True)
    assert kept.use.is_block()


@pytest.mark.parametrize(
    "table",
    [
        b"",
        b"\x00",
        b"\x40\x40\x40",
        b"\xff" * 40,
        bytes(range(0, 256, 3)),
        held.__code__.co_exceptiontable[:-1],
        held.__code__.co_exceptiontable[1:],
        b"\x7f" + held.__code__.co_exceptiontable,
        held.__code__.co_exceptiontable * 2,
        bytes(each & 0x3F for each in held.__code__.co_exceptiontable[::-1]),
    ],
)
def test_a_table_that_is_not_understood_ends_no_use(table):
    """Then what is held is held for the whole call, and no longer."""
    kept = Kept()
    function = with_table(table)

    inside, behind = function(kept)

    assert (kept.was_over, inside) == (False, False)
    assert kept.use.is_block() or not behind
    assert kept.use.is_over()


FORMS = {
    "ends for lengths": lambda start, length, target, depth: (start, start + length, target, depth),
    "bytes for units": lambda *numbers: tuple(2 * each for each in numbers),
    "no depth": lambda start, length, target, _: (start, length, target),
    "one number more": lambda *numbers: (*numbers, 0),
    "target first": lambda start, length, target, depth: (target, start, length, depth),
    "relative targets": lambda start, length, target, depth: (
        start,
        length,
        abs(target - start),
        depth,
    ),
    "backwards": lambda *numbers: numbers[::-1],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bits", [6, 7])
@pytest.mark.parametrize("low_first", [False, True])
def test_no_other_form_of_table_ends_a_use_inside_of_its_block(form, bits, low_first):
    """A Python that writes its tables in another way makes no use look over that is not."""
    kept = Kept()
    table = b"".join(
        varint(number, bits, low_first=low_first)
        for start, end, target in with_blocks._entries(held.__code__.co_exceptiontable)
        for number in FORMS[form](start // 2, (end - start) // 2, target // 2, 1)
    )

    inside, _ = with_table(table)(kept)

    assert (kept.was_over, inside) == (False, False)
    assert kept.use.is_over()


def varint(number, bits, *, low_first):
    parts = []
    while number or not parts:
        parts.append(number % (1 << bits))
        number >>= bits
    parts = parts if low_first else parts[::-1]
    more = [part | 1 << bits for part in parts[:-1]]
    return bytes([*more, parts[-1]])


def test_code_without_a_block_has_none():
    """A call that enters no block is no block, wherever in it one looks."""
    code = sys._getframe().f_code

    assert [with_block(code, place) for place in range(0, 20, 2)] == [None] * 10
