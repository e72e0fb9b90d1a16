"""`Calls`: the verbs of a state, awaited; what goes wrong is an error of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from clawstate.aio.workers import Workers
from clawstate.errors import InvalidError, NotFoundError, StateError

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]


class Calls(Workers):
    """Runs calls in worker threads; see `Workers`."""

    async def ask(self, call: Callable[[], T], **data: str) -> T:
        """Return what *call* returns; an error of ours becomes one of the protocol, with *data*."""
        try:
            return await self.run(call, embeds=True)
        except (NotFoundError, InvalidError) as error:
            raise MCPError(INVALID_PARAMS, str(error), data or None) from error
        except StateError as error:
            raise MCPError(INTERNAL_ERROR, str(error), data or None) from error
