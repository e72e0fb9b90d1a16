"""`FileLockSuite`: what a lock on a file must keep to, as tests of an implementation."""
# ruff: noqa: E402 - pytest explains the assertions of modules that it knew before their import

from __future__ import annotations

import pytest

_LAWS = ("hooks", "holder_laws", "stranger_laws")
pytest.register_assert_rewrite(*(f"clawstate.testing.lock_{each}" for each in _LAWS))

from clawstate.testing.lock_holder_laws import HolderLaws
from clawstate.testing.lock_hooks import NO_PROCESS, LockTrait, payload_of
from clawstate.testing.lock_stranger_laws import StrangerLaws

__all__ = ["NO_PROCESS", "FileLockSuite", "LockTrait", "payload_of"]


class FileLockSuite(HolderLaws, StrangerLaws):
    """
    Every law of a lock on a file; to be run by pytest, on systems with `os.fork`.

    A subclass gives `make_lock`, and what differs of `LockHooks`: where the lock file lies, and
    the errors for patience that ended and for a lock that was taken away. Laws of a `LockTrait`
    that it does not declare are skipped by name. No law measures time.

    .. code-block:: python

        class TestMyLock(FileLockSuite):
            traits = frozenset({LockTrait.REENTRANT})
            timeout_error = TimeoutError

            def make_lock(self, path, *, timeout, stale=30.0):
                return MyLock(path, timeout=timeout)
    """
