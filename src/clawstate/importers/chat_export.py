"""ChatGPT and Claude exports as passages, one conversation in memory at a time."""

from __future__ import annotations

import errno
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from clawstate.errors import InvalidError
from clawstate.importers.encodings import head_as_utf8, unicode_as_utf8
from clawstate.importers.json_values import (
    Object,
    array_elements,
    has_half_pair,
    moment_or_none,
    object_at,
    parse_object,
    text_at,
)
from clawstate.importers.lines import open_regular
from clawstate.importers.messages import Message, message_passages
from clawstate.importers.passages import Item, Json, Problem

# An export may have gigabytes: its first bytes tell what it is, before anything is parsed.
_HEAD = 64 * 1024
# Told by what lies in it: `.json` and `.zip` may be anything, and a folder is full of them.
_EXPORT = re.compile(rb'\s*\[\s*\{(?=.*"(?:mapping|chat_messages)"\s*:)', re.DOTALL)

# Marks of sources, between characters that no writing has: `\ue200cite\ue202turn0search3\ue201`,
# and 【12†source】 of earlier exports.
_CITATION = re.compile(
    "\ue200[^\ue200\ue201]{0,400}\ue201|【[^【】]{0,60}†[^【】]{0,200}】|[\ue200-\ue206]"
)
_ROLES: dict[Json, str] = {"human": "user", "assistant": "assistant"}
MAGIC = b"PK\x03\x04"
"""The bytes that an archive begins with."""
# Beyond these an archive is no export of text, but made to fill the disk or the memory.
_LARGEST = 8 * 1024**3
# Text packs to a fifth or a tenth: an archive of 200 times its size was made to do harm.
_MOST_RATIO = 200
_MEMBER = re.compile(r"(?:[^\0]*/)?conversations(?:-\d{1,6})?\.json")
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# The module lets through what its parts raise: for offsets, names and methods that cannot be.
_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)


def read_chat_export(path: Path) -> Iterator[Item]:
    """
    Yield the messages of a `conversations.json`, or of one within the .zip *path*.

    Each conversation is a thread. Problems name the conversation by its number in the file.
    Raises `UnavailableError` when the file cannot be opened.
    """
    reading = _Reading(path)
    with open_regular(path) as stream:
        try:
            for conversations in _streams(stream):
                yield from reading.items(conversations)
        except InvalidError as error:
            yield Problem(path, None, error.problem)


def is_chat_export(path: Path) -> bool:
    """
    Tell whether *path* begins as an export does, or is an archive that holds one.

    Raises `UnavailableError` when the file cannot be opened.
    """
    with open_regular(path) as stream:
        head = stream.read(_HEAD)
        if not head.startswith(MAGIC):
            return looks_like_export(head)
        try:
            return next(conversation_streams(stream), None) is not None
        except InvalidError:
            return False


def looks_like_export(head: bytes) -> bool:
    """Tell whether *head*, the first bytes of a file, are those of a chat export."""
    return _EXPORT.match(head_as_utf8(head).removeprefix(b"\xef\xbb\xbf")) is not None


def _streams(stream: BinaryIO) -> Iterator[IO[bytes]]:
    is_archive = stream.read(len(MAGIC)) == MAGIC
    stream.seek(0)
    if is_archive:
        yield from conversation_streams(stream)
    else:
        yield unicode_as_utf8(stream)


class _Reading:
    """The conversations of one file, counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def items(self, stream: IO[bytes]) -> Iterator[Item]:
        elements = array_elements(stream)
        while True:
            # Around the reading alone: an error in what is made of a conversation is no damage of
            # the archive.
            with readable_archive():
                text = next(elements, None)
            if text is None:
                return
            self._count += 1
            yield from self._conversation(text)

    def _conversation(self, text: str) -> Iterator[Item]:
        name = f"conversation {self._count}"
        try:
            messages = _messages(parse_object(text, what=name), name)
        except InvalidError as error:
            # One bad conversation is passed over; the others follow.
            yield Problem(self._path, None, error.problem)
            return
        if has_half_pair(text):
            yield Problem(self._path, None, f"{name} is not UTF-8; U+FFFD stands for some of it")
        position = 0
        for message in messages:
            if "\0" in message.text:
                yield Problem(self._path, None, f"{name} has a message with a NUL character")
                continue
            for passage in message_passages(message, position=position):
                # Counted by passages that are given, so that left out messages leave no gaps in the
                # thread.
                position += 1
                yield passage


def _messages(conversation: Object, name: str) -> Iterator[Message]:
    if isinstance(conversation.get("mapping"), dict):
        return chatgpt_messages(conversation)
    if isinstance(conversation.get("chat_messages"), list):
        return claude_messages(conversation)
    raise InvalidError("conversation", f"{name} has the form of neither ChatGPT nor Claude")


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


def _shown_path(conversation: Object) -> Iterator[Object]:
    tree = _Tree(object_at(conversation, "mapping"))
    # ChatGPT keeps every edited question and regenerated answer; only one path was the
    # conversation.
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


def claude_messages(conversation: Object) -> Iterator[Message]:
    """Yield the text that the user and the assistant wrote, without thinking and tools."""
    thread = text_at(conversation, "uuid")
    begun = moment_or_none(conversation.get("created_at"))
    title = text_at(conversation, "name")
    messages = conversation.get("chat_messages")
    for message in messages if isinstance(messages, list) else []:
        if (
            isinstance(message, dict)
            and (role := _claude_role(message))
            and (text := _claude_text(message))
        ):
            said_at = moment_or_none(message.get("created_at"))
            facts: Object = {"title": title, "messageId": text_at(message, "uuid")}
            begin = begun if said_at is None else said_at
            yield Message(role, text, thread, begin, facts=facts, service="claude", title=title)


def _claude_role(message: Object) -> str | None:
    sender = message.get("sender")
    return _ROLES.get(sender) if isinstance(sender, str) else None


def _claude_text(message: Object) -> str:
    blocks = message.get("content")
    # Where there are blocks, `text` repeats them, with placeholders for tools.
    if not isinstance(blocks, list) or not blocks:
        texts = [text_at(message, "text") or ""]
    else:
        texts = [_block_text(block) for block in blocks if isinstance(block, dict)]
    # A long paste is no text of the message, but a file of it.
    texts += _attachment_texts(message.get("attachments"))
    return "\n".join(text for text in texts if text).strip()


def _attachment_texts(attachments: Json) -> Iterator[str]:
    for each in attachments if isinstance(attachments, list) else []:
        if isinstance(each, dict) and (text := text_at(each, "extracted_content")):
            name = text_at(each, "file_name", "name")
            yield f"{name}:\n{text}" if name else text


def _block_text(block: Object) -> str:
    text = block.get("text")
    if block.get("type") == "text" and isinstance(text, str):
        return text
    # What was written in a document beside the conversation is the input of a tool.
    if block.get("type") == "tool_use" and block.get("name") == "artifacts":
        given = object_at(block, "input")
        return "\n".join(filter(None, (text_at(given, "title"), text_at(given, "content"))))
    return ""


def conversation_streams(stream: BinaryIO) -> Iterator[IO[bytes]]:
    """
    Yield the unpacked bytes of each `conversations.json` (or `conversations-000.json`, ...).

    Nothing is written to disk, and names in the archive are never used as paths. Raises
    `InvalidError` for a damaged archive, for one without conversations, for an encrypted one,
    and for one that unpacks to over 8 GiB or to over 200 times its size.
    """
    with readable_archive(), zipfile.ZipFile(stream) as archive:
        members = [each for each in archive.infolist() if _MEMBER.fullmatch(each.filename)]
        _check(members)
        # In the order of their numbers, whatever the archive's: conversations are counted over all.
        for member in sorted(members, key=lambda each: each.filename):
            with archive.open(member) as opened:
                yield opened


@contextmanager
def readable_archive() -> Iterator[None]:
    """Turn what a damaged archive raises into `InvalidError`."""
    try:
        yield
    except InvalidError:
        raise
    except _DAMAGES as error:
        raise _translate_damage() from error
    except OSError as error:
        # A directory that points before the start of the file; all else is the disk's fault.
        if error.errno == errno.EINVAL:
            raise _translate_damage() from error
        raise


def _translate_damage() -> InvalidError:
    return InvalidError("archive", "the archive is damaged; download it again")


def _check(members: list[zipfile.ZipInfo]) -> None:
    if not members:
        raise InvalidError("archive", "the archive holds no conversations.json; name an export")
    # Bit 0 of the flags says that a member is encrypted (PKWARE's APPNOTE, section 4.4.4).
    if any(each.flag_bits & 1 for each in members):
        raise InvalidError("archive", "the archive is encrypted; unpack it first")
    if any(each.compress_type not in _METHODS for each in members):
        raise InvalidError("archive", "the archive is packed in an unusual way; unpack it first")
    if sum(each.file_size for each in members) > _LARGEST or any(map(_is_bomb, members)):
        raise InvalidError("archive", "the archive unpacks to far more than it should")


def _is_bomb(member: zipfile.ZipInfo) -> bool:
    # A small file may be packed by any factor: its size alone does no harm.
    return member.file_size > 1024 * 1024 + _MOST_RATIO * member.compress_size
