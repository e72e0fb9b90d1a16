"""`Tickets`: secrets that let one reader of a link in, once, and not for long."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from clawstate.interrupts import Mutex

LIFETIME: Final = 600.0
"""Seconds for which a ticket is good."""

_MOST: Final = 64
_BYTES: Final = 32


class Tickets:
    """The tickets that were given out and not used; they end with the gateway."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mutex = Mutex()
        self._open: OrderedDict[str, float] = OrderedDict()

    def issue(self) -> str:
        """Return a new ticket."""
        ticket = secrets.token_urlsafe(_BYTES)
        with self._mutex:
            self._open[_digest(ticket)] = self._clock() + LIFETIME
            while len(self._open) > _MOST:
                self._open.popitem(last=False)
        return ticket

    def redeem(self, ticket: str) -> bool:
        """Tell whether *ticket* is good, which it is no more then."""
        with self._mutex:
            until = self._open.pop(_digest(ticket), None)
        return until is not None and until - LIFETIME <= self._clock() < until


def _digest(ticket: str) -> str:
    # Looked up by its digest, so that how long it takes tells nothing about a ticket.
    return hashlib.sha256(ticket.encode(errors="replace")).hexdigest()
