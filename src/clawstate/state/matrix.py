"""The Matrix clients of a state: their storages, wired to its engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from clawstate.clock import Clock
from clawstate.errors import StateError
from clawstate.health import Finding
from clawstate.records.contract import Lease
from clawstate.state import matrix_places as places
from clawstate.state.context import Context
from clawstate.state.secrets import sealer_of
from clawstate.stores.matrix import (
    BOT_STORAGE,
    META,
    BotStorage,
    MatrixCredentials,
    MatrixKeys,
    MatrixLogin,
    MatrixStoragePaths,
    account_key,
)

_HELD = 300.0  # seconds without a sign of life, after which a client that is not dead is given up


class MatrixStorage:
    """
    What the Matrix client of one login must not lose, by `State.matrix`.

    Nothing is made before `storage` is asked for, or keys: that takes over what an older release
    left, and notes whose the storage is. Which storage it is stays the same for this object.
    """

    def __init__(self, context: Context, login: MatrixLogin) -> None:
        self._context = context
        self._login = login
        self._is_prepared = False

    def __repr__(self) -> str:
        return f"MatrixStorage({self._login!r})"

    @property
    def homeserver(self) -> str:
        """The URL of the server."""
        return self._login.homeserver

    @property
    def user_id(self) -> str:
        """The user, as in `@bot:example.org`."""
        return self._login.user_id

    @property
    def device_id(self) -> str | None:
        """The device of the login, as far as it is known."""
        return self._login.device_id

    @property
    def access_token(self) -> str:
        """The token of the login; a secret."""
        return self._login.access_token

    @property
    def clock(self) -> Clock:
        """The clock of the state: seconds since the epoch."""
        return self._context.clock

    @property
    def account_id(self) -> str:
        """The account of this program that is logged in."""
        return self._login.account_id

    @cached_property
    def paths(self) -> MatrixStoragePaths:
        """Where the storage lies; raises `UnavailableError` where that cannot be seen."""
        return places.find_paths(self._context, self._login)

    @property
    def storage_path(self) -> Path:
        """The file of the sync token and the values, where records lie in files."""
        return self.paths.storage_path

    @property
    def crypto_path(self) -> Path:
        """The directory of the keys."""
        return self.paths.crypto_path

    def prepare(self) -> None:
        """Take over what an older release left, and note whose the storage is; once is enough."""
        if not self._is_prepared:
            places.prepare(self._context, self._login, self.paths)
            self._is_prepared = True

    @cached_property
    def storage(self) -> BotStorage:
        """The sync token, the filter and the values."""
        self.prepare()
        return BotStorage(places.collection(self._context, BOT_STORAGE, self.paths))

    def hold(self, *, wait: float = 0.0) -> Lease:
        """
        Return the lease of the device's keys, which one client at a time may have.

        Raises `LockTimeoutError`, which names the holder, when it is held for *wait* seconds. It is
        free at once when its holder is dead.
        """
        self.prepare()
        name = "/".join(("matrix", *self.paths.root.parts[-3:]))
        return self._context.backends.records().lease(name, _HELD, wait=wait)

    def storage_under(self, lease: Lease) -> BotStorage:
        """Return `storage`, whose changes raise `LeaseLostError` once *lease* is over."""
        self.prepare()
        records = places.collection(self._context, BOT_STORAGE, self.paths)
        return BotStorage(records.fenced(lease))

    @cached_property
    def keys(self) -> MatrixKeys:
        """The key that opens the database of the device's keys."""
        self.prepare()
        records = places.key_collection(self._context, self.paths)
        clock, sealer = self._context.clock, sealer_of(self._context)
        notes = places.collection(self._context, META, self.paths)
        return MatrixKeys(records, clock=clock, sealer=sealer, notes=notes)


class MatrixAccounts:
    """
    The Matrix logins of a state; call it for the storage of one.

    `state.matrix(homeserver=..., user_id=..., access_token=...)`, or `state.matrix()` for the login
    whose credential is kept.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def __repr__(self) -> str:
        return "<the Matrix logins of a state; call it: state.matrix(homeserver=..., ...)>"

    def __call__(
        self,
        *,
        homeserver: str | None = None,
        user_id: str | None = None,
        access_token: str | None = None,
        account_id: str | None = None,
        device_id: str | None = None,
    ) -> MatrixStorage:
        """
        Return the storage of a login (specification, "Matrix Client Storage").

        What is not given is taken from the credential of the account. A new token continues the
        storage of the same server and user; one of another *device_id* does not. Raises
        `InvalidError`, which does not repeat the token, and `NotFoundError` without a credential.
        """
        account = account_key(account_id)
        if homeserver is None or user_id is None or access_token is None:
            kept = self.credentials(account).require()
            homeserver = kept.homeserver if homeserver is None else homeserver
            user_id = kept.user_id if user_id is None else user_id
            access_token = kept.access_token if access_token is None else access_token
        if device_id is None:
            device_id = self._known_device(account, homeserver, user_id, access_token)
        return MatrixStorage(
            self._context, MatrixLogin(homeserver, user_id, access_token, account, device_id)
        )

    def credentials(self, account_id: str | None = None) -> MatrixCredentials:
        """Return the credential of an account; `None` is the only account."""
        account = account_key(account_id)
        records = places.credential_collection(self._context, account)
        clock, sealer = self._context.clock, sealer_of(self._context)
        return MatrixCredentials(records, account, clock=clock, sealer=sealer)

    def known_device(
        self, homeserver: str, user_id: str, *, account_id: str | None = None
    ) -> str | None:
        """Return the device of *user_id* whose keys are here, to log in as; or `None`."""
        account = account_key(account_id)
        return places.find_device(self._context, homeserver, user_id, account)

    def logins(self) -> tuple[MatrixStoragePaths, ...]:
        """Return where the storages lie that are there, of all accounts."""
        return tuple(each.paths for each in places.stored_logins(self._context))

    def check(self) -> Iterator[Finding]:
        """Give storages that nobody continues, and keys that cannot be read."""
        for old in places.flat_layout(self._context):
            if old.exists():
                message = "lies where the first releases of OpenClaw had it"
                remedy = "the next start of a Matrix client takes it over"
                yield Finding("matrix-flat", "info", str(old), message, remedy)
        for each in places.stored_logins(self._context):
            yield from places.check_keys(self._context, each.paths)

    def _known_device(
        self, account: str, homeserver: str, user_id: str, access_token: str
    ) -> str | None:
        with suppress(StateError):
            kept = self.credentials(account).get()
            if kept is not None and kept.access_token == access_token:
                login = MatrixLogin(homeserver, user_id, access_token, account)
                return kept.device_id if login.is_same_user(kept.homeserver, kept.user_id) else None
        return None


def open_matrix(context: Context) -> MatrixAccounts:
    """Return the Matrix logins of the state on *context*."""
    return MatrixAccounts(context)
