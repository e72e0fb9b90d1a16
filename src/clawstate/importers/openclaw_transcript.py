"""OpenClaw session transcripts as passages: what the user and the assistant said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from clawstate.errors import InvalidError
from clawstate.importers.encodings import damage_of, unicode_as_utf8
from clawstate.importers.json_values import (
    Object,
    moment_or_none,
    object_at,
    parse_objects,
    text_at,
)
from clawstate.importers.lines import Line, open_regular, read_lines
from clawstate.importers.messages import Message, message_passages
from clawstate.importers.passages import Item, Json, Problem

_LONGEST_HEADER = 64 * 1024
_TOPIC = "-topic-"

_TAG = re.compile(r"<(/?)relevant-memories(?:\s[^<>]{0,200})?>", re.IGNORECASE)


def read_openclaw_transcript(path: Path) -> Iterator[Item]:
    """
    Yield the messages of the transcript *path* (JSON Lines, versions 1 to 3), in their order.

    Only text of the roles user and assistant is taken; tool calls and results, thinking,
    summaries, recalled memories and the delivery mirror's repetitions are left out. The thread
    is the session's id. Raises `UnavailableError` when the file cannot be opened.
    """
    transcript = _Transcript()
    position = 0
    with open_regular(path) as opened:
        stream = unicode_as_utf8(opened)
        for line in read_lines(stream):
            for message in transcript.messages(line):
                if isinstance(message, str):
                    yield Problem(path, line.number, message)
                    continue
                for passage in message_passages(message, position=position):
                    position += 1
                    yield passage
        yield from damage_of(path, stream)


def session_named_in(stream: BinaryIO, *, name: str) -> str | None:
    """
    Return the session id in the header of the transcript *stream*, read from its start.

    `None` if there is no header, and for the file of a topic, told by its *name*: it holds a part
    of its session and is kept apart. A program that syncs folders gives a second copy of a file
    another name (`<id> 2.jsonl`, `<id>.sync-conflict-....jsonl`), but leaves the header as it was.
    """
    if _TOPIC in name:
        return None
    line = stream.readline(_LONGEST_HEADER).removeprefix(b"\xef\xbb\xbf").strip()
    for found in parse_objects(Line(1, 0, line), what="the line"):
        if not isinstance(found, str) and found.get("type") == "session":
            return text_at(found, "id")
    return None


class _Transcript:
    """What must be remembered from line to line."""

    def __init__(self) -> None:
        self._session: str | None = None
        self._previous = ("", "")

    def messages(self, line: Line) -> Iterator[Message | str]:
        """Yield what was said in *line*, and as sentences what is wrong with it."""
        for entry in parse_objects(line, what="the line"):
            try:
                message = entry if isinstance(entry, str) else self._message(entry, line.number)
            except InvalidError as error:
                message = error.problem
            if message is not None:
                yield message

    def _message(self, entry: Object, line: int) -> Message | None:
        if entry.get("type") == "session":
            self._session = text_at(entry, "id")
        return self._spoken(entry, line) if entry.get("type") == "message" else None

    def _spoken(self, entry: Object, line: int) -> Message | None:
        body = entry.get("message")
        if not isinstance(body, dict):
            raise InvalidError("line", "the line is a message without a body")
        role = body.get("role")
        if not isinstance(role, str) or role not in {"user", "assistant"}:
            return None
        # OpenClaw puts what it recalled into the message: taken in, memories would feed on
        # themselves.
        text = without_recalled_text(_text(body.get("content")))
        said = (role, text)
        # The delivery mirror notes again, as an answer, what was sent to a channel.
        if not text or (_is_mirror(body) and said == self._previous):
            return None
        self._previous = said
        made, facts = _created_at(entry, body), _facts(entry)
        return Message(role, text, self._session, made, line, facts, service="openclaw")


def _text(content: Json) -> str:
    if not isinstance(content, str | list):
        raise InvalidError("line", "the line is a message without readable content")
    blocks: list[Json] = (
        [{"type": "text", "text": content}] if isinstance(content, str) else content
    )
    texts = [_block_text(block) for block in blocks if isinstance(block, dict)]
    text = "\n".join(text for text in texts if text)
    if "\0" in text:
        raise InvalidError("line", "the line is a message with a NUL character")
    return text


def _block_text(block: Object) -> str:
    text = block.get("text")
    return text if block.get("type") == "text" and isinstance(text, str) else ""


def _is_mirror(body: Object) -> bool:
    return body.get("provider") == "openclaw" and body.get("model") == "delivery-mirror"


def _created_at(entry: Object, body: Object) -> float | None:
    said_at = moment_or_none(body.get("timestamp"))
    return moment_or_none(entry.get("timestamp")) if said_at is None else said_at


def _facts(entry: Object) -> Object:
    return {
        "messageId": text_at(entry, "id"),
        "model": text_at(object_at(entry, "message"), "model"),
    }


def without_recalled_text(text: str) -> str:
    """
    Return *text* without its `<relevant-memories>` blocks.

    Blocks may hold others. One that is never closed reaches to the last end of an inner block,
    or else to the end of the text: rather lose a sentence than remember a memory as news.
    """
    kept: list[str] = []
    depth, start, opened = 0, 0, -1
    for tag in _TAG.finditer(text):
        # By counting and not by one expression: what is recalled may itself hold such tags.
        if tag.group(1):
            if depth == 0:
                kept.append(text[start : tag.start()])
            depth, start = max(depth - 1, 0), tag.end()
        else:
            if depth == 0:
                kept.append(text[start : tag.start()])
                opened = start = tag.end()
            depth += 1
    if depth == 0 or start > opened:
        kept.append(text[start:])
    return "".join(kept).strip()
