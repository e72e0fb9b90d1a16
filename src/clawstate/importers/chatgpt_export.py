"""ChatGPT's exports: the conversations that were shown, and the documents beside them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clawstate.importers.json_values import Object, moment_or_none, object_at, text_at
from clawstate.importers.messages import Message
from clawstate.importers.passages import Json

# Marks of sources, between characters that no writing has: `\ue200cite\ue202turn0search3\ue201`,
# and 【12†source】 of earlier exports.
_CITATION = re.compile(
    "\ue200[^\ue200\ue201]{0,400}\ue201|【[^【】]{0,60}†[^【】]{0,200}】|[\ue200-\ue206]"
)
_CREATE, _UPDATE = "canmore.create_textdoc", "canmore.update_textdoc"
# How a whole document is written anew: the patterns are those of Python's `re`.
_WHOLE = re.compile(r"\^?(?:\.\*|\[\\s\\S\]\*|\(\?s\)\.\*)\$?")
_SPECIAL = re.compile(r"(?<!\\)[.^$*+?{}\[\]()|]|\\[A-Za-z0-9]")
_ESCAPED = re.compile(r"\\([^A-Za-z0-9])")


def chatgpt_messages(conversation: Object) -> Iterator[Message]:
    """
    Yield what the user and the assistant said on the path that ends in `current_node`.

    Without that node the longest path counts, among equals the latest. Documents that were written
    beside the conversation come as they were last, where they were begun. Left out are system
    and tool messages, calls of tools, reasoning, and messages that were hidden or replaced.
    """
    thread = text_at(conversation, "conversation_id", "id")
    begun = moment_or_none(conversation.get("create_time"))
    title = text_at(conversation, "title")
    path = _path(conversation)
    documents = _documents(path)
    for at, message in enumerate(path):
        text = (
            documents.get(at) or _report(message) or (_text(message) if _is_shown(message) else "")
        )
        if text:
            said_at = moment_or_none(message.get("create_time"))
            yield Message(
                _role(message) if _role(message) in {"user", "assistant"} else "assistant",
                text,
                thread,
                # Better the beginning of the conversation than the time of the import.
                begun if said_at is None else said_at,
                facts={
                    "title": title,
                    "messageId": text_at(message, "id"),
                    "model": text_at(object_at(message, "metadata"), "model_slug"),
                },
                service="chatgpt",
                title=title,
            )


def custom_instructions(conversation: Object) -> Iterator[Message]:
    """Yield what the user told ChatGPT of themselves, which stands hidden in each conversation."""
    for message in _path(conversation):
        content = object_at(message, "content")
        if content.get("content_type") == "user_editable_context":
            told = [text_at(content, name) for name in ("user_profile", "user_instructions")]
            text = "\n\n".join(each for each in told if each)
            if text:
                # By its text: it is the same message in all conversations.
                name = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
                title = "Custom instructions"
                facts: Object = {"title": title, "messageId": name}
                made = moment_or_none(conversation.get("create_time"))
                yield Message(
                    "user", text, "custom-instructions", made, None, facts, "chatgpt", title
                )


def _path(conversation: Object) -> list[Object]:
    tree = _Tree(object_at(conversation, "mapping"))
    # ChatGPT keeps every edited question and regenerated answer; only one path was the
    # conversation.
    return [tree.message(name) for name in tree.path(conversation.get("current_node"))]


@dataclass(slots=True)
class _Document:
    """A document beside the conversation, and which message of the path began it."""

    begun: int
    name: str
    text: str


def _documents(path: Sequence[Object]) -> dict[int, str]:
    """Return the documents of a conversation as they were last, by the place of their beginning."""
    found: dict[str, _Document] = {}
    present = ""
    for at, message in enumerate(path):
        kind = message.get("recipient")
        if kind not in (_CREATE, _UPDATE):  # a tuple: it may be anything, hashable or not
            continue
        call = _call(message)
        # The answer of the tool tells which document it was.
        answer = (
            object_at(object_at(path[at + 1], "metadata"), "canvas") if at + 1 < len(path) else {}
        )
        if answer.get("is_failure") is True:
            continue
        name = text_at(answer, "textdoc_id")
        if kind == _CREATE:
            present = name or f"#{at}"
            text = call.get("content")
            title = text_at(call, "name") or text_at(answer, "title") or ""
            found[present] = _Document(at, title, text if isinstance(text, str) else "")
        elif (document := found.get(name or present)) is not None:
            updates = call.get("updates")
            for each in updates if isinstance(updates, list) else []:
                if isinstance(each, dict):
                    document.text = _update(document.text, each)
    return {
        each.begun: "\n".join(filter(None, (each.name, each.text.strip())))
        for each in found.values()
    }


def _call(message: Object) -> Object:
    content = object_at(message, "content")
    parts = content.get("parts")
    text = content.get("text", parts[0] if isinstance(parts, list) and parts else None)
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _update(text: str, update: Object) -> str:
    pattern, new = update.get("pattern"), update.get("replacement")
    if not isinstance(pattern, str) or not isinstance(new, str):
        return text
    if _WHOLE.fullmatch(pattern):
        return new
    # Patterns are never run: what a model wrote there may take hours. Those without special signs
    # say which words are meant; of others the new text is kept behind the document.
    plain = _ESCAPED.sub(r"\1", pattern)
    if _SPECIAL.search(pattern) or plain not in text:
        return f"{text}\n{new}"
    return text.replace(plain, new, -1 if update.get("multiple") is True else 1)


def _report(message: Object) -> str:
    """Return the report of a research, which the answer of a tool holds as JSON within JSON."""
    state = object_at(object_at(message, "metadata"), "chatgpt_sdk").get("widget_state")
    if not isinstance(state, str):
        return ""
    try:
        told = json.loads(state)
    except (ValueError, RecursionError):
        return ""
    return _text(object_at(told, "report_message")) if isinstance(told, dict) else ""


class _Tree:
    def __init__(self, mapping: Object) -> None:
        self._nodes = {name: node for name, node in mapping.items() if isinstance(node, dict)}
        self._parents = {
            child: name
            for name, node in self._nodes.items()
            for child in _names(node.get("children"))
        }
        # Either side may name the other: the node's own word counts over its parent's list.
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
        # A dict as an ordered set: a file that was tampered with may run in a circle.
        while name is not None and name in self._nodes and name not in path:
            path[name] = None
            name = self._parents.get(name)
        return list(path)

    def _deepest(self) -> str | None:
        depths: dict[str, int] = {}
        for name in self._nodes:
            # Only the nodes above that are not measured yet: linear in the size of the tree.
            fresh = self._names_without_depth(name, depths)
            above = depths.get(self._parents.get(fresh[-1], ""), 0) if fresh else 0
            depths |= {each: above + index for index, each in enumerate(reversed(fresh), start=1)}
        return max(depths, key=lambda name: (depths[name], self._time(name)), default=None)

    def _names_without_depth(self, name: str | None, depths: dict[str, int]) -> list[str]:
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
    # A weight of 0 marks what was replaced, a recipient a call of a tool.
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
    return _CITATION.sub("", "\n".join(text for text in texts if text)).strip()


def _part_text(part: Json) -> str:
    # What was said in a voice chat stands in an object of its own.
    if isinstance(part, dict) and part.get("content_type") == "audio_transcription":
        return text_at(part, "text") or ""
    return part if isinstance(part, str) else ""
