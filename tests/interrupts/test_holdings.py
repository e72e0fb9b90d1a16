"""What looks after the things that a process holds."""

from __future__ import annotations

import threading
from threading import get_ident

from clawstate.interrupts.holdings import forget, hold


class Unclear:
    """Whether it is over cannot be told, as of a call whose frame goes away while it is read."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.asked = threading.Event()

    def is_over(self) -> bool:
        """Fail as a frame does that is none any longer."""
        self.asked.set()
        raise AttributeError("f_back")

    def discard(self) -> None:
        """Hold nothing."""


class Abandoned:
    """Something that nobody needs any longer."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.discarded = threading.Event()

    def is_over(self) -> bool:
        """Tell that it is."""
        return True

    def discard(self) -> None:
        """Note that it was."""
        self.discarded.set()


def test_a_look_that_fails_ends_not_the_looking() -> None:
    """What is abandoned is discarded, though one look at something else failed before."""
    unclear, abandoned = Unclear(), Abandoned()

    threading.Thread(target=hold, args=(unclear,)).start()
    assert unclear.asked.wait(20)
    thread = threading.Thread(target=hold, args=(abandoned,))
    thread.start()
    thread.join()

    try:
        assert abandoned.discarded.wait(20)
    finally:
        forget(unclear)
