"""The conversations of a ChatGPT export: trees of messages, of which one path was shown."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.importers.json_values import Object, moment_or_none, object_at, text_at
from clawstate.importers.messages import Message
from clawstate.importers.passages import Json


def chatgpt_messages(conversation: Object) -> Iterator[Message]:
    """
    Yield what the user and the assistant said on the path that ends in `current_node`.

    Without that node the longest path counts, among equals the latest. Left out are system
    and tool messages, calls of tools, reasoning, and messages that were hidden or replaced.
    """
    thread = text_at(conversation, "conversation_id", "id")
    begun = moment_or_none(conversation.get("create_time"))
    title = text_at(conversation, "title")
    for message in _shown_path(conversation):
        text = _text(message)
        if text:
            said_at = moment_or_none(message.get("create_time"))
            yield Message(
                _role(message),
                text,
                thread,
                begun if said_at is None else said_at,
                facts={
                    "title": title,
                    "messageId": text_at(message, "id"),
                    "model": text_at(object_at(message, "metadata"), "model_slug"),
                },
            )


def _shown_path(conversation: Object) -> Iterator[Object]:
    tree = _Tree(object_at(conversation, "mapping"))
    for name in tree.path(conversation.get("current_node")):
        message = tree.message(name)
        if _is_shown(message):
            yield message


class _Tree:
    def __init__(self, mapping: Object) -> None:
        self._nodes = {name: node for name, node in mapping.items() if isinstance(node, dict)}
        self._parents = {
            child: name
            for name, node in self._nodes.items()
            for child in _names(node.get("children"))
        }
        self._parents |= {
            name: parent
            for name, node in self._nodes.items()
            if isinstance(parent := node.get("parent"), str)
        }

    def message(self, name: str) -> Object:
        return object_at(self._nodes[name], "message")

    def path(self, end: Json) -> list[str]:
        """Return the nodes from the root to *end*, or to the end of the longest path."""
        if not isinstance(end, str) or end not in self._nodes:
            end = self._deepest()
        return self._upwards(end)[::-1] if end is not None else []

    def _upwards(self, name: str | None) -> list[str]:
        path: dict[str, None] = {}
        while name is not None and name in self._nodes and name not in path:
            path[name] = None
            name = self._parents.get(name)
        return list(path)

    def _deepest(self) -> str | None:
        depths: dict[str, int] = {}
        for name in self._nodes:
            # Only the nodes above that are not measured yet: linear in the size of the tree.
            fresh = self._unmeasured(name, depths)
            above = depths.get(self._parents.get(fresh[-1], ""), 0) if fresh else 0
            depths |= {each: above + index for index, each in enumerate(reversed(fresh), start=1)}
        return max(depths, key=lambda name: (depths[name], self._time(name)), default=None)

    def _unmeasured(self, name: str | None, depths: dict[str, int]) -> list[str]:
        path: dict[str, None] = {}
        while name is not None and name in self._nodes and name not in path and name not in depths:
            path[name] = None
            name = self._parents.get(name)
        return list(path)

    def _time(self, name: str) -> float:
        return moment_or_none(self.message(name).get("create_time")) or 0.0


def _names(value: Json) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _is_shown(message: Object) -> bool:
    hidden = object_at(message, "metadata").get("is_visually_hidden_from_conversation")
    return (
        _role(message) in {"user", "assistant"}
        and hidden is not True
        and message.get("weight") != 0
        and message.get("recipient", "all") in {"all", None}
    )


def _role(message: Object) -> str:
    return text_at(object_at(message, "author"), "role") or ""


def _text(message: Object) -> str:
    content = object_at(message, "content")
    if content.get("content_type") not in {"text", "multimodal_text"}:
        return ""
    parts = content.get("parts")
    texts = [_part_text(part) for part in parts] if isinstance(parts, list) else []
    return "\n".join(text for text in texts if text).strip()


def _part_text(part: Json) -> str:
    # What was said in a voice chat stands in an object of its own.
    if isinstance(part, dict) and part.get("content_type") == "audio_transcription":
        return text_at(part, "text") or ""
    return part if isinstance(part, str) else ""
