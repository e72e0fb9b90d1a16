"""What a search asks of PostgreSQL, as statements."""

from __future__ import annotations

from clawstate.memory.backends.postgres.rows import COLUMNS

HEAD = """
SELECT coalesce((SELECT value FROM clawstate.memory_meta
        WHERE tenant = %(tenant)s AND key = 'database_id'), ''),
    (SELECT value FROM clawstate.memory_meta WHERE tenant = %(tenant)s AND key = 'embedder'),
    coalesce(t.epoch, 0), coalesce(t.documents, 0), t.tokens, t.holders, coalesce(t.changes, 0),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    EXISTS (SELECT 1 FROM clawstate.memory_records
        WHERE tenant = %(tenant)s AND expires_at <= %(now)s),
    (SELECT min(expires_at) FROM clawstate.memory_records
        WHERE tenant = %(tenant)s AND expires_at > %(now)s)
FROM (SELECT 1) k LEFT JOIN clawstate.memory_totals t ON t.tenant = %(tenant)s
"""
_IS_ANEW = """
((SELECT epoch FROM clawstate.memory_totals WHERE tenant = %(tenant)s) <> %(epoch)s
    OR (SELECT value FROM clawstate.memory_meta
        WHERE tenant = %(tenant)s AND key = 'database_id') <> %(database)s)
"""
# Of the same epoch only what was not committed yet when this process last looked.
TAIL = f"""
SELECT seq, kind, documents, tokens, holders, scopes, data, subwords, xid::text::bigint
FROM clawstate.memory_tail WHERE tenant = %(tenant)s AND ({_IS_ANEW}
    OR (xid >= %(horizon)s::text::xid8 AND seq <> ALL(%(seen)s::bigint[])))
"""
LENGTHS = f"""
SELECT block, texts, fields FROM clawstate.memory_lengths
WHERE tenant = %(tenant)s AND {_IS_ANEW} ORDER BY block
"""
NUMBERS = """
SELECT token, term FROM clawstate.memory_terms
WHERE tenant = %(tenant)s AND token = ANY(%(tokens)s::text[])
"""
# Each term by itself: the planner takes a few words for many terms, and would read all blocks.
BLOCKS = """
SELECT b.term, b.block, b.dense, b.size, b.most, b.least, b.ids, b.counts,
    CASE WHEN t.token = ANY(%(placed)s::text[]) THEN b.places ELSE '' END
FROM (SELECT k.term, k.token FROM clawstate.memory_terms k
    WHERE k.tenant = %(tenant)s AND k.token = ANY(%(tokens)s::text[]) OFFSET 0) t
CROSS JOIN LATERAL (SELECT * FROM clawstate.memory_blocks r
    WHERE r.tenant = %(tenant)s AND r.term = t.term OFFSET 0) b
ORDER BY b.term, b.block
"""
BLOCKS_OF = """
SELECT term, block, dense, size, most, least, ids, counts,
    CASE WHEN term = ANY(%(placed)s::bigint[]) THEN places ELSE '' END
FROM clawstate.memory_blocks
WHERE tenant = %(tenant)s AND term = ANY(%(terms)s::bigint[]) ORDER BY term, block
"""
SCOPES = """
SELECT s.scope, s.records, s.subwords, s.namespace,
    (s.namespace = %(namespace)s OR %(namespace)s IS NULL) AND EXISTS (
        SELECT 1 FROM clawstate.memory_records m
        WHERE m.tenant = s.tenant AND m.scope = s.scope AND m.thread IS NOT NULL)
FROM clawstate.memory_scopes s WHERE s.tenant = %(tenant)s
"""
SUBWORDS = """
SELECT c.subword, sum(c.occurrences)::bigint FROM clawstate.memory_scopes s
JOIN clawstate.memory_subwords c ON c.tenant = s.tenant AND c.scope = s.scope
WHERE s.tenant = %(tenant)s AND s.namespace = coalesce(%(namespace)s, s.namespace)
    AND c.subword = ANY(%(subwords)s::integer[]) GROUP BY c.subword
"""
_IN_SCOPE = """
FROM clawstate.memory_records m WHERE m.tenant = %(tenant)s AND (%(namespace)s IS NULL
    OR m.scope = (SELECT s.scope FROM clawstate.memory_scopes s
        WHERE s.tenant = %(tenant)s AND s.namespace = %(namespace)s))
"""
# Packed: a list of a hundred thousand numbers as text takes longer to read than to find.
SELECTED = f"""
SELECT string_agg(int8send(m.docno), ''), NULL::bytea {_IN_SCOPE} AND {{}}
"""
SELECTED_SINCE = f"""
SELECT string_agg(int8send(k.docno), '') FILTER (WHERE k.passes),
    string_agg(int8send(k.docno), '') FILTER (WHERE NOT k.passes)
FROM (SELECT m.docno, coalesce({{}}, false) AS passes {_IN_SCOPE}
    AND m.xid >= %(horizon)s::text::xid8) k
"""
KEYS = """
SELECT m.docno FROM clawstate.memory_records m
WHERE m.tenant = %(tenant)s AND {} ORDER BY m.docno
"""
_ROW = """
m.docno, left(m.content, %(limit_of_text)s), length(m.content), m.embedding, {near}, {passes},
    {before}, {after}, m.thread IS NOT NULL,
    coalesce(octet_length(m.subwords) / 2, length(m.content) / 4)
"""
_PLAIN = _ROW.format(near="false", passes="true", before="NULL", after="NULL")
ROWS = f"""
SELECT {_PLAIN} FROM clawstate.memory_records m
WHERE m.tenant = %(tenant)s AND m.docno = ANY(%(keys)s::bigint[])
"""
# Each by its number. The planner cannot know how few there are, and would read the whole table.
_EACH_BY_ITSELF = """
(SELECT * FROM clawstate.memory_records r
    WHERE r.tenant = %(tenant)s AND r.docno = e.docno OFFSET 0)
"""
_NEAR = _ROW.format(near="n.docno IS NOT NULL", passes="true", before="NULL", after="NULL")
NEAREST = f"""
WITH near AS MATERIALIZED ({{near}}),
every AS (SELECT docno FROM near UNION SELECT unnest(%(also)s::bigint[]))
SELECT {_NEAR} FROM every e
CROSS JOIN LATERAL {_EACH_BY_ITSELF} m
LEFT JOIN near n ON n.docno = e.docno
"""
_BESIDE = """
ARRAY(SELECT p.docno FROM clawstate.memory_records p
    WHERE p.tenant = m.tenant AND p.scope = m.scope AND p.thread = m.thread
    AND left(p.thread, 200) = left(m.thread, 200)
    AND (p.position, p.docno) {sign} (m.position, m.docno)
    ORDER BY p.position {order}, p.docno {order} LIMIT 2)
"""
_IN_CONTEXT = _ROW.format(
    near="n.docno IS NOT NULL",
    passes="coalesce({passes}, false)",
    before="b.before",
    after="b.after",
)
CONTEXT = f"""
WITH near AS MATERIALIZED ({{near}}),
candidates AS (SELECT docno FROM near UNION SELECT unnest(%(keys)s::bigint[])),
beside AS MATERIALIZED (
    SELECT m.docno, {_BESIDE.format(sign="<", order="DESC")} AS before,
        {_BESIDE.format(sign=">", order="ASC")} AS after
    FROM candidates e
    CROSS JOIN LATERAL {_EACH_BY_ITSELF} m
    WHERE m.thread IS NOT NULL),
every AS (SELECT docno FROM candidates UNION SELECT unnest(before) FROM beside
    UNION SELECT unnest(after) FROM beside)
SELECT {_IN_CONTEXT} FROM every e
CROSS JOIN LATERAL {_EACH_BY_ITSELF} m
LEFT JOIN near n ON n.docno = e.docno LEFT JOIN beside b ON b.docno = e.docno
"""
RECORDS = f"""
SELECT {COLUMNS} FROM clawstate.memory_records m
JOIN clawstate.memory_scopes s ON s.tenant = m.tenant AND s.scope = m.scope
WHERE m.tenant = %(tenant)s AND m.docno = ANY(%(keys)s::bigint[])
"""
