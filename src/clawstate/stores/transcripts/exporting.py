"""Writing a transcript out, line by line."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from clawstate.errors import UnavailableError
from clawstate.files.ownership import give_to_owner


def write_lines(lines: Iterable[str], out: BinaryIO) -> int:
    """Write *lines* to *out* and return how many."""
    written = 0
    for line in lines:
        out.write(line.encode() + b"\n")
        written += 1
    return written


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """
    Lend a new file that takes the name *path* when the block succeeds; 0600 from birth.

    Raises `UnavailableError` when the system refuses; then *path* is as it was.
    """
    temporary = path.with_name(f"{path.name[:40]}.{secrets.token_hex(8)}.tmp")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as out:
            give_to_owner(out.fileno(), path.parent)
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        hint = "check the directory and the free space"
        problem = f"cannot be written ({error.strerror})"
        raise UnavailableError(str(path), problem, hint) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
