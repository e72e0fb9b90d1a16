"""What the caller of one request may do."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

SCOPES = "clawstate.scopes"
"""The key of an ASGI scope under which a gateway tells the scopes of the caller's token."""

_WRITING = frozenset({"write", "admin", "operator.write", "operator.admin"})


def may_write(context: ServerRequestContext[Any, Any]) -> bool:
    """
    Tell whether the caller of a request may change anything.

    Over HTTP a gateway says so, by `SCOPES`; whoever started the server on stdio may do anything.
    """
    scope = getattr(context.request, "scope", None) or {}
    scopes: Collection[str] | None = scope.get(SCOPES)
    return scopes is None or not _WRITING.isdisjoint(scopes)
