"""
A keyed chain over the changes of a database: it shows what was changed behind its back.

Each transaction that changes a watched row adds a link: which rows, the digest that each has now,
and a code over that and the code of the link before, which nobody can make without the key. Key and
head lie outside of the state, so that whoever can write all of it can neither forge a link nor go
back to an older one unseen (decision 067).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw

from clawstate.errors import UnavailableError
from clawstate.files.atomic import create_private_file
from clawstate.files.descriptors import Descriptor
from clawstate.sqlite.migrations import AUDIT, Migration, PartFormat

KeyOf: TypeAlias = Callable[[Mapping[str, Any]], bytes]
"""Returns the key that a document of its source stands for."""

Head: TypeAlias = tuple[int, str]
"""The number of the last link, and its code in hexadecimal digits."""

NO_HEAD: Final[Head] = (0, "0" * 64)

_TABLES = """
CREATE TABLE clawstate_audit (
    number INTEGER PRIMARY KEY,
    rows TEXT NOT NULL,
    code BLOB NOT NULL
) STRICT;
CREATE TABLE clawstate_audit_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    source TEXT NOT NULL,
    head TEXT NOT NULL
) STRICT;
"""
_LAST = "SELECT number, code FROM clawstate_audit ORDER BY number DESC LIMIT 1"
_LINK = "INSERT INTO clawstate_audit VALUES (?, ?, ?)"
_WRITE = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_HEAD_BYTES = 20 + 1 + 64 + 1
_BATCH = 1_000  # rows in one link of those that are there at the beginning


def _first(connection: apsw.Connection) -> None:
    connection.execute(_TABLES)


MIGRATIONS: tuple[Migration, ...] = (_first,)


@dataclass(frozen=True, slots=True)
class Broken:
    """The first *link* that does not hold, or the row that was changed; *problem* says how."""

    problem: str
    link: int | None = None


class AuditChain:
    """
    The chain of one database: *watched* are statements that give a row by its number, by table.

    Of the tables *counted* counters move with each record: only the column with that number is
    watched, or each write would vouch anew for what somebody else put there.

    Nothing is done where the database has no chain.
    """

    def __init__(
        self, key_of: KeyOf, watched: Mapping[str, str], counted: Mapping[str, int]
    ) -> None:
        self._counted = counted
        self._key_of = key_of
        self._watched = watched
        self._keys: dict[str, bytes] = {}
        self._touched: dict[tuple[str, int], None] = {}
        self._hooked: apsw.Connection | None = None
        self._head: tuple[str, Head] | None = None
        self._opened: tuple[str, Descriptor] | None = None

    def begin(self, connection: apsw.Connection, *, is_on: bool) -> None:
        """Note which rows the transaction of *connection* changes, if there is a chain."""
        self._touched.clear()
        self._head = None
        if is_on != (self._hooked is connection):
            connection.preupdate_hook(self._note if is_on else None, id=self)
            self._hooked = connection if is_on else None

    def seal(self, connection: apsw.Connection) -> None:
        """Add the link of the transaction, as its last change; raises `UnavailableError`."""
        if self._hooked is not connection or not self._touched:
            return
        source, place = connection.execute("SELECT source, head FROM clawstate_audit_key").get
        key = self._key(str(source))
        changed = [
            (table, number, self.digest(connection, table, number))
            for table, number in self._touched
        ]
        self._touched.clear()
        self._head = str(place), add_link(connection, key, changed)

    def tell_head(self) -> None:
        """Note the head outside of the state, after the commit and while others wait."""
        # Not synced, which would cost as much as the transaction: after a power cut it may be
        # behind the chain, never before it, and a chain that goes on from it is sound.
        if self._head is not None:
            place, head = self._head
            self._head = None
            with suppress(OSError):
                # Kept open: to open it takes longer than to write. A file that was put in its
                # place by somebody is written at the next opening.
                if self._opened is None or self._opened[0] != place:
                    create_private_file(Path(place))
                    descriptor = Descriptor()
                    descriptor.open(place, _WRITE)
                    self._opened = place, descriptor
                os.pwrite(self._opened[1].number, _head_line(head), 0)

    def digest(self, connection: apsw.Connection, table: str, number: int) -> str | None:
        """Return the digest of a row, `None` if there is none."""
        row = connection.execute(self._watched[table], (number,)).fetchone()
        return None if row is None else digest_of(row)

    def turn_on(
        self, connection: apsw.Connection, path: Path, source: Mapping[str, Any], head: Path
    ) -> Head:
        """Begin a chain in the transaction of *connection*, with all rows that are there."""
        PartFormat(path, AUDIT, MIGRATIONS).migrate(connection)
        connection.execute("DELETE FROM clawstate_audit; DELETE FROM clawstate_audit_key")
        text = json.dumps(dict(source))
        connection.execute("INSERT INTO clawstate_audit_key VALUES (1, ?, ?)", (text, str(head)))
        key = self._key(text)
        found = add_link(connection, key, [])
        batch: list[tuple[str, int, str | None]] = []
        for table, number in self.rows(connection):
            batch.append((table, number, self.digest(connection, table, number)))
            if len(batch) == _BATCH:
                found = add_link(connection, key, batch)
                batch = []
        found = add_link(connection, key, batch) if batch else found
        self._head = str(head), found
        return found

    def rows(self, connection: apsw.Connection) -> Iterator[tuple[str, int]]:
        """Yield the numbers of all rows that are watched."""
        sql = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        there = {str(name) for (name,) in connection.execute(sql)}
        for table in self._watched:
            if table in there:
                for (number,) in connection.execute(f'SELECT rowid FROM "{table}"').fetchall():
                    yield table, int(str(number))

    def _note(self, change: apsw.PreUpdate) -> None:
        table = change.table_name
        if table not in self._watched:
            return
        column, new = self._counted.get(table), change.update
        if column is not None and new is not None and new[column] is apsw.no_change:
            return
        self._touched[table, change.rowid] = None
        self._touched[table, change.rowid_new] = None

    def _key(self, source: str) -> bytes:
        if source not in self._keys:
            self._keys[source] = self._key_of(json.loads(source))
        return self._keys[source]


def turn_off(connection: apsw.Connection) -> None:
    """Remove the chain, in the transaction of *connection*."""
    connection.execute("DROP TABLE IF EXISTS clawstate_audit")
    connection.execute("DROP TABLE IF EXISTS clawstate_audit_key")
    connection.execute("DELETE FROM clawstate_parts WHERE part = ?", (AUDIT,))


def is_audited(connection: apsw.Connection) -> bool:
    """Tell whether the database of *connection* has a chain."""
    sql = "SELECT count(*) FROM sqlite_schema WHERE name IN ('clawstate_audit', ?)"
    return int(connection.execute(sql, ("clawstate_audit_key",)).get) > 1


def source_of(connection: apsw.Connection) -> tuple[dict[str, Any], Path]:
    """Return where the key comes from, and where the head is told."""
    source, head = connection.execute("SELECT source, head FROM clawstate_audit_key").get
    return json.loads(str(source)), Path(str(head))


def add_link(
    connection: apsw.Connection, key: bytes, changed: Sequence[tuple[str, int, str | None]]
) -> Head:
    """Add a link for the rows *changed*, and return the new head."""
    found = connection.execute(_LAST).fetchone()
    number, before = (int(found[0]), bytes(found[1])) if found else (0, bytes(32))
    text = json.dumps(changed, separators=(",", ":"))
    code = _code(key, number + 1, before, text)
    connection.execute(_LINK, (number + 1, text, code))
    return number + 1, code.hex()


def first_broken(
    connection: apsw.Connection, chain: AuditChain, key: bytes, heads: Sequence[Head]
) -> Broken | None:
    """
    Return the first link that does not hold, or the first row that is not what its link says.

    *heads* were told at some time: each must be one of the chain's, or the chain was cut or taken
    back. `None` if everything holds.
    """
    expected: dict[tuple[str, int], str | None] = {}
    wanted = dict(head for head in heads if head[0])
    before, last = bytes(32), 0
    for number, text, code in connection.execute("SELECT * FROM clawstate_audit ORDER BY number"):
        last += 1
        if number != last:
            return Broken(f"link {last} is missing", last)
        if not hmac.compare_digest(_code(key, last, before, str(text)), bytes(code)):
            return Broken(f"link {last} was changed, moved, or made without the key", last)
        if wanted.get(last, bytes(code).hex()) != bytes(code).hex():
            return Broken(f"link {last} is another than the one that was told", last)
        before = bytes(code)
        for table, row, digest in json.loads(str(text)):
            expected[str(table), int(row)] = digest
    if wanted and max(wanted) > last:
        problem = f"ends at link {last}, and was at link {max(wanted)} before: taken back, or cut"
        return Broken(f"the chain {problem}", last + 1)
    return _compare_rows(connection, chain, expected)


def _compare_rows(
    connection: apsw.Connection, chain: AuditChain, expected: dict[tuple[str, int], str | None]
) -> Broken | None:
    there = set(chain.rows(connection))
    for (table, number), digest in expected.items():
        found = chain.digest(connection, table, number) if (table, number) in there else None
        if found == digest:
            continue
        what = f"row {number} of {table}"
        if found is None:
            return Broken(f"{what} is gone, and nothing of ours removed it")
        return Broken(f"{what} is not what was written" if digest else f"{what} came back")
    for table, number in sorted(there - expected.keys()):
        return Broken(f"row {number} of {table} was put in by nobody of ours")
    return None


def digest_of(row: Sequence[Any]) -> str:
    """Return the digest of the values of a row."""
    text = json.dumps([each.hex() if isinstance(each, bytes) else each for each in row])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def write_head(path: Path, head: Head) -> None:
    """Write *head* into the file *path* outside of the state."""
    if not path.exists():
        create_private_file(path)
    descriptor = Descriptor()
    descriptor.open(path, _WRITE)
    with descriptor as number:
        os.pwrite(number, _head_line(head), 0)


def _head_line(head: Head) -> bytes:
    return f"{head[0]:020} {head[1]}\n".encode()


def read_head(path: Path) -> Head:
    """Return the head in the file *path*; raises `UnavailableError` without one."""
    try:
        text = path.read_bytes()[:_HEAD_BYTES].decode()
    except (OSError, UnicodeDecodeError) as error:
        hint = "name it, or give the head that was printed"
        raise UnavailableError(
            str(path), "cannot be read, and the head was told there", hint
        ) from error
    return parse_head(text)


def parse_head(text: str) -> Head:
    """Return the head that *text* tells; raises `UnavailableError` for another text."""
    number, _, code = text.strip().partition(" ")
    if (
        not number.isdecimal()
        or len(code) != len(NO_HEAD[1])
        or set(code) - set("0123456789abcdef")
    ):
        raise UnavailableError("head", "is no head of a chain", "give what 'audit head' printed")
    return int(number), code


def _code(key: bytes, number: int, before: bytes, text: str) -> bytes:
    return hmac.digest(key, number.to_bytes(8) + before + text.encode(), "sha256")
