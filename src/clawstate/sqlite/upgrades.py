"""
What a database was before its format was raised: a copy, proven before anything changes.

The copy is made inside the transaction that raises the format, when that has changed nothing yet,
and a migration after which a row answers otherwise is taken back. Only a database that is raised is
copied: one of the present format is not even looked at (decision 067).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import apsw

from clawstate.errors import CorruptError, NotFoundError, StateError, UnavailableError
from clawstate.files.atomic import create_private_file, make_private_dir, write_atomic
from clawstate.files.regular import read_regular
from clawstate.sqlite.migrations import PartFormat
from clawstate.sqlite.part import Part
from clawstate.sqlite.salvage import UPGRADED
from clawstate.version import __version__

QUESTIONS: Final = 200
"""Rows that are read before and after a migration."""

_SPARE = 16 << 20
_NOTE = re.compile(r".+\.json")
_LIMIT = 1 << 16
_STEP = 4096  # pages


@dataclass(frozen=True, slots=True)
class KeptFormat:
    """
    The copy *path* of the database *database*, whose part *part* was raised from *old* to *new*.

    *at* is in seconds since the epoch; *asked* rows answered as before afterwards. *version* is the
    clawstate that raised it.
    """

    path: Path
    database: Path
    part: str
    old: int
    new: int
    at: float
    asked: int
    version: str


def migrate_with_copy(connection: apsw.Connection, part: PartFormat, found: int) -> None:
    """
    Raise *part* from the format *found*, inside the running transaction, and keep what was before.

    Raises `UnavailableError` where there is no room for the copy, `CorruptError` where a row
    answers otherwise after it; then nothing has changed.
    """
    path = part.path
    folder = path.parent / UPGRADED
    make_private_dir(folder)
    copy = _free(folder / f"{path.name}.{part.name}-{found}")
    _require_room(connection, path, folder)
    _copy(path, copy)
    try:
        before = _ask(copy)
        part.migrate(connection)
        asked = _require_same(connection, before, path)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    kept = KeptFormat(
        copy, path, part.name, found, len(part.migrations), time.time(), asked, __version__
    )
    document = asdict(kept) | {"path": copy.name, "database": path.name}
    write_atomic(_note_of(copy), json.dumps(document, indent=1).encode() + b"\n")


def kept_formats(database: Path) -> list[KeptFormat]:
    """Return what was kept of *database* before upgrades, the oldest first."""
    folder = database.parent / UPGRADED
    found = []
    if not folder.is_dir():
        return []
    for path in folder.iterdir():
        if not _NOTE.fullmatch(path.name):
            continue
        with contextlib.suppress(StateError, ValueError, KeyError, TypeError):
            told: dict[str, Any] = json.loads(read_regular(path, limit=_LIMIT))
            copy = folder / Path(str(told["path"])).name
            if told["database"] == database.name and copy.is_file():
                found.append(KeptFormat(**(told | {"path": copy, "database": database})))
    return sorted(found, key=lambda each: each.at)


def bring_back(part: Part, kept: KeptFormat) -> Path:
    """
    Put *kept* in the place of what is in the database of *part*; return where that is kept now.

    Other processes see one change: all pages are replaced in one transaction. Raises
    `NotFoundError`, `LockTimeoutError`, `CorruptError`, `UnavailableError`.
    """
    if not kept.path.is_file():
        raise NotFoundError("copy from before the upgrade", str(kept.path))
    require_whole(kept.path)
    aside = _free(kept.path.with_name(f"{kept.database.name}.after-{kept.new}"))
    with part.alone():
        _copy(kept.database, aside)
        with (
            contextlib.closing(_open(kept.path)) as source,
            contextlib.closing(_open(kept.database)) as target,
            target.backup("main", source, "main") as backup,
        ):
            backup.step(-1)
    return aside


def require_whole(path: Path) -> None:
    """Raise `CorruptError` unless the copy *path* is whole."""
    with contextlib.closing(_open(path)) as connection:
        if (found := connection.execute("PRAGMA quick_check(1)").get) != "ok":
            raise CorruptError(str(path), f"is damaged: {found}", "take a backup instead")


def _open(path: Path) -> apsw.Connection:
    connection = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(10_000)
    return connection


def _require_room(connection: apsw.Connection, path: Path, folder: Path) -> None:
    size = int(connection.pragma("page_count")) * int(connection.pragma("page_size"))
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        problem = (
            f"is of an older format; a copy ({size >> 20:,} MB) is made before it is upgraded, and"
            f" {free >> 20:,} MB are free"
        )
        raise UnavailableError(str(path), problem, "free some space and repeat; nothing changed")


def _copy(path: Path, target: Path) -> None:
    """Write what is committed in *path* to the new *target*, on disk and whole."""
    create_private_file(target)
    try:
        # A connection of its own: it reads what is committed, while ours has begun to write.
        with (
            contextlib.closing(_open(path)) as source,
            contextlib.closing(_open(target)) as made,
        ):
            made.pragma("synchronous", 0)
            with made.backup("main", source, "main") as backup:
                while not backup.done:
                    backup.step(_STEP)
            made.pragma("journal_mode", "delete")
        require_whole(target)
        _sync(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    for each in (path, path.parent):
        number = os.open(each, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


_Answer = tuple[str, Sequence[str], int, str]
"""A table, columns of it, the number of a row, and a digest of these."""


def _ask(copy: Path) -> list[_Answer]:
    with contextlib.closing(_open(copy)) as connection:
        tables = [
            (name, columns)
            for name, columns in _tables(connection)
            if connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').get
        ]
        return [
            (name, columns, number, digest)
            for name, columns in tables
            for number, digest in _rows(connection, name, columns, QUESTIONS // len(tables))
        ]


def _require_same(connection: apsw.Connection, before: Sequence[_Answer], path: Path) -> int:
    """Return how many rows answer as *before*; raise `CorruptError` if one does not."""
    now = {name: set(columns) for name, columns in _tables(connection)}
    asked = 0
    for name, columns, number, digest in before:
        if set(columns) <= now.get(name, set()):
            asked += 1
            if digest != _digest(connection, name, columns, number):
                problem = f"row {number} of {name} answers otherwise in the new format"
                raise CorruptError(str(path), problem, "nothing was changed; tell its makers")
    return asked


def _tables(connection: apsw.Connection) -> Iterator[tuple[str, list[str]]]:
    """Yield the tables whose rows have numbers that stay, each with its columns of plain values."""
    # What is known of words, in every part, is derived from texts, and made anew at will.
    sql = (
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
        " AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'word_*'"
    )
    for (name,) in connection.execute(sql).fetchall():
        info = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,))
        columns = info.fetchall()
        keys = [str(column) for column, kind, pk in columns if pk and str(kind) == "INTEGER"]
        # What is derived lies in blobs, which a migration may make anew.
        plain = [str(column) for column, kind, _ in columns if str(kind) in {"TEXT", "INTEGER"}]
        if len(keys) == sum(bool(pk) for _, _, pk in columns) == 1 and "TEXT" in {
            str(kind) for _, kind, _ in columns
        }:
            yield str(name), [keys[0], *(each for each in plain if each != keys[0])]


def _rows(
    connection: apsw.Connection, name: str, columns: Sequence[str], count: int
) -> Iterator[tuple[int, str]]:
    key = columns[0]
    low, high = connection.execute(f'SELECT min("{key}"), max("{key}") FROM "{name}"').get
    step = max(1, (int(high) - int(low) + 1) // max(count, 1))
    sql = f'SELECT "{key}" FROM "{name}" WHERE "{key}" >= ? ORDER BY "{key}" LIMIT 1'
    at = int(low)
    for _ in range(count):
        number = connection.execute(sql, (at,)).get
        if number is None:
            return
        yield int(number), _digest(connection, name, columns, int(number))
        at = max(int(number) + 1, at + step)


def _digest(connection: apsw.Connection, name: str, columns: Sequence[str], number: int) -> str:
    listed = ", ".join(f'"{each}"' for each in columns)
    sql = f'SELECT {listed} FROM "{name}" WHERE "{columns[0]}" = ?'
    row = connection.execute(sql, (number,)).fetchone()
    return hashlib.sha256(json.dumps(row).encode("utf-8", "surrogatepass")).hexdigest()


def _note_of(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}.json")


def _free(path: Path) -> Path:
    number, found = 1, path
    while os.path.lexists(found) or os.path.lexists(_note_of(found)):
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found
