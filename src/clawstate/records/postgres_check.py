"""What is wrong with a PostgreSQL database of records, and mending what loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from clawstate.errors import CorruptError, StateError
from clawstate.files.json_text import parse_json
from clawstate.health import FIX, Finding
from clawstate.postgres.connection import Connection
from clawstate.postgres.names import decode_text, encode_name
from clawstate.postgres.notices import POOLER
from clawstate.postgres.part import Part
from clawstate.postgres.probe import probe
from clawstate.records import postgres_rows as rows
from clawstate.records.contract import CollectionSpec
from clawstate.records.layouts import MapLayout
from clawstate.records.postgres_rows import RowKeys
from clawstate.records.rules import is_key, name_record

_RESTORE = "look into the log of the server, or restore a backup of it"
_ASIDE = "damaged:"
_SKEW = 60.0  # seconds between two clocks that nobody should live with
_PAGE = 1_000
_ROW = Path("row")


def check(part: Part, *, has_secret_keys: Callable[[str], bool], deep: bool) -> Iterator[Finding]:
    """
    Give what is wrong with the server and the rows of the tenant of *part*.

    *has_secret_keys* tells of a kind whether no finding may name its keys. *deep* is of no matter:
    a server checks its own pages.
    """
    del deep
    place = part.place
    try:
        yield from _check_server(part, place)
        sql = "SELECT kind FROM clawstate.kinds WHERE tenant = %s ORDER BY kind"
        kinds = [decode_text(kind) for (kind,) in part.rows(sql, (part.tenant,))]
    except StateError as error:
        yield Finding.of(error, place, _RESTORE)
        return
    for kind in kinds:
        if not kind.startswith(_ASIDE):
            spec = CollectionSpec(
                kind, PurePosixPath("unknown"), MapLayout(), secret_keys=has_secret_keys(kind)
            )
            yield from check_rows(
                part, RowKeys(part.tenant, encode_name("kind", kind), spec, place)
            )


def check_rows(part: Part, keys: RowKeys) -> Iterator[Finding]:
    """Give the rows of *keys* that hold no record."""
    last: tuple[str, str] = ("", "")
    sql = (
        f"SELECT id, rest, body FROM clawstate.records WHERE {rows.MINE}"
        " AND id >= %(id)s AND (id, rest) > (%(id)s, %(rest)s) ORDER BY id, rest LIMIT %(limit)s"
    )
    while True:
        bound = {**keys.mine, "id": last[0], "rest": last[1], "limit": _PAGE}
        try:
            page = part.rows(sql, bound)
        except StateError as error:
            yield Finding.of(error, part.place, _RESTORE)
            return
        for head, rest, body in page:
            key = decode_text(head + rest)
            if (problem := _problem(key, body)) is not None:
                name = name_record(key, keys.spec.kind, is_secret=keys.spec.secret_keys)
                message = f"{part.place}: {name} {problem}"
                mend = partial(_put_aside, part, keys, key)
                yield Finding("corrupt", "error", part.place, message, FIX, repair=mend)
        if len(page) < _PAGE:
            return
        last = page[-1][:2]


def _check_server(part: Part, place: str) -> Iterator[Finding]:
    found = probe(part.database)
    found.require(part.database.address)
    if abs(found.clock_offset) > _SKEW:
        message = (
            f"{place}: its clock and that of this machine are {abs(found.clock_offset):.0f} s apart"
        )
        remedy = "let both be set by NTP; leases go by the server's clock, times in records by ours"
        yield Finding("clock", "warning", place, message, remedy)
    if not found.is_direct or "notify" not in found.can:
        why = POOLER if not found.is_direct else "it gives no notices"
        message = f"{place}: {why}; changes of other machines are found by looking"
        yield Finding(
            "notices", "info", place, message, "nothing is lost, it takes a little longer"
        )
    if found.is_standby:
        message = f"{place}: is a standby, which takes no writes"
        yield Finding("unavailable", "error", place, message, "name the primary in the address")


def _problem(key: str, body: str) -> str | None:
    if not is_key(key):
        return "has no usable key"
    try:
        parse_json(body, path=_ROW)
    except CorruptError as error:
        return error.problem
    return None


def _put_aside(part: Part, keys: RowKeys, key: str) -> str:
    aside = {**keys.one(key), "aside": encode_name("kind", f"{_ASIDE}{keys.spec.kind}")}

    def move(connection: Connection) -> bool:
        sql = f"SELECT body FROM clawstate.records WHERE {rows.ONE} FOR UPDATE"
        found: tuple[Any, ...] | None = connection.execute(sql, aside).fetchone()
        if found is None or _problem(key, found[0]) is None:
            return False
        connection.execute(rows.ADD_KIND, {**keys.mine, "kind": aside["aside"]})
        # An earlier one under the same key gives way to this.
        gone = f"DELETE FROM clawstate.records WHERE {rows.ONE}"
        connection.execute(gone, {**aside, "kind": aside["aside"]})
        connection.execute(rows.NOTE_ONE_REMOVED, aside)
        connection.execute(f"UPDATE clawstate.records SET kind = %(aside)s WHERE {rows.ONE}", aside)
        return True

    if not part.change(move):
        return "somebody else mended it"
    told = f"{_ASIDE}{keys.spec.kind}"
    return f"put aside as a row of the kind {told!r}; there is no good copy of it"
