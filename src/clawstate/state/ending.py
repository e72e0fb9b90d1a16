"""Whether a program ends once it has closed its states: what can wait it leaves to others then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends_soon: ContextVar[bool] = ContextVar("ends_soon", default=False)


@contextmanager
def program_that_ends() -> Iterator[None]:
    """Let states that are opened in the block be those of a program that ends with them."""
    before = _ends_soon.set(True)
    try:
        yield
    finally:
        _ends_soon.reset(before)


def ends_soon() -> bool:
    """Tell whether it is so here."""
    return _ends_soon.get()
