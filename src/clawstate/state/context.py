"""`Context`: the paths, settings, engines and clock that the stores of one state are built from."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from clawstate.clock import Clock
from clawstate.config.service import Config
from clawstate.config.settings import (
    ENCRYPTION_PASSPHRASE,
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
from clawstate.files.paths import StatePaths
from clawstate.interrupts import Mutex
from clawstate.openclaw.owner import Owner
from clawstate.state.backends import BackendRegistry
from clawstate.state.engines import FILE, SQLITE

__all__ = ["FILE", "SQLITE", "Context", "Locks", "below", "locked_cached_property", "split_root"]

if TYPE_CHECKING:
    from clawstate.encryption.key_store import KeyStore
    from clawstate.records.contract import CollectionSpec

    locked_cached_property = cached_property
else:

    class locked_cached_property:  # noqa: N801 - a decorator, like the one that it replaces
        """A `cached_property` that threads share, and that an interrupt leaves unmade or made."""

        def __init__(self, make: Callable[[Any], Any]) -> None:
            self._make = make
            self.__doc__ = make.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            """Return the part, made if need be."""
            if instance is None:
                return self
            with _making:
                made = instance.__dict__
                # Looked at again under the mutex; only a whole part is noted, so an interrupt
                # leaves none.
                if self._name not in made:
                    made[self._name] = self._make(instance)
                return made[self._name]


_making = Mutex()  # one for all, for one part may ask for another while it is made


def _forget() -> None:
    global _making  # noqa: PLW0603 - its holder is not in a forked child
    _making = Mutex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


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


@dataclass(frozen=True, slots=True)
class Context:
    """The paths, settings, engines and clock of one state, shared by all its stores."""

    paths: StatePaths
    config: Config
    clock: Clock
    locks: Locks
    backends: BackendRegistry
    specs: dict[str, CollectionSpec] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Collections of others, by kind: the feed could not know of their files."""
    _key_stores: list[KeyStore] = field(default_factory=list, init=False, repr=False, compare=False)
    _mutex: Mutex = field(default_factory=Mutex, init=False, repr=False, compare=False)

    @property
    def lock(self) -> LockOptions:
        """How long to wait for a lock, as `locks.*` says now."""
        return self.locks()

    @property
    def owner(self) -> Owner:
        """Whose the state directory is (decision 27)."""
        return self.backends.ownership.now()

    @property
    def key_store(self) -> KeyStore:
        """The keys of the encryption, the same for all who ask: they are unlocked once."""
        from clawstate.encryption.key_store import KeyStore  # noqa: PLC0415 - few states have keys
        from clawstate.records.last_good import keep_copy  # noqa: PLC0415

        with self._mutex:
            if not self._key_stores:
                root, given = self.paths.root, self._passphrase
                self._key_stores.append(KeyStore(root, given=given, keep=keep_copy, lock=self.lock))
            return self._key_stores[0]

    def _passphrase(self) -> str | None:
        if ENCRYPTION_PASSPHRASE.of(self.config.view()) is None:
            return None
        return str(self.config.secret(ENCRYPTION_PASSPHRASE.path))


def split_root(path: Path, root: Path) -> tuple[Path, PurePosixPath]:
    """Return where an engine of files is rooted for *path*, and the path below that."""
    inside = below(path, root)
    return (path.parent, PurePosixPath(path.name)) if inside is None else (root, inside)


def below(path: Path, root: Path) -> PurePosixPath | None:
    """Return *path* relative to *root*, or `None` if it does not lie below it."""
    try:
        return PurePosixPath(path.relative_to(root))
    except ValueError:
        return None
