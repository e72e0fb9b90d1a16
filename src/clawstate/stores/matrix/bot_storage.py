"""`BotStorage`: the sync position of a Matrix client, and what else it must not forget."""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from pathlib import PurePosixPath
from typing import Final

from clawstate.arguments import require_count, require_text
from clawstate.errors import InvalidError
from clawstate.files.paths import as_file_path
from clawstate.records.contract import Collection, CollectionSpec, FileForm, Json, Mark
from clawstate.records.json_files import JsonFilesBackend
from clawstate.stores.matrix.documents import (
    FILTER,
    SYNC_TOKEN,
    TRANSACTIONS,
    USERS,
    VALUES,
    BotStorageLayout,
)

_IN_MEMORY: Final = 20  # transactions, as matrix-bot-sdk has it


class UserStorage:
    """
    What is kept for the user *user_id* of an application service, apart from all others.

    It lies among the values of the whole storage, as matrix-bot-sdk has it.
    """

    def __init__(self, user_id: str, values: Collection) -> None:
        self._user_id = user_id
        self._values = values

    def __repr__(self) -> str:
        return f"UserStorage({self._user_id!r})"

    def get_sync_token(self) -> str | None:
        """Return the token to sync from, or `None` before the first sync."""
        found = self._read("int_syncToken")
        return found if isinstance(found, str) else None

    def set_sync_token(self, token: str | None) -> None:
        """Sync from *token* from now on; `None` begins anew."""
        self._store("int_syncToken", _require_sync_token(token))

    def get_filter(self) -> Json | None:
        """Return the filter that was set, or `None`."""
        found = self._read("int_filter")
        try:
            return json.loads(found) if isinstance(found, str) and found else None
        except ValueError:
            return None  # a filter is asked for again where there is none

    def set_filter(self, value: Json | None) -> None:
        """Keep the filter *value*, which JSON can hold."""
        self._store("int_filter", None if value is None else json.dumps(value))

    def read_value(self, key: str) -> Json | None:
        """Return the value of *key*, or `None`."""
        return self._read(f"kv_{require_text('key', key)}")

    def store_value(self, key: str, value: Json) -> None:
        """Keep *value*, which JSON can hold, under *key*."""
        self._store(f"kv_{require_text('key', key)}", value)

    def delete_value(self, key: str) -> bool:
        """Remove the value of *key*; False if there was none."""
        return self._values.delete(self._key(f"kv_{require_text('key', key)}"))

    def _read(self, name: str) -> Json | None:
        found = self._values.get(self._key(name))
        return None if found is None else found.value

    def _store(self, name: str, value: Json | None) -> None:
        self._values.put(self._key(name), value)

    def _key(self, name: str) -> str:
        return f"{VALUES}{self._user_id}_{name}"


class BotStorage:
    """
    The sync token, filter, users, transactions and values of a Matrix client.

    Each change is durable when its call returns. Safe for threads and processes. In a file it is
    what matrix-bot-sdk's `SimpleFsStorageProvider` reads and writes; that one keeps the file in
    memory, so it must not run at the same time. A damaged file gives its last good state with a
    `CorruptWarning`, and is not written. Every change raises `CorruptError`, `LockTimeoutError` or
    `UnavailableError`, and `InvalidError` for what JSON cannot hold.

    Completed transactions are remembered in memory alone, the last *max_in_memory_transactions* of
    them, unless *track_transactions_in_memory* is false.
    """

    def __init__(
        self,
        records: Collection,
        *,
        track_transactions_in_memory: bool = True,
        max_in_memory_transactions: int = _IN_MEMORY,
    ) -> None:
        require_count("max_in_memory_transactions", max_in_memory_transactions, least=0)
        self._records = records
        self._in_memory = track_transactions_in_memory
        self._completed: deque[str] = deque(maxlen=max_in_memory_transactions)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._records.spec.path)!r})"

    def get_sync_token(self) -> str | None:
        """Return the token to sync from, or `None` before the first sync."""
        found = self._records.get(SYNC_TOKEN)
        return None if found is None else str(found.value)

    def set_sync_token(self, token: str | None) -> None:
        """Sync from *token* from now on; `None` begins anew."""
        self._put(SYNC_TOKEN, _require_sync_token(token))

    def get_filter(self) -> Json | None:
        """Return the filter that was set, or `None`."""
        found = self._records.get(FILTER)
        return None if found is None else found.value

    def set_filter(self, value: Json | None) -> None:
        """Keep the filter *value*, which JSON can hold; `None` forgets it."""
        self._put(FILTER, value)

    def add_registered_user(self, user_id: str) -> None:
        """Note that the user *user_id* of an application service is registered."""
        self._note(USERS, "userId", require_text("user id", user_id), "registered")

    def is_user_registered(self, user_id: str) -> bool:
        """Tell whether *user_id* was noted as registered."""
        return self._is_noted(USERS, require_text("user id", user_id), "registered")

    def set_transaction_completed(self, transaction_id: str) -> None:
        """Note that the transaction *transaction_id* of a server was handled."""
        text = require_text("transaction id", transaction_id)
        if not self._in_memory:
            self._note(TRANSACTIONS, "txnId", text, "completed")
        elif text not in self._completed:
            self._completed.append(text)

    def is_transaction_completed(self, transaction_id: str) -> bool:
        """Tell whether the transaction *transaction_id* was handled."""
        text = require_text("transaction id", transaction_id)
        if self._in_memory:
            return text in self._completed
        return self._is_noted(TRANSACTIONS, text, "completed")

    def read_value(self, key: str) -> Json | None:
        """Return the value of *key*, or `None`."""
        found = self._records.get(f"{VALUES}{require_text('key', key)}")
        return None if found is None else found.value

    def store_value(self, key: str, value: Json) -> None:
        """Keep *value*, which JSON can hold, under *key*."""
        self._records.put(f"{VALUES}{require_text('key', key)}", value)

    def delete_value(self, key: str) -> bool:
        """Remove the value of *key*; False if there was none."""
        return self._records.delete(f"{VALUES}{require_text('key', key)}")

    def values(self, prefix: str = "") -> dict[str, Json]:
        """Return the values whose keys start with *prefix*, by their keys."""
        found = self._records.scan(f"{VALUES}{require_text('prefix', prefix)}")
        return {each.key.removeprefix(VALUES): each.value for each in found}

    def storage_for_user(self, user_id: str) -> UserStorage:
        """Return what is kept for the user *user_id* of an application service."""
        text = require_text("user id", user_id)
        if not text:
            raise InvalidError("user id", "is empty", "name the user")
        return UserStorage(text, self._records)

    def _put(self, key: str, value: Json | None) -> None:
        if value is None:
            self._records.delete(key)
        else:
            self._records.put(key, value)

    def _note(self, prefix: str, name: str, text: str, mark: str) -> None:
        def change(before: Json | None) -> Json | Mark:
            return {**(before if isinstance(before, dict) else {}), name: text, mark: True}

        self._records.update(prefix + _digest(text), change)

    def _is_noted(self, prefix: str, text: str, mark: str) -> bool:
        found = self._records.get(prefix + _digest(text))
        return found is not None and isinstance(found.value, dict) and found.value.get(mark) is True


class SimpleFsStorageProvider(BotStorage):
    """
    A `BotStorage` in the file *filename*, by its name in matrix-bot-sdk; no `State` is needed.

    Source: specification, "Matrix Client Storage".
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        *,
        track_transactions_in_memory: bool = True,
        max_in_memory_transactions: int = _IN_MEMORY,
    ) -> None:
        path = as_file_path(filename, "filename").absolute()
        name = PurePosixPath(path.name)
        spec = CollectionSpec("matrix", name, BotStorageLayout(), file=FileForm(newline=False))
        super().__init__(
            JsonFilesBackend(path.parent).collection(spec),
            track_transactions_in_memory=track_transactions_in_memory,
            max_in_memory_transactions=max_in_memory_transactions,
        )


def _require_sync_token(token: str | None) -> str | None:
    if token is None or (isinstance(token, str) and token):
        return token
    raise InvalidError("sync token", "is no text, or empty", "give the one that the server gave")


def _digest(text: str) -> str:
    try:
        return hashlib.sha512(text.encode()).hexdigest()
    except UnicodeEncodeError:
        raise InvalidError("id", "holds half a surrogate pair", "give it as it was given") from None
