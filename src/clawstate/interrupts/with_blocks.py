"""Where in a code object the block of a `with` statement lies, as its exception table tells."""

from __future__ import annotations

import opcode
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

_NONE = -1  # in a Python that has no such instruction any longer
_ENTER = opcode.opmap.get("PUSH_EXC_INFO", _NONE)
_EXIT = opcode.opmap.get("WITH_EXCEPT_START", _NONE)
_CACHE = opcode.opmap.get("CACHE", 0)
_MOST_KNOWN = 512


@dataclass(frozen=True, slots=True)
class WithBlock:
    """The block that begins behind one instruction: its handler, and what else is protected."""

    handler: int
    line: int | None
    table: tuple[tuple[int, int, int], ...]

    def holds(self, offset: int) -> bool:
        """Tell whether an exception at *offset* would reach the handler of the block."""
        for _ in self.table:
            target = _target(self.table, offset)
            if target is None or target == self.handler:
                return target is not None
            offset = target
        return False


def with_block(code: CodeType, entry: int) -> WithBlock | None:
    """Return the block of the `with` whose `__enter__` is called at *entry*; `None` if none is."""
    known = _known.get((id(code), entry))
    if known is not None:
        return known[1]
    if len(_known) > _MOST_KNOWN:
        _known.clear()
    found = _find(code, entry)
    _known[id(code), entry] = code, found
    return found


_known: dict[tuple[int, int], tuple[CodeType, WithBlock | None]] = {}


def _find(code: CodeType, entry: int) -> WithBlock | None:
    text = code.co_code
    begin = entry + 2
    while begin < len(text) and text[begin] == _CACHE:
        begin += 2
    table = _table(code.co_exceptiontable, len(text))
    for start, _, target in table:
        if start == begin and text[target] == _ENTER and text[target + 2] == _EXIT:
            return WithBlock(target, _line(code, entry), table)
    return None


def _line(code: CodeType, offset: int) -> int | None:
    for first, end, line in code.co_lines():
        if first <= offset < end:
            return line
    return None


def _table(encoded: bytes, size: int) -> tuple[tuple[int, int, int], ...]:
    """Return the entries of a table for *size* bytes of code; none if it is not understood."""
    try:
        table = tuple(_entries(encoded))
    except RuntimeError:  # it ends too early
        return ()
    after = 0
    for start, end, target in table:
        if not after <= start < end <= size or target + 2 >= size:
            return ()
        after = end
    return table


def _target(table: tuple[tuple[int, int, int], ...], offset: int) -> int | None:
    # No generator: an interrupt that comes as one is closed reaches nobody.
    for start, end, target in table:
        if start <= offset < end:
            return target
    return None


def _entries(table: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and target of each entry, in bytes of code (CPython, exception tables)."""
    numbers = _numbers(iter(table))
    for start in numbers:
        length, target = next(numbers), next(numbers)
        next(numbers)  # the depth of the stack
        yield 2 * start, 2 * (start + length), 2 * target


def _numbers(table: Iterator[int]) -> Iterator[int]:
    for byte in table:
        number, current = byte & 63, byte
        while current & 64:
            current = next(table)
            number = number << 6 | current & 63
        yield number
