"""`Ground`: what every store of one state stands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clawstate.clock import Clock
from clawstate.config.service import Config
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths
from clawstate.interrupts import Mutex
from clawstate.openclaw.owner import Owner
from clawstate.state.engines import FILE, SQLITE, Engines
from clawstate.state.locks import Locks

if TYPE_CHECKING:
    from clawstate.sealing.vault import Vault

__all__ = ["FILE", "SQLITE", "Ground", "below", "placed"]


@dataclass(frozen=True, slots=True)
class Ground:
    """What every store of one state stands on."""

    paths: StatePaths
    config: Config
    clock: Clock
    locks: Locks
    engines: Engines
    _vaults: list[Vault] = field(default_factory=list, init=False, repr=False, compare=False)
    _mutex: Mutex = field(default_factory=Mutex, init=False, repr=False, compare=False)

    @property
    def lock(self) -> LockOptions:
        """How long to wait for a lock, as `locks.*` says now."""
        return self.locks()

    @property
    def owner(self) -> Owner:
        """Whose the state directory is (decision 27)."""
        return self.engines.ownership.now()

    @property
    def vault(self) -> Vault:
        """The keys of the encryption, the same for all who ask: they are unlocked once."""
        from clawstate.state.secrets import open_vault  # noqa: PLC0415 - few states have keys

        with self._mutex:
            if not self._vaults:
                self._vaults.append(open_vault(self))
            return self._vaults[0]


def placed(path: Path, root: Path) -> tuple[Path, PurePosixPath]:
    """Return where an engine of files is rooted for *path*, and the path below that."""
    inside = below(path, root)
    return (path.parent, PurePosixPath(path.name)) if inside is None else (root, inside)


def below(path: Path, root: Path) -> PurePosixPath | None:
    """Return *path* relative to *root*, or `None` if it does not lie below it."""
    try:
        return PurePosixPath(path.relative_to(root))
    except ValueError:
        return None
