"""Answers as JSON: documents with their version (ETag), and errors with their status."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from typing_extensions import TypedDict

from clawstate.errors import ConflictError, LimitError, LockTimeoutError, StateError
from clawstate.wire import to_wire

STATUSES: Mapping[str, int] = {
    "internal": 500,
    "not_found": 404,
    "conflict": 409,
    "lease_lost": 409,
    "lock_lost": 409,
    "invalid": 422,
    "config": 422,
    "dimension": 422,
    "limit": 429,
    "locked": 503,
    "corrupt": 500,
    "version": 500,
    "unavailable": 503,
    "missing_extra": 501,
    "embedding": 503,
    "closed": 503,
    # Those that only a face knows.
    "malformed": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "method": 405,
    "changed": 412,
    "too_large": 413,
    "slow": 408,
    "cancelled": 409,
    # Those of RFC 8628, to a device that waits for its owner.
    "authorization_pending": 400,
    "slow_down": 400,
    "access_denied": 400,
    "expired_token": 400,
    "misdirected": 421,
}
"""The status of each type of error."""

_MEDIA = "application/json"


class ErrorDetail(TypedDict):
    """The *type* of an error, which is stable, and a sentence for people."""

    type: str
    message: str


class ErrorDocument(TypedDict):
    """What every refusal says."""

    error: ErrorDetail


class ChangedError(ConflictError):
    """What `If-Match` demanded is no longer so; *etag* is the present version, where known."""

    code = "changed"

    def __init__(self, kind: str, key: str, etag: str | None = None) -> None:
        super().__init__(kind, key)
        self.etag = etag


def document(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return *value*, one of ours or of JSON, as an answer."""
    return Response(encode(to_wire(value)), status, headers, _MEDIA)


def encode(form: Any) -> bytes:
    """Return the JSON text of *form*, which is JSON already."""
    text = json.dumps(form, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8, but a JSON escape
        return json.dumps(form, separators=(",", ":")).encode()


def etag_of(body: bytes) -> str:
    """Return the version of the document *body*, as `ETag` and `If-Match` have it."""
    digest = hashlib.sha256(body).digest()[:18]
    return f'"{urlsafe_b64encode(digest).decode()}"'


def require_match(expected: str | None, value: Any, kind: str, key: str) -> None:
    """Raise `ChangedError` if *value* is not the version that `If-Match` *expected*."""
    if expected is None or expected.strip() == "*":
        return
    etag = etag_of(encode(to_wire(value)))
    if not is_named(expected, etag):
        raise ChangedError(kind, key, etag)


def is_named(listed: str, etag: str) -> bool:
    """Tell whether *etag* is one of those that a header has *listed*."""
    return any(each.strip().removeprefix("W/") == etag for each in listed.split(","))


def error_answer(error: StateError, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for *error*."""
    headers = dict(headers or {})
    if isinstance(error, LockTimeoutError):
        headers["Retry-After"] = "1"
    if isinstance(error, ChangedError) and error.etag is not None:
        headers["ETag"] = error.etag
    if isinstance(error, LimitError) and error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return refusal(error.code, str(error), headers=headers)


def refusal(kind: str, message: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that says why nothing was done; *kind* is one of `STATUSES`."""
    more = dict(headers or {})
    if kind == "unauthorized":
        more.setdefault("WWW-Authenticate", 'Bearer realm="clawstate"')
    form = {"error": {"type": kind, "message": message}}
    return Response(encode(form), STATUSES.get(kind, 500), more, _MEDIA)
