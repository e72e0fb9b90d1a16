"""Where the storages of Matrix logins lie, and taking over what older releases left."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.clock import to_iso
from clawstate.errors import StateError
from clawstate.files.atomic import make_private_dir
from clawstate.files.lock import FileLock
from clawstate.files.os_errors import os_errors
from clawstate.health import Finding, Severity
from clawstate.openclaw.owner import Era
from clawstate.records.contract import Collection, CollectionSpec, Json
from clawstate.state.context import SQLITE, Context
from clawstate.state.secrets import sealer_of
from clawstate.stores.matrix import (
    BOT_STORAGE,
    DATABASE,
    META,
    PICKLE,
    Found,
    MatrixKeys,
    MatrixLogin,
    MatrixStoragePaths,
    choose,
    credentials_spec,
    document_of,
    is_storage_name,
    spec_of,
)
from clawstate.stores.matrix.documents import META_KEY, PICKLE_KEY, ObjectLayout, secret_place
from clawstate.stores.matrix.keys import GONE

_ADOPTING = "adopting"
"""The member of the meta document while a storage of an older release is moved in."""


def find_paths(context: Context, login: MatrixLogin) -> MatrixStoragePaths:
    """Return where the storage of *login* lies, or will lie; only looks."""
    folder = folder_of(context, login)
    storages = (_storage(context, login, name) for name in sorted(_names(context, login)))
    name = choose(login, storages)
    return MatrixStoragePaths(folder / name, login.account_key, login.pair_key, name)


def folder_of(context: Context, login: MatrixLogin) -> Path:
    """Return the directory in which the storages of the user of *login* lie."""
    return context.paths.matrix_dir / "accounts" / login.account_key / login.pair_key


def collection(context: Context, pattern: CollectionSpec, paths: MatrixStoragePaths) -> Collection:
    """Return the records of *pattern* for the storage at *paths*, in the engine of the state."""
    spec = spec_of(pattern, paths.account_key, paths.pair_key, paths.token_hash)
    return context.backends.records().collection(spec)


def key_collection(context: Context, paths: MatrixStoragePaths) -> Collection:
    """
    Return where the key lies that opens the database of keys of the storage at *paths*.

    It is a file beside that database whatever the engine, so that neither is restored without the
    other; a row on this machine where OpenClaw lets no files be (decision 056).
    """
    spec = spec_of(PICKLE, paths.account_key, paths.pair_key, paths.token_hash)
    if context.owner.era is Era.SQLITE:
        return context.backends.records(SQLITE).collection(spec)
    return context.backends.files(context.paths.root).collection(spec)


def credential_collection(context: Context, account: str) -> Collection:
    """Return where the credential of the account *account* lies, in the engine of the state."""
    spec = credentials_spec(account)
    records = context.backends.records().collection(spec)
    if context.owner.era is Era.SQLITE and not records.count():
        # From before OpenClaw moved its state; the file stays, for it has it as well.
        files = context.backends.files(context.paths.root).collection(spec)
        copy_if_empty(context, records, {each.key: each.value for each in files.scan()})
    return records


def prepare(context: Context, login: MatrixLogin, paths: MatrixStoragePaths) -> None:
    """Take over what older releases left, and note whose the storage at *paths* is."""
    meta = collection(context, META, paths)
    now = to_iso(context.clock())
    if context.owner.era is Era.SQLITE:
        _copy_from_files(context, paths)
    else:
        _adopt_flat_layout(context, login, paths, meta)

    def change(before: Json | None) -> Json:
        kept = {k: v for k, v in (before or {}).items() if k != _ADOPTING}
        return {**kept, **document_of(login, now=now)}

    meta.update(META_KEY, change)


def flat_layout(context: Context) -> tuple[Path, Path]:
    """Return where the first releases of OpenClaw kept the storage and the keys of all logins."""
    folder = context.paths.matrix_dir
    return folder / "bot-storage.json", folder / "crypto"


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """A storage that is there, and whose it says it is."""

    paths: MatrixStoragePaths
    login: Mapping[str, Any] | None


def stored_logins(context: Context) -> Iterator[StoredLogin]:
    """Give the storages that are there, of all accounts; what cannot be read tells nothing."""
    accounts = context.paths.matrix_dir / "accounts"
    found = {each.relative_to(accounts).parts for each in accounts.glob("*/*/*") if each.is_dir()}
    prefix = META.kind.partition("*")[0]
    for kind in context.backends.kinds(prefix):
        parts = tuple(kind.removeprefix(prefix).split("/"))
        found.add(parts)
    for parts in sorted(found):
        if len(parts) == len(META.kind.split("*")) - 1 and is_storage_name(parts[2]):
            paths = MatrixStoragePaths(accounts.joinpath(*parts), *parts)
            with suppress(StateError):
                yield StoredLogin(paths, _read(context, META, META_KEY, paths))


def find_device(context: Context, homeserver: str, user_id: str, account: str) -> str | None:
    """Return the device of a user whose keys are here; of several the one that was used last."""
    # Its token is not known yet: any that nobody has gives what a new login would continue.
    login = MatrixLogin(homeserver, user_id, "none", account)
    storages = [_storage(context, login, name) for name in sorted(_names(context, login))]
    chosen = choose(login, [each for each in storages if each.device_id is not None])
    return next((each.device_id for each in storages if each.name == chosen), None)


def check_keys(context: Context, paths: MatrixStoragePaths) -> Iterator[Finding]:
    """Give what keeps a client from using the keys of the storage at *paths*."""
    from clawstate.stores.matrix.key_database import (  # noqa: PLC0415 - loads sqlite3
        reading,
        require_present,
    )

    database = paths.crypto_path / DATABASE
    try:
        notes = collection(context, META, paths)
        keys = MatrixKeys(key_collection(context, paths), notes=notes)
        key, noted = keys.owner(), keys.noted_device()
        if key is None:
            if noted is not None and not os.path.lexists(database):
                message = f"the keys of the device {noted} are not here"
                severity: Severity = "warning" if context.backends.has_server else "error"
                yield Finding("matrix-keys", severity, str(database), message, GONE)
            if os.path.lexists(database):
                message = "cannot be opened: its key, nio-key.json, is not there"
                remedy = "restore both from one backup"
                yield Finding("matrix-keys", "error", str(database), message, remedy)
            return
        if require_present(database, key):
            with reading(database):
                pass
    except StateError as error:
        yield Finding.of(error, str(database), "")


def _names(context: Context, login: MatrixLogin) -> set[str]:
    folder = folder_of(context, login)
    found: set[str] = set()
    with os_errors(folder, "cannot be listed"), suppress(FileNotFoundError):
        found = {each.name for each in folder.iterdir() if not each.is_symlink()}
    prefix = spec_of(META, login.account_key, login.pair_key).kind.removesuffix("*")
    found |= {kind.removeprefix(prefix) for kind in context.backends.kinds(prefix)}
    return {name for name in found if is_storage_name(name)}


def _storage(context: Context, login: MatrixLogin, name: str) -> Found:
    root = folder_of(context, login) / name
    paths = MatrixStoragePaths(root, login.account_key, login.pair_key, name)
    # A damaged document gives its last good state with a warning, or none: then it is nobody's.
    told = _read(context, META, META_KEY, paths)
    key = _read(context, PICKLE, PICKLE_KEY, paths)
    device = key.get("deviceId") if key is not None else None
    if (
        told is None
        and key is not None
        and login.is_same_user(key.get("homeserver"), key["userId"])
    ):
        told = {"homeserver": key["homeserver"], "userId": key["userId"]}
    has_keys = key is not None or os.path.lexists(paths.crypto_path / DATABASE)
    return Found(name, told, has_keys, device if isinstance(device, str) else None)


def _read(
    context: Context, pattern: CollectionSpec, key: str, paths: MatrixStoragePaths
) -> Mapping[str, Any] | None:
    is_key = pattern is PICKLE
    found = (key_collection(context, paths) if is_key else collection(context, pattern, paths)).get(
        key
    )
    if found is None and context.owner.era is Era.SQLITE:
        # It may lie in a file from before OpenClaw moved its state.
        spec = spec_of(pattern, paths.account_key, paths.pair_key, paths.token_hash)
        found = context.backends.files(context.paths.root).collection(spec).get(key)
    return None if found is None else found.value


def _copy_from_files(context: Context, paths: MatrixStoragePaths) -> None:
    """Copy what lay in files before OpenClaw moved its state; the files stay, for it has them."""
    files = context.backends.files(context.paths.root)
    for pattern in (BOT_STORAGE, META, PICKLE):
        spec = spec_of(pattern, paths.account_key, paths.pair_key, paths.token_hash)
        rows = (
            key_collection(context, paths)
            if pattern is PICKLE
            else collection(context, pattern, paths)
        )
        copy_if_empty(
            context, rows, {each.key: each.value for each in files.collection(spec).scan()}
        )


def copy_if_empty(context: Context, records: Collection, found: Mapping[str, Json]) -> None:
    """Put *found* into *records*, unless there are some; its secret as those of the state are."""
    if not found or records.count():
        return
    records.change_all(lambda old: (old or _seal(context, records.spec, found), None))


def _seal(context: Context, spec: CollectionSpec, found: Mapping[str, Json]) -> Mapping[str, Json]:
    layout = spec.layout
    if not isinstance(layout, ObjectLayout) or layout.secret is None:
        return found
    text = layout.secret.found(found[layout.key])
    if not isinstance(text, str):
        return found
    place, sealer = secret_place(spec, layout.secret), sealer_of(context)()
    return {layout.key: layout.secret.write(found[layout.key], text, place=place, sealer=sealer)}


def _adopt_flat_layout(
    context: Context, login: MatrixLogin, paths: MatrixStoragePaths, meta: Collection
) -> None:
    """Move the storage and keys of the first releases in, for the login that comes first."""
    old_storage, old_crypto = flat_layout(context)
    moves = ((old_crypto, paths.crypto_path), (old_storage, paths.storage_path))
    if not any(os.path.lexists(old) for old, _ in moves):
        return
    with FileLock(old_storage, options=context.lock):
        found = meta.get(META_KEY)
        is_begun = found is not None and bool(found.value.get(_ADOPTING))
        is_taken = any(os.path.lexists(new) for _, new in moves) or _has_records(context, paths)
        if is_taken and not is_begun:
            return
        # Noted first: after a kill between the two moves, what is left still belongs here.
        begun = {**document_of(login, now=to_iso(context.clock())), _ADOPTING: True}
        meta.put(META_KEY, begun)
        make_private_dir(paths.root)
        for old, new in moves:
            if os.path.lexists(old) and not os.path.lexists(new):
                with os_errors(old, "was not moved"):
                    os.chmod(old, 0o700 if old is old_crypto else 0o600)  # noqa: PTH101 - by its path
                    old.rename(new)
        _take_rows(context, paths)


def _has_records(context: Context, paths: MatrixStoragePaths) -> bool:
    return collection(context, BOT_STORAGE, paths).count() > 0


def _take_rows(context: Context, paths: MatrixStoragePaths) -> None:
    """Where records lie in rows, take over those of the file that was moved in."""
    if context.backends.engine.in_files or not os.path.lexists(paths.storage_path):
        return
    spec = spec_of(BOT_STORAGE, paths.account_key, paths.pair_key, paths.token_hash)
    found = context.backends.files(context.paths.root).collection(spec).scan()
    new = {each.key: each.value for each in found}
    collection(context, BOT_STORAGE, paths).change_all(lambda old: ({**new, **old}, None))
    with os_errors(paths.storage_path, "was not moved away"):
        paths.storage_path.rename(paths.storage_path.with_name("bot-storage.json.adopted"))
