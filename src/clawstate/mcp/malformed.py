"""The answer to what is no message of the protocol, to whoever can be told by its id."""

from __future__ import annotations

import json

from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError

_HALF = "a text holds half of a surrogate pair, which no text can hold; send the whole character"


def refuse_malformed(text: bytes) -> JSONRPCError:
    """Return the error for *text*, which was refused: with its id, if that can be read."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        error = ErrorData(code=PARSE_ERROR, message="Parse error: this is no JSON-RPC message")
        return JSONRPCError(jsonrpc="2.0", id=None, error=error)
    found = told.get("id") if isinstance(told, dict) else None
    is_id = isinstance(found, int | str) and not isinstance(found, bool)
    reason = _HALF if holds_half(text) else "this is no JSON-RPC message"
    error = ErrorData(code=INVALID_REQUEST, message=f"Invalid Request: {reason}")
    return JSONRPCError(
        jsonrpc="2.0", id=found if is_id and _is_whole(str(found)) else None, error=error
    )


def holds_half(text: bytes) -> bool:
    """Tell whether the JSON *text* holds an escape that is half of a surrogate pair."""
    if b"\\ud" not in text.lower():
        return False
    try:
        return not _is_whole(json.dumps(json.loads(text), ensure_ascii=False))
    except (ValueError, RecursionError):
        return False


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
