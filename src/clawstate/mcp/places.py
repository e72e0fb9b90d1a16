"""The URIs of what a state keeps, for clients that read it as resources."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from clawstate.errors import InvalidError

MEMORY: Final = "memory://{id}"
SESSION: Final = "session://{key}"
TRANSCRIPT: Final = "transcript://{sessionId}{?before}"
"""Templates of URIs (RFC 6570): what stands in braces is percent-encoded."""


def memory_uri(record_id: str) -> str:
    """Return the URI of a memory."""
    return f"memory://{quote(record_id, safe='')}"


def session_uri(key: str) -> str:
    """Return the URI of a session by its key."""
    return f"session://{quote(key, safe='')}"


def transcript_uri(session_id: str, before: str | None = None) -> str:
    """Return the URI of the newest messages of a session, or of those just before one."""
    page = "" if before is None else f"?before={quote(before, safe='')}"
    return f"transcript://{quote(session_id, safe='')}{page}"


def parse_uri(uri: str) -> tuple[str, str, str | None]:
    """Return the scheme of *uri*, what it names, and `before`; raises `InvalidError`."""
    try:
        parts = urlsplit(uri)
        # What a client wrote without encoding, such as `session://agent:main:main`, is meant too.
        name = unquote(f"{parts.netloc}{parts.path}", errors="strict")
        before = parse_qs(parts.query, errors="strict").get("before", [None])[0]
    except ValueError:
        raise InvalidError(
            "uri", "is no URI", "resources/list gives those that there are"
        ) from None
    if parts.scheme not in {"memory", "session", "transcript"} or not name:
        hint = f"the forms are {MEMORY}, {SESSION} and {TRANSCRIPT}"
        raise InvalidError("uri", "names nothing that is kept here", hint)
    return parts.scheme, name, before
