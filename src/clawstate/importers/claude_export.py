"""The conversations of a Claude export: flat lists of messages."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.importers.json_values import Object, moment_or_none, text_at
from clawstate.importers.messages import Message
from clawstate.importers.passages import Json

_ROLES: dict[Json, str] = {"human": "user", "assistant": "assistant"}


def claude_messages(conversation: Object) -> Iterator[Message]:
    """Yield the text that the user and the assistant wrote, without thinking and tools."""
    thread = text_at(conversation, "uuid")
    begun = moment_or_none(conversation.get("created_at"))
    title = text_at(conversation, "name")
    messages = conversation.get("chat_messages")
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict) and (role := _role(message)) and (text := _text(message)):
            said_at = moment_or_none(message.get("created_at"))
            facts: Object = {"title": title, "messageId": text_at(message, "uuid")}
            begin = begun if said_at is None else said_at
            yield Message(role, text, thread, begin, facts=facts)


def _role(message: Object) -> str | None:
    sender = message.get("sender")
    return _ROLES.get(sender) if isinstance(sender, str) else None


def _text(message: Object) -> str:
    blocks = message.get("content")
    # Where there are blocks, `text` repeats them, with placeholders for tools.
    if not isinstance(blocks, list) or not blocks:
        return text_at(message, "text") or ""
    texts = [_block_text(block) for block in blocks if isinstance(block, dict)]
    return "\n".join(text for text in texts if text).strip()


def _block_text(block: Object) -> str:
    text = block.get("text")
    return text if block.get("type") == "text" and isinstance(text, str) else ""
