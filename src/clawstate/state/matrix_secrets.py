"""The secrets that Matrix clients keep: where they lie, and sealing and opening them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.openclaw.owner import Era
from clawstate.records.contract import DELETE, Collection, Json, Mark
from clawstate.state.matrix_places import credential_collection, key_collection, stored_logins
from clawstate.state.record_places import matrix_accounts
from clawstate.stores.matrix.documents import (
    ACCESS_TOKEN,
    CREDENTIALS_KEY,
    PICKLE_KEY,
    PICKLE_SECRET,
    secret_place,
)

if TYPE_CHECKING:
    from clawstate.encryption.member import SecretMember
    from clawstate.encryption.sealer import FieldSealer
    from clawstate.state.context import Context


@dataclass(frozen=True, slots=True)
class MatrixSecret:
    """
    An access token, or the key of a database of keys: *member* of the record *key* of *records*.

    *path* is the file that it has where records lie in files, and *in_file* tells whether they do.
    """

    records: Collection
    key: str
    member: SecretMember
    path: Path
    in_file: bool

    @property
    def place(self) -> str:
        """What it is sealed for."""
        return secret_place(self.records.spec, self.member)

    def found(self) -> str | Mapping[str, Any] | None:
        """Return it as it stands there, in the clear or sealed; `None` without one."""
        record = self.records.get(self.key)
        return (self.member.found(record.value) or None) if record is not None else None

    def read(self, opener: FieldSealer) -> str:
        """Return the secret, empty without one; raises what `FieldSealer.open` does."""
        record = self.records.get(self.key)
        if record is None:
            return ""
        return self.member.read(record.value, place=self.place, sealer=opener)

    def reseal(self, opener: FieldSealer, sealer: FieldSealer | None, current: str) -> bool:
        """
        Seal it with the key *current* by *sealer*, or write it in the clear; False if it was so.

        Raises what opening, sealing and a change of records raise; then it is as it was.
        """
        changed = False

        def change(before: Json | None) -> Json | Mark:
            nonlocal changed
            changed = False
            if before is None:
                return DELETE
            if not self.member.is_due(before, seals=sealer is not None, current=current):
                return before
            text = self.member.read(before, place=self.place, sealer=opener)
            changed = True
            return self.member.write(before, text, place=self.place, sealer=sealer)

        self.records.update(self.key, change)
        return changed


def matrix_secrets(context: Context) -> Iterator[MatrixSecret]:
    """Give the secrets of all Matrix accounts, and of all their storages, that are there."""
    root = context.paths.root
    is_rows = not context.backends.engine.in_files or context.owner.era is Era.SQLITE
    for account in matrix_accounts(context):
        records = credential_collection(context, account)
        path = root / records.spec.path
        yield MatrixSecret(records, CREDENTIALS_KEY, ACCESS_TOKEN, path, not is_rows)
    for each in stored_logins(context):
        records = key_collection(context, each.paths)
        path = root / records.spec.path
        # The key is a file beside its database whatever the engine (decision 56).
        in_file = context.owner.era is not Era.SQLITE
        yield MatrixSecret(records, PICKLE_KEY, PICKLE_SECRET, path, in_file)
