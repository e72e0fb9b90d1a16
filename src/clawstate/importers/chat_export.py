"""ChatGPT and Claude exports as passages, one conversation in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from clawstate.errors import InvalidError
from clawstate.importers.chatgpt_export import chatgpt_messages
from clawstate.importers.claude_export import claude_messages
from clawstate.importers.export_archive import MAGIC, conversation_streams, readable_archive
from clawstate.importers.json_array import array_elements
from clawstate.importers.json_values import Object, has_half_pair, parse_object
from clawstate.importers.messages import Message, message_passages
from clawstate.importers.passages import Item, Problem
from clawstate.importers.regular_file import open_regular

_HEAD = 64 * 1024
_EXPORT = re.compile(rb'\s*\[\s*\{(?=.*"(?:mapping|chat_messages)"\s*:)', re.DOTALL)


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
    return _EXPORT.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def _streams(stream: BinaryIO) -> Iterator[IO[bytes]]:
    is_archive = stream.read(len(MAGIC)) == MAGIC
    stream.seek(0)
    if is_archive:
        yield from conversation_streams(stream)
    else:
        yield stream


class _Reading:
    """The conversations of one file, counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def items(self, stream: IO[bytes]) -> Iterator[Item]:
        elements = array_elements(stream)
        while True:
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
                position += 1
                yield passage


def _messages(conversation: Object, name: str) -> Iterator[Message]:
    if isinstance(conversation.get("mapping"), dict):
        return chatgpt_messages(conversation)
    if isinstance(conversation.get("chat_messages"), list):
        return claude_messages(conversation)
    raise InvalidError("conversation", f"{name} has the form of neither ChatGPT nor Claude")
