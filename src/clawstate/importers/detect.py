"""Telling what a file is, and reading it as that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path

from clawstate.errors import UnavailableError
from clawstate.files.damaged_line import split_damaged
from clawstate.importers.chat_export import looks_like_export, read_chat_export
from clawstate.importers.export_archive import MAGIC
from clawstate.importers.jsonl import read_json_lines
from clawstate.importers.markdown import read_markdown
from clawstate.importers.openclaw_transcript import read_openclaw_transcript
from clawstate.importers.passages import Item, Problem
from clawstate.importers.plain_text import read_plain_text
from clawstate.importers.regular_file import open_regular, unreadable

_HEAD = 64 * 1024
_FIRST_LINES = 5


class Kind(Enum):
    """What a file can be read as."""

    MARKDOWN = "markdown"
    TEXT = "text"
    JSON_LINES = "json-lines"
    OPENCLAW_TRANSCRIPT = "openclaw-transcript"
    CHAT_EXPORT = "chat-export"


SUFFIXES: Mapping[str, Kind] = {
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".mdx": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
    ".rst": Kind.TEXT,
    ".org": Kind.TEXT,
    ".jsonl": Kind.JSON_LINES,
    ".ndjson": Kind.JSON_LINES,
    ".json": Kind.CHAT_EXPORT,
    ".zip": Kind.CHAT_EXPORT,
}
"""What is looked for in a folder; JSON Lines may turn out to be a transcript."""


def detect(path: Path) -> Kind:
    """
    Return what *path* is, by its suffix and its first bytes; text, when nothing else fits.

    Raises `UnavailableError` when the file cannot be read.
    """
    by_suffix = SUFFIXES.get(path.suffix.lower())
    if by_suffix in {Kind.MARKDOWN, Kind.TEXT}:
        return by_suffix
    head = _head(path)
    if head.startswith(MAGIC) or looks_like_export(head):
        return Kind.CHAT_EXPORT
    lines = _objects(head)
    if any(map(_is_transcript_line, lines)):
        return Kind.OPENCLAW_TRANSCRIPT
    if by_suffix is not Kind.JSON_LINES and any(map(_is_record, lines[:1])):
        return Kind.JSON_LINES
    return by_suffix or Kind.TEXT


def read_passages(path: Path, *, kind: Kind | None = None) -> Iterator[Item]:
    """
    Yield the passages of *path* and the problems met, read as *kind* or as `detect` finds.

    The file is read as a stream. A file that cannot be opened, or no longer be read, is a problem.
    """
    try:
        yield from _READERS[kind or detect(path)](path)
    except UnavailableError as error:
        yield problem_of(path, error)
    except OSError as error:
        yield problem_of(path, unreadable(path, error))


def problem_of(path: Path, error: UnavailableError) -> Problem:
    """Return *error* as a problem of the whole file *path*."""
    return Problem(path, None, f"{error.problem}; {error.hint}")


def _head(path: Path) -> bytes:
    with open_regular(path) as stream:
        try:
            return stream.read(_HEAD)
        except OSError as error:
            raise unreadable(path, error) from error


def _objects(head: bytes) -> list[dict[str, object]]:
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()[:_FIRST_LINES]
    if not head.startswith((b"{", b"\xef\xbb\xbf{")):
        return []
    values = [value for line in lines for value in _values(line)]
    return [value for value in values if isinstance(value, dict)]


def _values(line: bytes) -> list[object]:
    try:
        return [json.loads(line)]
    except (ValueError, RecursionError):
        parts = split_damaged(line.decode(errors="replace"))
        return [json.loads(each.text) for each in parts if each.is_whole]


def _is_transcript_line(value: dict[str, object]) -> bool:
    if value.get("type") == "session":
        return "id" in value
    return value.get("type") == "message" and isinstance(value.get("message"), dict)


def _is_record(value: dict[str, object]) -> bool:
    return isinstance(value.get("text", value.get("content")), str)


_READERS: Mapping[Kind, Callable[[Path], Iterator[Item]]] = {
    Kind.MARKDOWN: read_markdown,
    Kind.TEXT: read_plain_text,
    Kind.JSON_LINES: read_json_lines,
    Kind.OPENCLAW_TRANSCRIPT: read_openclaw_transcript,
    Kind.CHAT_EXPORT: read_chat_export,
}
