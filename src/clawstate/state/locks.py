"""How long a state waits for a lock: what its opener said, else `locks.*`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from clawstate.config.settings import (
    LOCK_FACTOR,
    LOCK_LEAST,
    LOCK_MOST,
    LOCK_RANDOM,
    LOCK_RETRIES,
    LOCK_STALE,
)
from clawstate.config.view import Decoded, View
from clawstate.errors import StateError
from clawstate.files.lock_options import PATIENCE, LockOptions

if TYPE_CHECKING:
    from clawstate.config.service import Config

_LONGER = 1.5  # times the stale time that one waits at least, where nobody says how long


class Locks:
    """
    The lock options of one state; *timeout*, in seconds, is what its opener said.

    A configuration that cannot be read, or means nothing here, must cost no write: then the usual
    options count, and whoever checks the configuration is told.
    """

    def __init__(self, config: Callable[[], Config], timeout: float | None) -> None:
        self._config = config
        self._given = LockOptions(timeout=PATIENCE if timeout is None else timeout)
        self._is_given = timeout is not None
        self._written = Decoded(lambda: self._config().view(), self._read)

    def __call__(self) -> LockOptions:
        """Return the options of now."""
        with suppress(StateError):
            return self._written()
        return self._given

    def _read(self, view: View) -> LockOptions:
        written = view.loaded.resolved.get("locks")
        has_retries = isinstance(written, dict) and bool(written.get("retries"))
        stale = LOCK_STALE.of(view)
        usual = self._given.timeout if self._is_given else max(PATIENCE, _LONGER * stale)
        return LockOptions(
            retries=LOCK_RETRIES.of(view),
            factor=LOCK_FACTOR.of(view),
            min_timeout=LOCK_LEAST.of(view),
            max_timeout=LOCK_MOST.of(view),
            randomize=LOCK_RANDOM.of(view),
            stale=stale,
            timeout=usual if self._is_given or not has_retries else None,
        )
