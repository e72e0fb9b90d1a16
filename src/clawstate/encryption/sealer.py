"""`FieldSealer`: seals and opens the secret fields of one state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clawstate.encryption.ciphertext import key_name, open_text, seal_text

if TYPE_CHECKING:
    from clawstate.encryption.key_store import KeyStore


class FieldSealer:
    """
    Seals fields with the current key of *key_store*, and opens them with whichever sealed them.

    A sealed text is bound to its place: put anywhere else, it does not open. Not detected is an
    older text of the same place that somebody puts back (a replay).
    """

    def __init__(self, key_store: KeyStore) -> None:
        self._key_store = key_store

    def __repr__(self) -> str:
        return f"FieldSealer({self._key_store!r})"

    def seal(self, secret: str, *, place: str) -> Any:
        """
        Return *secret* as a JSON object that only opens at *place*.

        Raises `UnavailableError` without the key.
        """
        return seal_text(self._key_store.current(), secret, place=place)

    def open(self, sealed: Mapping[str, Any], *, place: str) -> str:
        """
        Return what `seal` was given.

        Raises `CorruptError` for what was changed or moved, `UnavailableError` without its key.
        """
        key = self._key_store.key(key_name(sealed, place=place))
        return open_text(key, sealed, place=place)


class FieldOpener(FieldSealer):
    """Opens fields that were sealed before encryption was turned off, and seals none."""

    def seal(self, secret: str, *, place: str) -> Any:  # noqa: ARG002 - the form of a sealer
        """Return *secret* as it is."""
        return secret
