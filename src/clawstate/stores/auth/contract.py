"""What the store of credentials asks of others: sealing secrets, and resolving references."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from clawstate.records.contract import Json


class Sealer(Protocol):
    """Encrypts single fields (decision 13)."""

    def seal(self, secret: str, *, place: str) -> Json:
        """
        Return *secret* as a JSON object that only opens at *place*, such as an agent's key.

        Where nothing is to be sealed any more, it is returned as it is.
        """

    def open(self, sealed: Mapping[str, Json], *, place: str) -> str:
        """
        Return what `seal` was given.

        Raises `CorruptError` for what was changed or moved, `UnavailableError` without its key.
        """


Resolve: TypeAlias = Callable[[Json], str]
"""Returns the secret that a reference, as JSON, names; raises `StateError` without it."""

MARK = "sealed"
"""The member by which a sealed secret is told from any other JSON object."""
