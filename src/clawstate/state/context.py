"""`Context`: what every store of one state stands on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from clawstate.clock import Clock
from clawstate.config.service import Config
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths
from clawstate.interrupts import Mutex
from clawstate.openclaw.owner import Owner
from clawstate.state.backends import FILE, SQLITE, BackendRegistry
from clawstate.state.locks import Locks

__all__ = ["FILE", "SQLITE", "Context", "below", "locked_cached_property", "split_root"]

if TYPE_CHECKING:
    from clawstate.records.contract import Shape
    from clawstate.sealing.vault import Vault

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
                if self._name not in made:
                    made[self._name] = self._make(instance)
                return made[self._name]


_making = Mutex()  # one for all, for one part may ask for another while it is made


def _forget() -> None:
    global _making  # noqa: PLW0603 - its holder is not in a forked child
    _making = Mutex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@dataclass(frozen=True, slots=True)
class Context:
    """What every store of one state stands on."""

    paths: StatePaths
    config: Config
    clock: Clock
    locks: Locks
    backends: BackendRegistry
    shapes: dict[str, Shape] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Collections of others, by kind: the feed could not know of their files."""
    _vaults: list[Vault] = field(default_factory=list, init=False, repr=False, compare=False)
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
    def vault(self) -> Vault:
        """The keys of the encryption, the same for all who ask: they are unlocked once."""
        from clawstate.state.secrets import open_vault  # noqa: PLC0415 - few states have keys

        with self._mutex:
            if not self._vaults:
                self._vaults.append(open_vault(self))
            return self._vaults[0]


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
