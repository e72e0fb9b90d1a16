"""`open_client` and `log_in`: from a state to a client of matrix-nio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import ClientError
from nio import AsyncClient, AsyncClientConfig, LoginResponse, WhoamiError, WhoamiResponse

from clawstate.errors import ConflictError, InvalidError, UnavailableError
from clawstate.matrix.account_check import identity_of, require_usable
from clawstate.matrix.client import MatrixClient
from clawstate.matrix.key_store import KeyStore
from clawstate.stores.matrix import DATABASE, PickleKey

if TYPE_CHECKING:
    from clawstate.records.contract import Lease
    from clawstate.state import State
    from clawstate.state.matrix import MatrixStorage

_TRIES = 3  # where a login is asked for, of a server that cannot be reached
_OVER = frozenset({"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"})


def open_client(matrix: MatrixStorage, *, config: AsyncClientConfig | None = None) -> MatrixClient:
    """
    Return a client for the login of *matrix*, with its keys and its position.

    Of *config* the settings of the store are not used. Raises `InvalidError` if the device of the
    login is not known, `LockTimeoutError` while another client of the device is open,
    `ConflictError` where other keys lie, `CorruptError` for keys that cannot be used: none is ever
    overwritten.
    """
    lease = matrix.hold()
    try:
        return _open(matrix, config or AsyncClientConfig(), lease)
    except BaseException:
        lease.release()
        raise


async def log_in(
    state: State,
    *,
    homeserver: str,
    user_id: str,
    password: str | None = None,
    account_id: str | None = None,
    device_name: str = "clawstate",
    config: AsyncClientConfig | None = None,
) -> MatrixClient:
    """
    Return a client for *user_id*, logged in with its credential, else with *password*.

    A new login is that of the device whose keys are here, and its credential is kept. Raises
    `InvalidError` where a password is needed and none is given, `UnavailableError` for a server
    that refuses, and what `open_client` raises.
    """
    credentials = state.matrix.credentials(account_id)
    kept = await asyncio.to_thread(credentials.get)
    if kept is not None and kept.user_id == user_id:
        stored = await asyncio.to_thread(
            lambda: state.matrix(homeserver=homeserver, user_id=user_id, account_id=account_id)
        )
        client = open_client(stored, config=config)
        if await _is_known(client):
            await asyncio.to_thread(credentials.mark_used)
            return client
        await client.close()
    if password is None:
        hint = "give the password, or save a credential that the server knows"
        raise InvalidError("password", f"is needed to log in as {user_id}", hint)
    device = await asyncio.to_thread(
        state.matrix.known_device, homeserver, user_id, account_id=account_id
    )
    token, device = await _log_in(homeserver, user_id, device, password, device_name)
    stored = await asyncio.to_thread(
        lambda: state.matrix(
            homeserver=homeserver,
            user_id=user_id,
            access_token=token,
            account_id=account_id,
            device_id=device,
        )
    )
    client = open_client(stored, config=config)
    try:
        client.share_anew()
        # Last: a kill before it lets the next start log in again, and do all of this.
        await asyncio.to_thread(
            lambda: credentials.save(homeserver, user_id, token, device_id=device)
        )
    except BaseException:
        await client.close()
        raise
    return client


def _open(matrix: MatrixStorage, config: AsyncClientConfig, lease: Lease) -> MatrixClient:
    key = _key(matrix)
    database = matrix.crypto_path / DATABASE
    require_usable(database, key)
    settings = replace(
        config,
        store=KeyStore,
        store_name=DATABASE,
        pickle_key=key.pickle_key,
        # The position is kept once all callbacks are over; matrix-nio's own goes before them.
        store_sync_tokens=False,
        encryption_enabled=True,
    )
    storage = matrix.storage_under(lease)
    client = MatrixClient(
        matrix.homeserver,
        matrix.user_id,
        key.device_id,
        store_path=str(matrix.crypto_path),
        config=settings,
        storage=storage,
        lease=lease,
        clock=matrix.clock,
    )
    client.restore_login(matrix.user_id, key.device_id, matrix.access_token)
    identity = identity_of(database, key)
    if identity is not None:
        matrix.keys.note_identity(identity)
    client.share_keys_durably()
    client.loaded_sync_token = storage.get_sync_token() or ""
    return client


def _key(matrix: MatrixStorage) -> PickleKey:
    key, device = matrix.keys.get(), matrix.device_id
    if key is None:
        if (matrix.crypto_path / DATABASE).exists():
            matrix.keys.require()
        if device is None:
            hint = "give device_id=..., as the server names it; or use log_in"
            raise InvalidError("device id", "of the login is not known", hint)
        return matrix.keys.make(matrix.homeserver, matrix.user_id, device)
    if key.user_id != matrix.user_id or device not in {None, key.device_id}:
        hint = f"they are of the device {key.device_id} of {key.user_id}; log in as that device"
        raise ConflictError("keys in", str(matrix.crypto_path), hint)
    return key


async def _is_known(client: MatrixClient) -> bool:
    """Tell whether the server knows the token of *client*, for its device."""
    usual = client.config
    client.config = _impatient(usual)
    try:
        async with _contact(client.homeserver):
            answer = await client.whoami()
    except BaseException:
        await client.close()
        raise
    client.config = usual
    if isinstance(answer, WhoamiResponse):
        return answer.user_id == client.user_id and answer.device_id in {None, client.device_id}
    if isinstance(answer, WhoamiError) and answer.status_code in _OVER:
        return False
    await client.close()
    raise UnavailableError(client.homeserver, f"did not say whose the token is ({answer})")


async def _log_in(
    homeserver: str, user_id: str, device: str | None, password: str, name: str
) -> tuple[str, str]:
    config = _impatient(AsyncClientConfig())
    client = AsyncClient(homeserver, user_id, device_id=device or "", config=config)
    try:
        async with _contact(homeserver):
            answer = await client.login(password, device_name=name)
    finally:
        await client.close()
    if not isinstance(answer, LoginResponse):
        raise UnavailableError(homeserver, f"refused the login of {user_id} ({answer})")
    return answer.access_token, answer.device_id


def _impatient(config: AsyncClientConfig) -> AsyncClientConfig:
    # matrix-nio would go on for ever, and a wrong address be told to nobody.
    return replace(config, max_timeouts=_TRIES)


@asynccontextmanager
async def _contact(homeserver: str) -> AsyncIterator[None]:
    """Turn the failure to reach *homeserver* into `UnavailableError`."""
    try:
        yield
    except (ClientError, TimeoutError, OSError) as error:
        problem = f"cannot be reached ({type(error).__name__})"
        raise UnavailableError(homeserver, problem, "see to its address, and repeat") from error
