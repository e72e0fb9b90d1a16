"""`SecretMember`: one secret in a JSON object, in the clear or sealed (decision 12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from clawstate.encryption.ciphertext import is_sealed, key_name
from clawstate.errors import CorruptError, StateError, UnavailableError

if TYPE_CHECKING:
    from clawstate.encryption.sealer import FieldSealer

SEALED: Final = "Sealed"
"""
What follows the name of an encrypted secret's member, as in `keySealed`.

It stands beside the place of the clear one: OpenClaw takes whatever stands in `key` for text, and
fails on an object.
"""


@dataclass(frozen=True, slots=True)
class SecretMember:
    """The secret *name* of an object; encrypted it is called as `SEALED` says."""

    name: str

    @property
    def sealed_name(self) -> str:
        """The name that it has while it is encrypted."""
        return self.name + SEALED

    def found(self, document: Mapping[str, Any]) -> str | Mapping[str, Any] | None:
        """Return it as it stands there; one in the clear is newer than an encrypted one."""
        clear, sealed = document.get(self.name), document.get(self.sealed_name)
        if clear in {None, ""} and isinstance(sealed, dict) and is_sealed(sealed):
            return sealed
        return clear if isinstance(clear, str) else None

    def read(self, document: Mapping[str, Any], *, place: str, sealer: FieldSealer | None) -> str:
        """
        Return the secret of *document*.

        Raises what `FieldSealer.open` does, `UnavailableError` where it is encrypted and there are
        no keys, and `CorruptError` where there is none.
        """
        found = self.found(document)
        if found is None:
            raise CorruptError(place, "is not there")
        if isinstance(found, str):
            return found
        if sealer is None:
            hint = "restore state/keys.json from a backup"
            raise UnavailableError(place, "is encrypted, and there is no key", hint)
        return sealer.open(found, place=place)

    def write(
        self, document: Mapping[str, Any], text: str, *, place: str, sealer: FieldSealer | None
    ) -> dict[str, Any]:
        """Return *document* with the secret *text* in its place, encrypted if *sealer* does so."""
        kept = text if sealer is None else sealer.seal(text, place=place)
        made = {self.sealed_name if is_sealed(kept) else self.name: kept}
        names = {self.name, self.sealed_name}
        at = next((index for index, each in enumerate(document) if each in names), len(document))
        members = [each for each in document.items() if each[0] not in names]
        return dict([*members[:at], *made.items(), *members[at:]])

    def is_due(self, document: Mapping[str, Any], *, seals: bool, current: str) -> bool:
        """Tell whether it is to be sealed with *current*, or opened; one without text is not."""
        found = self.found(document)
        if isinstance(found, str):
            return seals and bool(found)
        if found is None or not seals:
            return found is not None
        try:
            return key_name(found, place=self.name) != current
        except StateError:
            return True  # damaged: opening it will tell
