"""What a search asks of SQLite, as statements."""

from __future__ import annotations

# One statement for all that a search asks first: each costs a turn through SQLite (decision 32).
STATE = """
SELECT (SELECT value FROM meta WHERE key = 'changes'),
    (SELECT value FROM meta WHERE key = 'database_id'),
    (SELECT value FROM meta WHERE key = 'embedder'),
    (SELECT value FROM meta WHERE key = 'rewritten'),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'memories'), 0),
    EXISTS (SELECT 1 FROM memories WHERE expires_at <= ?)
"""
SCOPE = """
SELECT s.scope, s.subwords,
    EXISTS (SELECT 1 FROM scopes o WHERE o.records > 0 AND o.scope <> s.scope),
    (SELECT sum(records) FROM scopes),
    EXISTS (SELECT 1 FROM memories m WHERE m.thread IS NOT NULL AND m.scope = s.scope)
FROM scopes s WHERE s.namespace = ?
"""
EVERY_SCOPE = """
SELECT NULL, coalesce(sum(subwords), 0), 0, coalesce(sum(records), 0),
    EXISTS (SELECT 1 FROM memories WHERE thread IS NOT NULL)
FROM scopes WHERE ? IS NULL
"""
NEIGHBOURS = """
SELECT m.docno,
    (SELECT group_concat(docno) FROM (
        SELECT p.docno FROM memories p WHERE p.scope = m.scope AND p.thread = m.thread
        AND (p.position, p.docno) < (m.position, m.docno)
        ORDER BY p.position DESC, p.docno DESC LIMIT 2)),
    (SELECT group_concat(docno) FROM (
        SELECT n.docno FROM memories n WHERE n.scope = m.scope AND n.thread = m.thread
        AND (n.position, n.docno) > (m.position, m.docno)
        ORDER BY n.position, n.docno LIMIT 2))
FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value WHERE m.thread IS NOT NULL
"""
NEXT_END = "SELECT min(expires_at) FROM memories WHERE expires_at > ?"
AROUND = """
SELECT m.docno, {} FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value
"""
SHORTLIST = """
SELECT m.docno, CASE WHEN k.key < ?1 THEN m.content WHEN ?2 THEN substr(m.content, 1, ?2) END,
    0, {} FROM json_each(?3) k CROSS JOIN memories m ON m.docno = k.value
"""
OPENING = """
CASE WHEN m.thread IS NOT NULL THEN substr(m.content, 1, 400) END, NOT coalesce({}, 0)
"""
VECTOR = "coalesce(length(m.subwords) / 2, length(m.content) / 4), m.embedding"
