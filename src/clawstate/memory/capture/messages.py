"""Messages of a conversation as texts that were said, each with who said it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clawstate.arguments import describe, require_text
from clawstate.errors import InvalidError
from clawstate.memory.capture.fence import without_fenced
from clawstate.memory.capture.values import ORIGINS, Origin, Provenance, Said

_ORIGIN_OF: Mapping[str, Origin] = {"user": "owner", "assistant": "agent", "agent": "agent"}
_UNSAID = frozenset({"system", "developer"})  # what a program told the model
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
# What a channel puts before a message, such as [Telegram Ada id:42 2026-03-01 10:00].
_ENVELOPE = re.compile(r"\A\s*\[[A-Z][\w .:@+-]{2,200}\]\s*(?=\S)")
_SENTENCES = re.compile("(?<=[.!?\u2026])[\"')\\]]*\\s+|(?<=[\u3002\uff01\uff1f\u0964\u061f])|\n+")


def said_in(
    messages: Iterable[Any],
    *,
    who: str,
    session: str,
    origin: Origin | None,
    longest: int,
    skipped: Counter[str],
) -> Iterator[Said]:
    """
    Yield what *messages* say, recalled text and code left out; long ones sentence by sentence.

    Each is a mapping with `role` and `content` (text, or parts with a `text`), and if there are
    `id`, `sender` and `origin`; or an object with such attributes. Roles tell the origin unless it
    is given: `user` is the owner, unless another `sender` than *who* is named, `assistant` the
    agent, all else is untrusted. What is left out whole is counted in *skipped*. Raises
    `InvalidError` that names the message by its number from 0.
    """
    for number, message in enumerate(messages):
        role = _member(message, "role", number)
        if role in _UNSAID or not role:
            skipped["system" if role else "no-role"] += 1
            continue
        sender = _member(message, "sender", number)
        by_role = _ORIGIN_OF.get(role, "untrusted")
        # In a group, every member writes in the role of the user.
        is_other = by_role == "owner" and sender not in {"", who}
        found = _member(message, "origin", number) or origin
        found = found or ("untrusted" if is_other else by_role)
        if found not in ORIGINS:
            hint = f"use one of {', '.join(ORIGINS)}"
            raise InvalidError(f"messages[{number}].origin", f"{found!r} is unknown", hint)
        speaker = sender or (who if found == "owner" else role)
        provenance = Provenance(speaker, session, _member(message, "id", number), found)
        text = _ENVELOPE.sub("", _CODE.sub("\n", without_fenced(_content(message, number))))
        yield from (Said(each, provenance) for each in _passages(text.strip(), longest))


def _passages(text: str, longest: int) -> Iterator[str]:
    if len(text) <= longest:
        yield text
        return
    for sentence in _SENTENCES.split(text):
        if sentence and sentence.strip():
            yield sentence.strip()


def _member(message: Any, name: str, number: int) -> Any:
    value = message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)
    if value is None:
        return ""
    return require_text(f"messages[{number}].{name}", value)


def _content(message: Any, number: int) -> str:
    if isinstance(message, Mapping):
        content = message.get("content", message.get("text"))
    else:
        content = getattr(message, "text", None)
    if isinstance(content, list):  # parts: only what is said counts, no thought, call or picture
        texts = (each.get("text") for each in content if isinstance(each, Mapping))
        content = "\n".join(each for each in texts if isinstance(each, str))
    if not isinstance(content, str):
        problem = f"{describe(content)} is neither text nor a list of parts"
        raise InvalidError(f"messages[{number}].content", problem)
    # What no text can hold is left out, not the message: the next one waits behind it.
    return content.encode("utf-8", "replace").decode().replace("\0", " ")
