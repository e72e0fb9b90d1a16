"""What stays in mind of what was forgotten: digests that tell nobody anything without the key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import apsw


def digester(connection: apsw.Connection) -> Callable[[bytes], bytes]:
    """Return what makes the digest under which an id or the hash of a text was forgotten."""
    # With a key of its own for each database: nobody can look a text up in a table made before.
    key = connection.execute("SELECT value FROM meta WHERE key = 'database_id'").get.encode()
    return lambda value: hashlib.blake2b(value, digest_size=16, key=key).digest()


def note(connection: apsw.Connection, given: Iterable[tuple[int, bytes]]) -> None:
    """Keep in mind that ids, or hashes of texts, were forgotten; each with its scope."""
    digest = digester(connection)
    sql = "INSERT OR IGNORE INTO forgotten VALUES (?, ?)"
    connection.executemany(sql, ((scope, digest(value)) for scope, value in given))
