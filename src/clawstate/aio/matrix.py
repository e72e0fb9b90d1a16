"""The storages of Matrix clients, their verbs awaited."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from clawstate.aio.workers import Part, listing, verb
from clawstate.clock import Clock
from clawstate.state.matrix import MatrixAccounts, MatrixStorage
from clawstate.stores.matrix import (
    BotStorage,
    MatrixCredentials,
    MatrixKeys,
    MatrixStoragePaths,
    UserStorage,
)


class AsyncUserStorage(Part[UserStorage]):
    """What is kept for one user of an application service."""

    get_sync_token = verb(UserStorage.get_sync_token)
    set_sync_token = verb(UserStorage.set_sync_token)
    get_filter = verb(UserStorage.get_filter)
    set_filter = verb(UserStorage.set_filter)
    read_value = verb(UserStorage.read_value)
    store_value = verb(UserStorage.store_value)
    delete_value = verb(UserStorage.delete_value)


class AsyncBotStorage(Part[BotStorage]):
    """The sync position of a Matrix client, and what else it must not forget."""

    get_sync_token = verb(BotStorage.get_sync_token)
    set_sync_token = verb(BotStorage.set_sync_token)
    get_filter = verb(BotStorage.get_filter)
    set_filter = verb(BotStorage.set_filter)
    add_registered_user = verb(BotStorage.add_registered_user)
    is_user_registered = verb(BotStorage.is_user_registered)
    set_transaction_completed = verb(BotStorage.set_transaction_completed)
    is_transaction_completed = verb(BotStorage.is_transaction_completed)
    read_value = verb(BotStorage.read_value)
    store_value = verb(BotStorage.store_value)
    delete_value = verb(BotStorage.delete_value)
    values = verb(BotStorage.values)

    def storage_for_user(self, user_id: str) -> AsyncUserStorage:
        """Return what is kept for the user *user_id* of an application service."""
        return AsyncUserStorage(lambda: self._part().storage_for_user(user_id), self._workers)


class AsyncMatrixCredentials(Part[MatrixCredentials]):
    """The credential of one Matrix account."""

    get = verb(MatrixCredentials.get)
    require = verb(MatrixCredentials.require)
    save = verb(MatrixCredentials.save)
    mark_used = verb(MatrixCredentials.mark_used)
    remove = verb(MatrixCredentials.remove)


class AsyncMatrixKeys(Part[MatrixKeys]):
    """The key that opens the database of the keys of a device."""

    owner = verb(MatrixKeys.owner)
    noted_device = verb(MatrixKeys.noted_device)
    get = verb(MatrixKeys.get)
    require = verb(MatrixKeys.require)
    make = verb(MatrixKeys.make)
    note_identity = verb(MatrixKeys.note_identity)


class AsyncMatrixStorage(Part[MatrixStorage]):
    """What the Matrix client of one login must not lose."""

    prepare = verb(MatrixStorage.prepare)
    hold = verb(MatrixStorage.hold)
    storage_under = verb(MatrixStorage.storage_under)

    @property
    def homeserver(self) -> str:
        """The URL of the server."""
        return self._part().homeserver

    @property
    def user_id(self) -> str:
        """The user, as in `@bot:example.org`."""
        return self._part().user_id

    @property
    def device_id(self) -> str | None:
        """The device of the login, as far as it is known."""
        return self._part().device_id

    @property
    def access_token(self) -> str:
        """The token of the login; a secret."""
        return self._part().access_token

    @property
    def clock(self) -> Clock:
        """The clock of the state: seconds since the epoch."""
        return self._part().clock

    @property
    def account_id(self) -> str:
        """The account of this program that is logged in."""
        return self._part().account_id

    @property
    def paths(self) -> MatrixStoragePaths:
        """Where the storage lies; raises `UnavailableError` where that cannot be seen."""
        return self._part().paths

    @property
    def storage_path(self) -> Path:
        """The file of the sync token and the values, where records lie in files."""
        return self._part().storage_path

    @property
    def crypto_path(self) -> Path:
        """The directory of the keys."""
        return self._part().crypto_path

    @property
    def storage(self) -> AsyncBotStorage:
        """The sync token, the filter and the values."""
        return AsyncBotStorage(lambda: self._part().storage, self._workers)

    @property
    def keys(self) -> AsyncMatrixKeys:
        """The key that opens the database of the device's keys."""
        return AsyncMatrixKeys(lambda: self._part().keys, self._workers)


class AsyncMatrixAccounts(Part[MatrixAccounts]):
    """The Matrix logins of a state; call it for the storage of one."""

    def __call__(
        self,
        *,
        homeserver: str | None = None,
        user_id: str | None = None,
        access_token: str | None = None,
        account_id: str | None = None,
        device_id: str | None = None,
    ) -> AsyncMatrixStorage:
        """Return the storage of a login; what cannot be one is told by its first verb."""

        # Once for all verbs, for it is one storage; and in their threads, for it reads files.
        @cache
        def open_once() -> MatrixStorage:
            return self._part()(
                homeserver=homeserver,
                user_id=user_id,
                access_token=access_token,
                account_id=account_id,
                device_id=device_id,
            )

        return AsyncMatrixStorage(open_once, self._workers)

    def credentials(self, account_id: str | None = None) -> AsyncMatrixCredentials:
        """Return the credential of an account; `None` is the only account."""
        return AsyncMatrixCredentials(lambda: self._part().credentials(account_id), self._workers)

    known_device = verb(MatrixAccounts.known_device)
    logins = verb(MatrixAccounts.logins)
    check = listing(MatrixAccounts.check)
