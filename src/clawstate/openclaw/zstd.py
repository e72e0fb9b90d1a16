"""Zstandard, as Python has it since 3.14, and the package of the extra `openclaw` before."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from clawstate.errors import CorruptError, MissingExtraError

MAGIC = b"\x28\xb5\x2f\xfd"
_MODULES = ("compression.zstd", "backports.zstd")


def is_available() -> bool:
    """Tell whether compressed content can be read."""
    return _module() is not None


def decompressed(data: bytes, *, limit: int, place: str) -> bytes:
    """
    Return what the one frame *data* holds, at most *limit* bytes.

    Raises `CorruptError`, which names *place*, for anything else, and `MissingExtraError`.
    """
    module = _required()
    decompressor = module.ZstdDecompressor()
    try:
        found: bytes = decompressor.decompress(data, max_length=limit + 1)
    except module.ZstdError as error:
        raise CorruptError(place, "cannot be unpacked") from error
    if len(found) > limit or not decompressor.eof:
        raise CorruptError(place, f"is cut off, or unpacks to more than {limit:,} bytes")
    return found


def lines(stream: BinaryIO, *, limit: int, place: str) -> Iterator[bytes]:
    """
    Yield the lines of the compressed *stream*, each of at most *limit* bytes.

    Raises `CorruptError`, which names *place*, and `MissingExtraError`.
    """
    module = _required()
    try:
        with module.ZstdFile(stream) as file:
            while line := file.readline(limit + 1):
                if len(line) > limit:
                    raise CorruptError(place, f"has a line of more than {limit:,} bytes")
                yield line
    except (module.ZstdError, EOFError) as error:
        raise CorruptError(place, "cannot be unpacked") from error


def _required() -> Any:
    module = _module()
    if module is None:
        raise MissingExtraError("openclaw", "zstd, in which OpenClaw keeps long messages,")
    return module


def _module() -> Any | None:
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
