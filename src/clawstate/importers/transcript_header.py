"""The first line of a transcript, which says whose messages follow, whatever the file is called."""

from __future__ import annotations

from typing import BinaryIO

from clawstate.importers.json_values import parse_objects, text_at
from clawstate.importers.lines import Line

_LONGEST = 64 * 1024
_TOPIC = "-topic-"


def session_named_in(stream: BinaryIO, *, name: str) -> str | None:
    """
    Return the session id in the header of the transcript *stream*, read from its start.

    `None` if there is no header, and for the file of a topic, told by its *name*: it holds a part
    of its session and is kept apart. A program that syncs folders gives a second copy of a file
    another name (`<id> 2.jsonl`, `<id>.sync-conflict-....jsonl`), but leaves the header as it was.
    """
    if _TOPIC in name:
        return None
    line = stream.readline(_LONGEST).removeprefix(b"\xef\xbb\xbf").strip()
    for found in parse_objects(Line(1, 0, line), what="the line"):
        if not isinstance(found, str) and found.get("type") == "session":
            return text_at(found, "id")
    return None
