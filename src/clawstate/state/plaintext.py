"""Plaintext remnants of secrets after their encryption: copies of ours are cleaned."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.encryption.member import SEALED
from clawstate.encryption.sealer import FieldSealer
from clawstate.errors import NotFoundError, StateError
from clawstate.files.atomic import sweep_temporaries, write_atomic
from clawstate.files.lock import FileLock
from clawstate.files.regular import read_regular
from clawstate.interrupts import load_modules
from clawstate.records.last_good import copy_path, keep_copy, read_copy
from clawstate.state.agents import auth_cache, auth_profiles, refresh_dir
from clawstate.state.auth import profile_store
from clawstate.stores.auth.credentials import TYPES
from clawstate.stores.auth.refresh_journal import ASIDE_SUFFIX, RESPONSE_SUFFIX

if TYPE_CHECKING:
    from clawstate.state.context import Context
    from clawstate.state.matrix_secrets import MatrixSecret

_LIMIT = 256 << 20
_GONE = b"[sealed]"
_SHORTEST = 8  # bytes: what is shorter stands in a text by chance


def scrub_plaintext(
    context: Context, agents: Iterable[str], matrix: Iterable[MatrixSecret]
) -> tuple[str, ...]:
    """
    Clean the copies that clawstate made of the secrets of *agents* and *matrix*, now sealed.

    Those are last good copies, what killed writers left, files in quarantine, and free pages of
    the database. Returns sentences about what is not cleaned, because it may be all there is.
    """
    found: list[str] = []
    for name in agents:
        path = auth_profiles(context, name)
        in_file = context.backends.engine.in_files
        found += _scrub_copies(context, path, partial(_values, context, name), in_file=in_file)
        found += _legacy(context, name)
        found += _find_responses(refresh_dir(context, name))
    for each in matrix:
        found += _scrub_copies(
            context, each.path, partial(_matrix_values, context, each), in_file=each.in_file
        )
    aside = context.paths.root / "state" / "set-aside"
    if aside.is_dir():
        told = f"{aside}, from when records were moved, may hold secrets"
        found.append(f"{told}; 'clawstate store clean' removes it")
    if context.backends.has_rows:  # perhaps from before records were moved to files
        found += vacuum_database(context.paths.records_db)
    return tuple(dict.fromkeys(found))


def _scrub_copies(
    context: Context, path: Path, values: Callable[[], Iterable[bytes]], *, in_file: bool
) -> Iterator[str]:
    if path.parent.is_dir():
        # Else it would take away what a writer is about to put in place.
        with FileLock(path, options=context.lock):
            sweep_temporaries(path)
            yield from _last_good(path)
        yield from _quarantine(path, frozenset(values()))
    if not in_file and path.exists():
        yield f"{path}, from when records lay in files, may hold secrets; remove it"


def _last_good(path: Path) -> Iterator[str]:
    copy = copy_path(path)
    if not copy.exists():
        return
    with suppress(NotFoundError):
        raw = read_regular(path, limit=_LIMIT)
        if read_copy(path, limit=_LIMIT) != raw:
            keep_copy(path, raw)
        if read_copy(path, limit=_LIMIT) == raw:
            return
    yield f"{copy} could not be renewed, and may hold secrets in the clear"


def _quarantine(path: Path, values: frozenset[bytes]) -> Iterator[str]:
    folder = path.parent / ".quarantine"
    if folder.is_symlink():
        yield f"{folder} is a link, which is not followed; look at what it leads to"
        return
    if not folder.is_dir():
        return
    for each in sorted(folder.iterdir()):
        try:
            raw = read_regular(each, limit=_LIMIT)
            clean = raw
            for value in values:
                clean = clean.replace(value, _GONE)
            if clean != raw:
                write_atomic(each, clean)
        except StateError as error:
            yield str(error)
            continue
        yield f"{each} is a damaged file that may hold older secrets; remove it if you can"


def _legacy(context: Context, name: str) -> Iterator[str]:
    files = [auth_cache(context, name)]
    if name == "main":
        files.append(context.paths.legacy_oauth)
    for file in files:
        if file.exists():
            yield f"{file}, of an older release, holds secrets in the clear; remove it"


def _find_responses(folder: Path) -> Iterator[str]:
    """Name answers that a killed refresh could not store: they may be all there is of a login."""
    secrets = TYPES["oauth"].secrets
    sealed = [f'"{name}{SEALED}"'.encode() for name in (*(each.name for each in secrets), "answer")]
    for path in sorted((*folder.glob(f"*/*{RESPONSE_SUFFIX}"), *folder.glob(f"*/*{ASIDE_SUFFIX}"))):
        with suppress(StateError, OSError):
            raw = read_regular(path, limit=_LIMIT).strip()
            if raw and not any(each in raw for each in sealed):
                yield f"{path} may hold tokens of an interrupted refresh; refresh that profile"


def _values(context: Context, name: str) -> Iterator[bytes]:
    """Yield the secrets of an agent as they stand in a text, and in a string of JSON."""
    for row in profile_store(context, name).read().profiles.values():
        if row.credential is None:
            continue
        for member in TYPES[row.credential.type].secrets:
            with suppress(StateError):
                text = getattr(row.credential, member.attribute)
                if text and len(text) >= _SHORTEST:
                    yield text.encode("utf-8", "surrogatepass")
                    yield json.dumps(text)[1:-1].encode()


def _matrix_values(context: Context, secret: MatrixSecret) -> Iterator[bytes]:
    with suppress(StateError):
        if text := secret.read(FieldSealer(context.key_store)):
            yield text.encode("utf-8", "surrogatepass")
            yield json.dumps(text)[1:-1].encode()


def vacuum_database(path: Path) -> Iterator[str]:
    """Rewrite the database *path* without free pages; yield sentences about what stayed."""
    if not path.exists():
        return
    load_modules("apsw")
    import apsw  # noqa: PLC0415 - files do without

    try:
        # A connection of its own: SQLite refuses to rewrite a file through one that has a
        # transaction open.
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(30_000)
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0]
        finally:
            connection.close()
    except apsw.Error as error:
        yield f"{path} was not compacted ({type(error).__name__}); old text may be in free pages"
        return
    if busy:
        yield f"{path}-wal is in use and may hold old text; it goes when the last program ends"
