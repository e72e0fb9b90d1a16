"""What stays in mind of what was forgotten: digests that tell nobody anything without the key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from clawstate.memory.backends.postgres.rows import find_value
from clawstate.postgres.transaction import Transaction

_NOTE = """
INSERT INTO clawstate.memory_forgotten (tenant, scope, digest)
SELECT %(tenant)s, * FROM unnest(%(scopes)s::bigint[], %(digests)s::bytea[]) ON CONFLICT DO NOTHING
"""


def digester(within: Transaction) -> Callable[[bytes], bytes]:
    """Return what makes the digest under which an id or the hash of a text was forgotten."""
    # With a key of its own for each memory: nobody can look a text up in a table made before.
    key = (find_value(within, "database_id") or "").encode()
    return lambda value: hashlib.blake2b(value, digest_size=16, key=key).digest()


def note(within: Transaction, given: Iterable[tuple[int, bytes]]) -> None:
    """Keep in mind that ids, or hashes of texts, were forgotten; each with its scope."""
    digest = digester(within)
    rows = sorted({(scope, digest(value)) for scope, value in given})
    if rows:
        scopes, digests = map(list, zip(*rows, strict=True))
        within.run(_NOTE, scopes=scopes, digests=digests)
