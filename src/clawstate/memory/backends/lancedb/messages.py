"""What goes over the pipes between a program and its table process: JSON and one run of bytes."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_HEAD = struct.Struct("<QQ")

Message = dict[str, Any]


def send(stream: IO[bytes], message: Message, blob: bytes = b"") -> None:
    """Write *message* and *blob* to *stream*."""
    text = json.dumps(message, separators=(",", ":")).encode()
    stream.write(_HEAD.pack(len(text), len(blob)))
    stream.write(text)
    stream.write(blob)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Message, bytes]:
    """Return the next message of *stream* and its bytes; raises `EOFError` at the end."""
    text_length, blob_length = _HEAD.unpack(_exactly(stream, _HEAD.size))
    text, blob = _exactly(stream, text_length), _exactly(stream, blob_length)
    message: Message = json.loads(text)
    return message, blob


def _exactly(stream: IO[bytes], length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = stream.read(length)
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
