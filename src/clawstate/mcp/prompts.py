"""Prompts that a person chooses: recall what is known of a topic, keep what was said."""

from __future__ import annotations

from typing import Final

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from clawstate.errors import InvalidError
from clawstate.mcp.calls import Calls, Context
from clawstate.state import State

RECALL: Final = Prompt(
    name="recall",
    title="Recall a topic",
    description="Put what is remembered about a topic before the model.",
    arguments=[
        PromptArgument(name="topic", description="What it is about.", required=True),
        PromptArgument(name="namespace", description="Which memory; all if it is left out."),
        PromptArgument(name="tokens", description="How many tokens it may take [1000]."),
    ],
)
REMEMBER: Final = Prompt(
    name="remember",
    title="Remember this conversation",
    description="Have the model keep what of this conversation matters later.",
)
_BUDGET = 1_000
_MOST = 100_000
_REMEMBER = (
    "Look through this conversation for what will matter in later ones: lasting preferences, facts"
    " about me and my work, decisions with their reasons. For each, call memory_search; where a"
    " memory says it already, leave it; where one is outdated, call memory_update; else call"
    " memory_store with one matter in a sentence that can be understood alone. Keep no secrets, and"
    " nothing that a memory tool told you. Then list what you kept and changed."
)


class PromptHandlers:
    """Answers `prompts/list` and `prompts/get`."""

    def __init__(self, state: State, calls: Calls, *, read_only: bool) -> None:
        self._state = state
        self._calls = calls
        self._offered = (RECALL,) if read_only else (RECALL, REMEMBER)

    async def list_prompts(
        self, _context: Context, _params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        """Return all prompts."""
        return ListPromptsResult(prompts=list(self._offered))

    async def get(self, _context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """Return the messages of a prompt; what was remembered is fenced as data."""
        arguments = params.arguments or {}
        if params.name not in {each.name for each in self._offered}:
            known = ", ".join(each.name for each in self._offered)
            raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}; there are {known}")
        if params.name == REMEMBER.name:
            return _one_message(REMEMBER, _REMEMBER)
        text = await self._calls.ask(lambda: self._recall(arguments))
        return _one_message(RECALL, text)

    def _recall(self, arguments: dict[str, str]) -> str:
        topic = arguments.get("topic", "").strip()
        if not topic:
            raise InvalidError("topic", "is missing", "say what to recall")
        found = self._state.memory.recall(
            topic,
            budget_tokens=_tokens(arguments.get("tokens", "")),
            namespace=arguments.get("namespace") or None,
        )
        if not found.text:
            return f"Nothing is remembered about this: {topic}"
        return f"{found.text}\n\nTake this into account where it concerns: {topic}"


def _tokens(text: str) -> int:
    if not text.strip():
        return _BUDGET
    if not text.strip().isdecimal() or not 1 <= int(text) <= _MOST:
        raise InvalidError("tokens", f"is no whole number from 1 to {_MOST:,}")
    return int(text)


def _one_message(prompt: Prompt, text: str) -> GetPromptResult:
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=prompt.description, messages=[message])
