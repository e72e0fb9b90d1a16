"""Completes the arguments of prompts and of the templates of URIs, from what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from mcp_types import CompleteRequestParams, CompleteResult, Completion, PromptReference

from clawstate.mcp.calls import Calls, Context
from clawstate.mcp.places import MEMORY, SESSION, TRANSCRIPT
from clawstate.state import State

_MOST: Final = 100  # of the protocol
_LOOKED_AT: Final = 1_000


class CompletionHandlers:
    """Answers `completion/complete`: what is not known completes to nothing."""

    def __init__(self, state: State, calls: Calls, *, agent: str | None) -> None:
        self._state = state
        self._calls = calls
        self._agent = agent

    async def complete(self, _context: Context, params: CompleteRequestParams) -> CompleteResult:
        """Return what the argument may be, of what was used last."""
        values = await self._calls.ask(lambda: self._values(params))
        completion = Completion(values=values[:_MOST], has_more=len(values) > _MOST)
        return CompleteResult(completion=completion)

    def _values(self, params: CompleteRequestParams) -> list[str]:
        typed = params.argument.value
        if isinstance(params.ref, PromptReference):
            return []
        known = self._known(params.ref.uri, params.argument.name)
        return list(islice((each for each in known if each.startswith(typed)), _MOST + 1))

    def _known(self, template: str, argument: str) -> Iterator[str]:
        if (template, argument) == (MEMORY, "id"):
            return (each.id for each in self._state.memory.page(_LOOKED_AT, namespace=None))
        if (template, argument) == (SESSION, "key"):
            return _keys(self._state.sessions_of(self._agent).page(_LOOKED_AT), "session_key")
        if (template, argument) == (TRANSCRIPT, "sessionId"):
            return _keys(self._state.transcripts.page(_LOOKED_AT), "session_id")
        return iter(())


def _keys(found: Iterable[object], name: str) -> Iterator[str]:
    return (str(getattr(each, name)) for each in found)
