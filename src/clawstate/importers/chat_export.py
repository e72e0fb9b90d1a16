"""ChatGPT and Claude exports as passages, one conversation in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from clawstate.errors import InvalidError
from clawstate.importers.chatgpt_export import chatgpt_messages, custom_instructions
from clawstate.importers.claude_export import (
    claude_messages,
    design_messages,
    memory_passages,
    project_passages,
)
from clawstate.importers.encodings import head_as_utf8, unicode_as_utf8
from clawstate.importers.export_archive import MAGIC, export_streams, readable_archive
from clawstate.importers.json_values import (
    Object,
    array_elements,
    has_half_pair,
    parse_object,
    text_at,
)
from clawstate.importers.lines import open_regular
from clawstate.importers.messages import Message, message_passages
from clawstate.importers.passages import Item, Passage, Problem

# An export may have gigabytes: its first bytes tell what it is, before anything is parsed.
_HEAD = 64 * 1024
# Told by what lies in it: `.json` and `.zip` may be anything, and a folder is full of them. Other
# programs write one conversation a file, and Claude one project.
_EXPORT = re.compile(
    rb'\s*(?:\[\s*\{(?=.*"mapping"\s*:)'
    rb'|\{(?=.*"mapping"\s*:)(?=.*"create_time"\s*:)'
    rb'|\[?\s*\{(?=.*"(?:chat_messages|conversations_memory|project_memories|memory_files)"\s*:)'
    rb'|\[?\s*\{(?=.*"prompt_template"\s*:)(?=.*"(?:docs|is_starter_project)"\s*:))',
    re.DOTALL,
)
_MEMORIES = ("conversations_memory", "project_memories", "memory_files")


def read_chat_export(path: Path) -> Iterator[Item]:
    """
    Yield what an export file, or each of those within the .zip *path*, says.

    Those are conversations, each of which is a thread, and of Claude also projects, memories and
    chats about designs. Problems name the entry by its number in the file. Raises
    `UnavailableError` when the file cannot be opened.
    """
    reading = _Reading(path)
    with open_regular(path) as stream:
        try:
            for entries in _streams(stream):
                yield from reading.items(entries)
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
            # The name tells enough of conversations; of projects and memories many programs have.
            with readable_archive():
                return any(
                    kind == "conversations" or looks_like_export(entries.read(_HEAD))
                    for kind, entries in export_streams(stream)
                )
        except InvalidError:
            return False


def looks_like_export(head: bytes) -> bool:
    """Tell whether *head*, the first bytes of a file, are those of a chat export."""
    return _EXPORT.match(head_as_utf8(head).removeprefix(b"\xef\xbb\xbf")) is not None


def _streams(stream: BinaryIO) -> Iterator[IO[bytes]]:
    is_archive = stream.read(len(MAGIC)) == MAGIC
    stream.seek(0)
    if is_archive:
        yield from (entries for _, entries in export_streams(stream))
    else:
        yield unicode_as_utf8(stream)


class _Reading:
    """The entries of one file, counted, and what is known from one to the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self._projects: dict[str, str] = {}
        self._instructions: set[str] = set()

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
            yield from self._entry(text)

    def _entry(self, text: str) -> Iterator[Item]:
        name = f"conversation {self._count}"
        try:
            entry = parse_object(text, what=name)
            passages = self._passages_of(entry, name)
        except InvalidError as error:
            # One bad conversation is passed over; the others follow.
            yield Problem(self._path, None, error.problem)
            return
        if has_half_pair(text):
            yield Problem(self._path, None, f"{name} is not UTF-8; U+FFFD stands for some of it")
        yield from passages

    def _passages_of(self, entry: Object, name: str) -> Iterator[Item]:
        if isinstance(entry.get("mapping"), dict):
            return self._messages((*self._new_instructions(entry), *chatgpt_messages(entry)), name)
        if isinstance(entry.get("chat_messages"), list):
            return self._messages(claude_messages(entry), name)
        if any(each in entry for each in _MEMORIES):
            return iter(tuple(memory_passages(entry, self._projects)))
        if "prompt_template" in entry or isinstance(entry.get("docs"), list):
            return self._project(entry)
        if isinstance(entry.get("messages"), list) and "uuid" in entry:
            return self._messages(design_messages(entry), name)
        if not entry:
            return iter(())
        raise InvalidError("conversation", f"{name} has the form of neither ChatGPT nor Claude")

    def _project(self, entry: Object) -> Iterator[Passage]:
        identity, name = text_at(entry, "uuid"), text_at(entry, "name")
        if identity is not None and name is not None:
            self._projects[identity] = name
        yield from project_passages(entry)

    def _new_instructions(self, entry: Object) -> Iterator[Message]:
        for message in custom_instructions(entry):
            if message.text not in self._instructions:
                self._instructions.add(message.text)
                yield message

    def _messages(self, messages: Iterable[Message], name: str) -> Iterator[Item]:
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
