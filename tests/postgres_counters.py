"""A part with counters, which tests of PostgreSQL add to."""

from __future__ import annotations

ADD = """
INSERT INTO clawstate.counters AS known VALUES (%s, %s, 1)
ON CONFLICT (tenant, id) DO UPDATE SET n = known.n + 1 RETURNING n
"""
ADD_ONCE = f"""
WITH added AS ({ADD})
INSERT INTO clawstate.operations (tenant, id) SELECT %s, %s::uuid FROM added RETURNING 1
"""


def counters(connection) -> None:
    connection.execute(
        "CREATE TABLE clawstate.counters (tenant text, id text, n bigint, PRIMARY KEY (tenant, id))"
    )


def add(connection, tenant, name="a"):
    return connection.execute(ADD, (tenant, name)).fetchone()[0]


def count(part, name="a"):
    sql = "SELECT n FROM clawstate.counters WHERE tenant = %s AND id = %s"
    rows = part.rows(sql, (part.tenant, name))
    return rows[0][0] if rows else 0
