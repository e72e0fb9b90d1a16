"""What a gateway tells the server of whoever made a request, in the scope of ASGI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

MAY_WRITE: Final = "clawstate.may_write"
"""Whether the caller's token may change anything; it may where nothing is said."""

CALLER: Final = "clawstate.caller"
"""Who the caller is, as a text: a session of an older protocol goes on only for who began it."""


def may_write(context: ServerRequestContext[Any, Any]) -> bool:
    """Tell whether the caller may change anything; whoever started the server on stdio may."""
    scope: Mapping[str, Any] = getattr(context.request, "scope", None) or {}
    return bool(scope.get(MAY_WRITE, True))
