"""
The errors that clawstate raises on purpose.

.. code-block:: text

    StateError internal
    ├── NotFoundError not_found (LookupError)
    ├── ConflictError conflict
    │   ├── LeaseLostError lease_lost
    │   └── LockLostError lock_lost
    ├── InvalidError invalid (ValueError)
    │   ├── ConfigError config
    │   └── DimensionError dimension
    ├── LimitError limit
    ├── LockTimeoutError locked (TimeoutError)
    ├── CorruptError corrupt
    │   └── VersionError version
    ├── UnavailableError unavailable
    │   ├── MissingExtraError missing_extra (ImportError)
    │   └── EmbeddingError embedding
    └── ClosedError closed

    StateWarning (UserWarning)
    ├── CorruptWarning
    ├── ElsewhereWarning
    ├── FallbackWarning
    ├── StaleLockWarning
    └── UnresolvedWarning

Each error carries its facts as fields and builds its own sentence, which says what to do next.
Anything that is not a `StateError` is a bug.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ClassVar


class StateError(Exception):
    """Whatever went wrong with the state; `code` is stable across releases."""

    code: ClassVar[str] = "internal"


# Where there is a second base, it is the builtin that a caller would catch who knows nothing of us.
class NotFoundError(StateError, LookupError):
    """What was asked for is not there."""

    code = "not_found"

    def __init__(self, kind: str, key: str, hint: str = "") -> None:
        # All that `__init__` takes goes into `args`, from which an error that was pickled is made
        # again, as when it comes from another process. Where a subclass takes something else, it
        # sets them.
        super().__init__(kind, key, hint)
        self.kind = kind
        self.key = key
        self.hint = hint

    def __str__(self) -> str:
        return _sentence(f"no {self.kind} {self.key!r}", self.hint)


class ConflictError(StateError):
    """Somebody else changed the same thing first."""

    code = "conflict"

    def __init__(self, kind: str, key: str, hint: str = "read it again and repeat") -> None:
        super().__init__(kind, key, hint)
        self.kind = kind
        self.key = key
        self.hint = hint

    def __str__(self) -> str:
        return _sentence(f"{self.kind} {self.key!r} was changed meanwhile", self.hint)


class LeaseLostError(ConflictError):
    """A lease ended, or was granted to another, before what it was needed for was done."""

    code = "lease_lost"

    def __init__(self, name: str, fence: int) -> None:
        super().__init__("lease", name, "ask for it again, and repeat what it was for")
        # Not what the base class was given: pickling calls this `__init__` again.
        self.args = (name, fence)
        self.name = name
        self.fence = fence

    def __str__(self) -> str:
        return _sentence(f"the {self.kind} {self.name!r} is over (grant {self.fence})", self.hint)


class LockLostError(ConflictError):
    """A lock was taken away while it was held; what it protected was not written."""

    code = "lock_lost"

    def __init__(self, path: str) -> None:
        super().__init__("lock", path, "read the file again and repeat")
        self.args = (path,)
        self.path = path

    def __str__(self) -> str:
        return _sentence(f"the {self.kind} on {self.path} was taken away", self.hint)


class InvalidError(StateError, ValueError):
    """A value that cannot be accepted; nothing was written."""

    code = "invalid"

    def __init__(self, name: str, problem: str, hint: str = "") -> None:
        super().__init__(name, problem, hint)
        self.name = name
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return _sentence(f"{self.name}: {self.problem}", self.hint)


class ConfigError(InvalidError):
    """A configuration value that cannot be accepted."""

    code = "config"


class DimensionError(InvalidError):
    """A vector of another length than those already kept."""

    code = "dimension"

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(
            "vector",
            f"has {found:,} numbers, but those of this state have {expected:,}",
            "embed with the model of this state",
        )
        self.args = (expected, found)
        self.expected = expected
        self.found = found


class LimitError(StateError):
    """A bound that the operator set is reached; *retry_after* in seconds if waiting helps."""

    code = "limit"

    def __init__(
        self, kind: str, limit: int, hint: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(kind, limit, hint, retry_after)
        self.kind = kind
        self.limit = limit
        self.hint = hint
        self.retry_after = retry_after

    def __str__(self) -> str:
        return _sentence(f"at most {self.limit:,} {self.kind} are allowed", self.hint)


# By way of `TimeoutError` it is an `OSError` too: an `except OSError` around a lock catches it.
class LockTimeoutError(StateError, TimeoutError):
    """A lock was not free in time; *waited* in seconds, *holder* if it is known."""

    code = "locked"

    def __init__(
        self, path: str, waited: float, hint: str = "try again", *, holder: str = ""
    ) -> None:
        super().__init__(path, waited, hint)
        self.path = path
        self.waited = waited
        self.hint = hint
        self.holder = holder

    def __str__(self) -> str:
        held = f", held by {self.holder}" if self.holder else ""
        # Where the waiting was SQLite's, how long is not known.
        how = f"stayed locked for {self.waited:.1f} s" if self.waited else "is locked"
        return _sentence(f"{self.path} {how}{held}", self.hint)

    def __reduce__(self) -> tuple[object, ...]:
        # `TimeoutError` is an `OSError`, which takes a third argument for a file name.
        return type(self), (self.path, self.waited, self.hint), {"holder": self.holder}


class CorruptError(StateError):
    """A file that cannot be what it should be; it was left as it is."""

    code = "corrupt"

    def __init__(self, path: str, problem: str, hint: str = "run 'clawstate doctor'") -> None:
        super().__init__(path, problem, hint)
        self.path = path
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return _sentence(f"{self.path}: {self.problem}", self.hint)


class VersionError(CorruptError):
    """A file written by a newer clawstate; it was left as it is."""

    code = "version"

    def __init__(
        self,
        path: str,
        found: int,
        supported: int,
        hint: str = "upgrade clawstate",
    ) -> None:
        problem = f"has format {found}, this clawstate reads up to {supported}"
        super().__init__(path, problem, hint)
        self.args = (path, found, supported, hint)
        self.found = found
        self.supported = supported


class UnavailableError(StateError):
    """Something outside of us refuses: a disk, a server, a permission."""

    code = "unavailable"

    def __init__(self, what: str, problem: str, hint: str = "") -> None:
        super().__init__(what, problem, hint)
        self.what = what
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return _sentence(f"{self.what}: {self.problem}", self.hint)


class MissingExtraError(UnavailableError, ImportError):
    """An optional part is not installed."""

    code = "missing_extra"

    def __init__(self, extra: str, what: str) -> None:
        super().__init__(what, "is not installed", f"pip install 'clawstate[{extra}]'")
        self.args = (extra, what)
        self.extra = extra


class EmbeddingError(UnavailableError):
    """Text could not be turned into vectors."""

    code = "embedding"


class ClosedError(StateError):
    """The state was closed before this call."""

    code = "closed"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} is closed; open it again"


class StateWarning(UserWarning):
    """Something works, but not as it should."""


class CorruptWarning(StateWarning):
    """A damaged file was passed over."""


class FallbackWarning(StateWarning):
    """A lesser way was taken because the better one is not available."""


class ElsewhereWarning(StateWarning):
    """Records of a store lie where they are not read."""


class StaleLockWarning(StateWarning):
    """A lock whose owner is gone was taken over."""


class UnresolvedWarning(StateWarning):
    """Settings wait for variables that are not set; all others count."""


# A tuple, since that is what `isinstance` takes.
_SILENT: ContextVar[tuple[type[StateWarning], ...]] = ContextVar("silent warnings", default=())


def warn(warning: StateWarning, *, stacklevel: int = 1) -> None:
    """Give *warning* to `warnings`, unless the caller's context is `silent` about its kind."""
    if not isinstance(warning, _SILENT.get()):
        # One more for this function, which is not where the warning comes from.
        warnings.warn(warning, stacklevel=stacklevel + 1)


@contextmanager
def silent(*kinds: type[StateWarning]) -> Iterator[None]:
    """
    Keep warnings of *kinds* to ourselves while the block runs, in this thread or task alone.

    `warnings.catch_warnings` would do it for all threads at once, and for ever if the blocks of
    two of them overlap.
    """
    token = _SILENT.set((*_SILENT.get(), *kinds))
    try:
        yield
    finally:
        _SILENT.reset(token)


def _sentence(fact: str, hint: str) -> str:
    return f"{fact}; {hint}" if hint else fact
