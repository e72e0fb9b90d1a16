"""What is wrong with a database of records, and mending what loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from pathlib import Path

import apsw

from clawstate.errors import CorruptError, StateError, VersionError
from clawstate.files.json_text import parse_json
from clawstate.health import FIX, SALVAGE, Finding
from clawstate.quantities import number_of
from clawstate.records import sqlite_history
from clawstate.records.rules import is_key, name_record
from clawstate.records.sqlite_history import History
from clawstate.records.sqlite_rows import Table
from clawstate.sqlite import DamagedValueError, Part
from clawstate.sqlite.errors import damage
from clawstate.sqlite.page_file import has_pages
from clawstate.sqlite.salvage import salvage

_RESTORE = "restore a backup of it, or move it away: its records are gone then"
_GIVE_UP = "restore the newest backup, or move the file away to begin without its records"
_REVS = "SELECT rev FROM records UNION ALL SELECT rev FROM removed"
_ASIDE = "damaged:"
_OTHERS = f"substr(kind, 1, {len(_ASIDE)}) <> '{_ASIDE}'"


def check(
    database: Part, history: History, *, has_secret_keys: Callable[[str], bool], deep: bool
) -> Iterator[Finding]:
    """
    Give what is wrong with *database* and its rows; *deep* compares the indexes, too.

    *has_secret_keys* tells of a kind whether no finding may name its keys.
    """
    path = str(database.path)
    try:
        if not database.exists():
            return
        yield from _check_file(database, path, deep=deep)
        with database.reading() as connection:
            kinds = connection.execute(
                f"SELECT DISTINCT tenant, kind FROM records WHERE {_OTHERS}"
            ).fetchall()
    except StateError as error:
        yield _unread(database, error)
        return
    for tenant, kind in kinds:
        mine, is_secret = (str(tenant), str(kind)), has_secret_keys(str(kind))
        yield from check_rows(database, history, mine, secret_keys=is_secret, deep=deep)


def check_rows(
    database: Part, history: History, mine: tuple[str, str], *, secret_keys: bool, deep: bool
) -> Iterator[Finding]:
    """Give the rows of the tenant and kind *mine* that hold no record."""
    path = str(database.path)
    # SQLite's own look is fast, and misses what is JSON to it alone.
    condition = "" if deep else " AND NOT json_valid(body)"
    sql = f"SELECT id, body FROM records WHERE tenant = ? AND kind = ?{condition} ORDER BY id"
    try:
        with database.reading() as connection:
            rows = connection.execute(sql, mine).fetchall()
    except StateError as error:
        yield _unread(database, error)
        return
    for key, body in rows:
        if (problem := _problem(key, body, database.path)) is not None:
            message = f"{path}: {name_record(key, mine[1], is_secret=secret_keys)} {problem}"
            mend = partial(_put_aside, database, history, mine, str(key))
            yield Finding("corrupt", "error", path, message, FIX, repair=mend)


def _check_file(database: Part, path: str, *, deep: bool) -> Iterator[Finding]:
    with database.reading() as connection:
        problems = damage(connection, deep=deep)
        try:
            sqlite_history.changes(connection, "", "", None)
        except DamagedValueError as error:
            mend = partial(_renew_history, database)
            yield Finding("corrupt", "error", path, f"{path}: {error}", FIX, repair=mend)
    if problems:
        is_derived = all("index" in each for each in problems)
        yield Finding(
            *("corrupt", "error", path, f"{path}: {'; '.join(problems)}"),
            FIX if is_derived else SALVAGE,
            repair=partial(_rebuild_indexes if is_derived else _save, database),
        )


def _unread(database: Part, error: StateError) -> Finding:
    """Return that *database* could not be read; what is damaged can be saved in part."""
    found = Finding.of(error, str(database.path), _RESTORE)
    # Nothing of what a newer release wrote is damaged, and of what is no database nothing is left.
    is_damage = isinstance(error, CorruptError) and not isinstance(error, VersionError)
    if is_damage and has_pages(database.path):
        return replace(found, fix=SALVAGE, repair=partial(_save, database))
    return found


def _save(database: Part) -> str:
    """Keep what can be read of a damaged *database*; return what was done."""
    saved = 0

    def mend(connection: apsw.Connection, _: AbstractSet[str]) -> None:
        nonlocal saved
        saved = connection.execute("SELECT count(*) FROM records").get
        # No cursor from before counts: which records are gone is not known.
        known = "SELECT rev FROM history"
        sql = f"SELECT ifnull(max(rev), 0) + 1 FROM ({_REVS} UNION ALL {known})"
        last = connection.execute(sql).get
        connection.execute("DELETE FROM removed")
        connection.execute("DELETE FROM history")
        connection.execute("INSERT INTO history VALUES (1, ?, ?, 0)", (last, last))
        if not saved:
            raise CorruptError(str(database.path), "holds no record that can be read", _GIVE_UP)

    try:
        aside = salvage(database, [mend], is_damaged=partial(_is_damaged, database))
    except CorruptError as error:
        # Others are no damage, such as somebody else's database.
        if not isinstance(error.__cause__, apsw.Error | UnicodeError):
            raise
        problem = "is damaged so that nothing of it can be read"
        raise CorruptError(str(database.path), problem, _GIVE_UP) from error
    if aside is None:
        return "it was saved meanwhile"
    return (
        f"saved {number_of(saved, 'record')}; the damaged database is kept as {aside}, with all its"
        " secrets, until you remove it"
    )


def _is_damaged(database: Part) -> bool:
    try:
        with database.reading() as connection:
            return bool(damage(connection, deep=True))
    except StateError:
        return True


def _problem(key: object, body: object, path: Path) -> str | None:
    if not is_key(key):
        return "has no usable key"
    try:
        parse_json(str(body), path=path)
    except CorruptError as error:
        return error.problem
    return None


def _put_aside(database: Part, history: History, mine: tuple[str, str], key: str) -> str:
    tenant, kind = mine
    with database.writing() as connection:
        sql = "SELECT body FROM records WHERE tenant = ? AND kind = ? AND id = ?"
        found = connection.execute(sql, (*mine, key)).fetchall()
        if not found or _problem(key, found[0][0], database.path) is None:
            return "somebody else mended it"
        aside = Table(connection, (tenant, f"{_ASIDE}{kind}"), database.path)
        first = history.advance(connection, 2, database.generation)
        aside.write({key: str(found[0][0])}, first)
        Table(connection, mine, database.path).remove([key], first + 1)
        sqlite_history.forget_removed(connection, 1)
    return f"put aside as a row of the kind {_ASIDE + kind!r}; there is no good copy of it"


def _renew_history(database: Part) -> str:
    with database.writing() as connection:
        last = f"SELECT max(rev) FROM ({_REVS})"
        # No cursor from before counts: what moved since is not known any more.
        connection.execute(
            "INSERT OR IGNORE INTO history"
            f" SELECT 1, ifnull(({last}), 0), ifnull(({last}), 0), (SELECT count(*) FROM removed)"
        )
    return "written anew from the rows"


def _rebuild_indexes(database: Part) -> str:
    with database.writing() as connection:
        connection.execute("REINDEX")
        left = damage(connection, deep=True)
    if left:
        raise CorruptError(str(database.path), "; ".join(left), _RESTORE)
    return "its indexes were built again"
