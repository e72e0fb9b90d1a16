"""What the name of a transcript says of the session that it is of."""

from __future__ import annotations

import hashlib

from clawstate.stores.sessions.entry import is_session_id

TOPIC = "-topic-"
_LONGEST = 100  # characters of the part before a topic


def session_of_name(stem: str) -> str:
    """Return the session that a file called *stem* is of, if nothing else names one."""
    if is_session_id(stem):
        return stem
    # A topic may hold what an id cannot.
    start = stem.partition(TOPIC)[0]
    digest = hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"{start}{TOPIC}{digest}" if is_session_id(start) and len(start) < _LONGEST else digest
