"""`FieldSealer`: seals and opens the secret fields of one state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clawstate.sealing.ciphertext import key_name, open_text, seal_text

if TYPE_CHECKING:
    from clawstate.sealing.vault import Vault


class FieldSealer:
    """
    Seals fields with the current key of *vault*, and opens them with whichever sealed them.

    A sealed text is bound to its place: put anywhere else, it does not open. Not detected is an
    older text of the same place that somebody puts back (a replay).
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def __repr__(self) -> str:
        return f"FieldSealer({self._vault!r})"

    def seal(self, secret: str, *, place: str) -> Any:
        """
        Return *secret* as a JSON object that only opens at *place*.

        Raises `UnavailableError` without the key.
        """
        return seal_text(self._vault.current(), secret, place=place)

    def open(self, sealed: Mapping[str, Any], *, place: str) -> str:
        """
        Return what `seal` was given.

        Raises `CorruptError` for what was changed or moved, `UnavailableError` without its key.
        """
        key = self._vault.key(key_name(sealed, place=place))
        return open_text(key, sealed, place=place)


class FieldOpener(FieldSealer):
    """Opens fields that were sealed before encryption was turned off, and seals none."""

    def seal(self, secret: str, *, place: str) -> Any:  # noqa: ARG002 - the form of a sealer
        """Return *secret* as it is."""
        return secret
