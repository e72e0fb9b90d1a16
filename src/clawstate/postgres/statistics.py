"""
What the server notes of columns for its planner: none of those that hold what somebody wrote.

`ANALYZE`, which the server runs by itself, copies frequent and typical values of each column into
`pg_statistic`. There they would outlive their rows: text that was forgotten, a credential that was
removed. So such columns have no statistics (decision 070).
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

# Names of ours, and of whoever runs the server, whose frequencies the planner needs.
_PLAIN: Final = ("tenant", "kind", "part", "log", "type", "role", "ending", "analysis", "key")
# Of an index only what it computes has statistics of its own.
_COLUMNS: Final = """
SELECT CASE c.relkind WHEN 'i' THEN pg_get_indexdef(c.oid) END AS made_by,
    format('%%I.%%I', n.nspname, c.relname) AS name,
    a.attnum::int, quote_ident(a.attname) AS column, format_type(a.atttypid, a.atttypmod) AS type,
    (SELECT ' COLLATE ' || quote_ident(l.collname) FROM pg_collation l
        WHERE l.oid = a.attcollation AND l.collname <> 'default') AS collation,
    coalesce(a.attstattarget::int, -1) AS target,
    EXISTS (SELECT 1 FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname
        AND s.attname = a.attname) AS is_known
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE n.nspname = 'clawstate' AND c.relkind IN ('r', 'i') AND a.attnum > 0 AND NOT a.attisdropped
    AND pg_has_role(c.relowner, 'USAGE')
    AND (c.relkind = 'r' OR i.indkey[a.attnum - 1] = 0)
    AND t.typname IN ('text', '_text', 'jsonb', 'bytea', 'halfvec') AND a.attname <> ALL (%s)
ORDER BY c.relkind, c.relname, a.attnum
"""


def forbid_statistics(connection: psycopg.Connection[Any]) -> None:
    """Have the server keep no values of our tables, as far as they are this user's."""
    changes: dict[str, list[str]] = {}
    for made_by, name, number, column, _, _, target, _ in _columns(connection):
        if target != 0:
            kind, which = ("TABLE", column) if made_by is None else ("INDEX", str(number))
            changes.setdefault(f"{kind} {name}", []).append(f"ALTER {which} SET STATISTICS 0")
    for place, each in changes.items():
        connection.execute(f"ALTER {place} {', '.join(each)}")


def drop_statistics(connection: psycopg.Connection[Any]) -> bool:
    """Drop what the server noted before that was forbidden; tell whether there was anything."""
    known = [row for row in _columns(connection) if row[-1]]
    for made_by, name, _, column, kind, collation, _, _ in known:
        if made_by is not None:
            connection.execute(f"DROP INDEX {name}")
            connection.execute(made_by)
        else:  # a column that gets its own type again loses its statistics
            connection.execute(f"ALTER TABLE {name} ALTER {column} TYPE {kind}{collation or ''}")
    forbid_statistics(connection)
    return bool(known)


def _columns(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(_COLUMNS, (list(_PLAIN),)).fetchall()
