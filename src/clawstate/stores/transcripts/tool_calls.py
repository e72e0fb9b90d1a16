"""
Calls of tools and their results, which belong together.

A model refuses a conversation in which a result answers no call. Three spellings are known:
OpenClaw's `toolCall` and `toolResult`, `tool_use` and `tool_result` parts, and `tool_calls` with
messages of the role `tool`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from clawstate.errors import InvalidError
from clawstate.records.contract import Json

_CALLS = ("toolCall", "tool_use", "toolUse")  # no set: a type may be any JSON


def calls(entry: Mapping[str, Json]) -> list[str]:
    """Return the ids of the calls that *entry* makes."""
    body = _body(entry)
    listed = body.get("tool_calls")
    every = [*_parts(body), *(listed if isinstance(listed, list) else [])]
    found = (part.get("id") for part in every if _is_call(part))
    return [each for each in found if isinstance(each, str)]


def results(entry: Mapping[str, Json]) -> list[str]:
    """Return the ids of the calls whose results *entry* holds."""
    body = _body(entry)
    found = [part.get("tool_use_id") for part in _parts(body) if part.get("type") == "tool_result"]
    if body.get("role") == "toolResult":
        found.append(body.get("toolCallId"))
    elif body.get("role") == "tool":
        found.append(body.get("tool_call_id"))
    return [each for each in found if isinstance(each, str)]


def require_paired(turn: Iterable[Mapping[str, Json]], made: Mapping[str, int]) -> None:
    """
    Refuse a *turn* with an orphan.

    Each result answers one call of the turn, or one of *made*, the calls before it with how many
    results they have; each call of the turn has its result in it. Raises `InvalidError`.
    """
    waiting: dict[str, None] = {}
    answered = {call for call, count in made.items() if count}
    for number, entry in enumerate(turn, start=1):
        for result in results(entry):
            if result in answered or (result not in waiting and result not in made):
                what = "a second result of" if result in answered else "a result without"
                problem = f"message {number} of the turn is {what} the call {result!r:.60}"
                raise InvalidError("turn", problem, "append call and result in one turn")
            # A dict for its order: the first call without a result is the one that is named.
            waiting.pop(result, None)
            answered.add(result)
        waiting |= dict.fromkeys(calls(entry))
    if waiting:
        problem = f"the call {next(iter(waiting))!r:.60} has no result"
        raise InvalidError("turn", problem, "append call and result in one turn")


def orphans(entries: Iterable[tuple[str, Mapping[str, Json]]]) -> Iterator[str]:
    """Give the id of each of *entries* (id, entry) that holds a result whose call is not before."""
    made: set[str] = set()
    for entry_id, entry in entries:
        if any(result not in made for result in results(entry)):
            yield entry_id
        made.update(calls(entry))


def _body(entry: Mapping[str, Json]) -> Mapping[str, Json]:
    body = entry.get("message")
    return body if isinstance(body, Mapping) else {}


def _parts(body: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    content = body.get("content")
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, Mapping)]


def _is_call(part: Json) -> bool:
    if not isinstance(part, Mapping):
        return False
    return part.get("type") in _CALLS or part.get("type") == "function"
