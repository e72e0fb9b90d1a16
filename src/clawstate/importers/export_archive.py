"""The .zip in which a chat service sends an export: its conversations as streams."""

from __future__ import annotations

import errno
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from clawstate.errors import InvalidError

MAGIC = b"PK\x03\x04"
"""The bytes that an archive begins with."""

_LARGEST = 8 * 1024**3
_MOST_RATIO = 200
_MEMBER = re.compile(r"(?:[^\0]*/)?conversations(?:-\d{1,6})?\.json")
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


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
        raise _damaged() from error
    except OSError as error:
        # A directory that points before the start of the file; all else is the disk's fault.
        if error.errno == errno.EINVAL:
            raise _damaged() from error
        raise


def _damaged() -> InvalidError:
    return InvalidError("archive", "the archive is damaged; download it again")


# The module lets through what its parts raise: for offsets, names and methods that cannot be.
_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)


def _check(members: list[zipfile.ZipInfo]) -> None:
    if not members:
        raise InvalidError("archive", "the archive holds no conversations.json; name an export")
    if any(each.flag_bits & 1 for each in members):
        raise InvalidError("archive", "the archive is encrypted; unpack it first")
    if any(each.compress_type not in _METHODS for each in members):
        raise InvalidError("archive", "the archive is packed in an unusual way; unpack it first")
    if sum(each.file_size for each in members) > _LARGEST or any(map(_is_bomb, members)):
        raise InvalidError("archive", "the archive unpacks to far more than it should")


def _is_bomb(member: zipfile.ZipInfo) -> bool:
    return member.file_size > 1024 * 1024 + _MOST_RATIO * member.compress_size
