"""What other programs did to the table, taken into the catalogue; also all of it, for a new one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from clawstate.clock import Clock, to_ms
from clawstate.errors import UnavailableError
from clawstate.memory.backends.lancedb import outbox
from clawstate.memory.backends.lancedb.client import Session
from clawstate.memory.backends.lancedb.messages import Message
from clawstate.memory.backends.lancedb.rows import Row, rows_of
from clawstate.memory.backends.sqlite import writing
from clawstate.memory.backends.sqlite.rows import stored_embedder
from clawstate.memory.contract import Embedded
from clawstate.sqlite import Part

_STEP = 1_000  # records that are looked for among the rows in one go
_KNOWN = """
SELECT m.id, m.content, m.importance, m.category, m.timestamp, m.updated_at,
    m.embedding IS NOT NULL, s.namespace
FROM json_each(?) k CROSS JOIN memories m ON m.id = k.value JOIN scopes s ON s.scope = m.scope
"""


def take_in(session: Session, catalogue: Part, clock: Clock) -> None:
    """
    Make the catalogue know all of the table of *session*, if it has changed without us.

    What waits in the outbox is newer than the table and stays as it is. Cut off anywhere, the next
    call does it again.
    """
    about = session.about
    with catalogue.reading() as connection:
        known = outbox.find_note(connection, outbox.STAMP)
        had_ours = outbox.find_note(connection, outbox.MARKED) is not None
    if about.stamp == known:
        return
    # Without the columns that it had of us it is another table than the one that was written to:
    # nobody deleted from that the records that this one lacks.
    is_other = had_ours and not about.marked
    if about.stamp is None or is_other:
        with catalogue.writing() as connection:
            outbox.mark_all(connection)
    seen: set[str] = set()
    refused = 0
    try:
        for columns, blob in session.scan():
            refused += _take_rows(catalogue, columns, blob, seen, clock)
    except UnavailableError:
        session.look_again()
        if session.about.stamp != known:
            raise
        # A version that a power cut tore gave way to the one before, which has no more than what is
        # known. What could be read of it is kept, and written anew.
        with catalogue.writing() as connection:
            outbox.mark(connection, sorted(seen))
        return
    if not is_other:
        for step in _steps(catalogue):
            _forget_deleted(catalogue, [each for each in step if each not in seen], clock)
    with catalogue.writing() as connection:
        outbox.note_stamp(connection, about.stamp, marked=about.marked)
        outbox.note(connection, outbox.REFUSED, str(refused))
        if known is not None:
            outbox.add_removed(connection, 1)


def _take_rows(catalogue: Part, columns: Message, blob: bytes, seen: set[str], clock: Clock) -> int:
    """Take in what is new or changed of some rows; return how many of them are no records."""
    with catalogue.reading() as connection:
        rows = rows_of(columns, blob, stored_embedder(connection), clock())
        wanted = _find_wanted(connection, rows.found)
    repeated = _find_repeated(columns["id"], rows.found.keys() & seen)
    seen.update(rows.found)
    if wanted or repeated:
        with catalogue.writing() as connection:
            # Somebody may have changed one since it was compared.
            _keep(connection, _find_wanted(connection, wanted))
            outbox.mark(connection, repeated)  # they are written anew, each once
    return rows.refused


def _find_wanted(connection: apsw.Connection, rows: dict[str, Row]) -> dict[str, Row]:
    """Return those of *rows* that differ from what is kept, and do not wait to be replaced."""
    waiting = outbox.waiting_among(connection, list(rows))
    known = {row[0]: row[1:] for row in connection.execute(_KNOWN, (json.dumps(list(rows)),))}
    return {
        key: row
        for key, row in rows.items()
        if key not in waiting and (key not in known or _differs(row, known[key]))
    }


def _differs(row: Row, known: Sequence[Any]) -> bool:
    text, importance, category, created_ms, updated_ms, has_vector, _ = known
    record = row.embedded.record
    if (record.text, float(record.importance), record.category) != (text, importance, category):
        return True
    if to_ms(record.created_at) != created_ms:
        return True
    if row.embedded.vector is not None and not has_vector:
        return True
    return row.is_ours and to_ms(record.updated_at) != updated_ms


def _is_text_alone_changed(row: Row, known: Sequence[Any] | None) -> bool:
    """Tell whether another program changed the text of *row*, and left the vector of the old."""
    if known is None or not row.is_ours:
        return False
    _, text, _, _, _, updated_ms, *_ = known
    record = row.embedded.record
    # Whatever we write has a later time than what it replaces.
    return bool(record.text != text and to_ms(record.updated_at) == updated_ms)


def _keep(connection: apsw.Connection, rows: dict[str, Row]) -> None:
    if not rows:
        return
    known = {row[0]: row for row in connection.execute(_KNOWN, (json.dumps(list(rows)),))}
    embedder = stored_embedder(connection) or next(
        (row.model for row in rows.values() if row.embedded.vector is not None), None
    )
    given = [
        Embedded(row.embedded.record)
        if _is_text_alone_changed(row, known.get(key))
        else row.with_vector_of(embedder)
        for key, row in rows.items()
        if key not in known or known[key][-1] == row.embedded.record.namespace
    ]
    writing.upsert(connection, given, embedder=embedder)
    # What was known is written back, as its version moved; the others are in the table as they are.
    outbox.drop(connection, [key for key in rows if key not in known])
    outbox.mark(connection, [key for key in rows if key in known])


def _forget_deleted(catalogue: Part, ids: Sequence[str], clock: Clock) -> None:
    if not ids:
        return
    with catalogue.writing() as connection:
        waiting = outbox.waiting_among(connection, ids)
        gone = [each for each in ids if each not in waiting]
        writing.forget_for_good(connection, gone, now_ms=to_ms(clock()))
        outbox.drop(connection, gone)


def _steps(catalogue: Part) -> Iterator[list[str]]:
    sql, after = "SELECT id FROM memories WHERE id > ? ORDER BY id LIMIT ?", ""
    while True:
        with catalogue.reading() as connection:
            found = [str(row[0]) for row in connection.execute(sql, (after, _STEP))]
        if not found:
            return
        yield found
        after = found[-1]


def _find_repeated(ids: Sequence[object], before: set[str]) -> list[str]:
    found, once = set(before), set[str]()
    for each in ids:
        if isinstance(each, str):
            if each in once:
                found.add(each)
            once.add(each)
    return sorted(found)
