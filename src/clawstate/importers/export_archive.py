"""Archives of exports: which of their members are read, and what is refused."""

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
# Beyond these an archive is no export of text, but made to fill the disk or the memory.
_LARGEST = 8 * 1024**3
# Text packs to a fifth or a tenth: an archive of 200 times its size was made to do harm.
_MOST_RATIO = 200
# ChatGPT gives conversations alone; Claude memories, projects and design chats beside them, in one
# archive or in one of each kind, and each kind in one file or in one of each thing.
_MEMBER = re.compile(
    r"(?:[^\0]*/)?(?:(?P<kind>conversations|design_chats|memories|projects)(?:-\d{1,6})?\.json"
    r"|(?P<folder>conversations|design_chats|memories|projects)/[^/\0]+\.json)"
)
_ORDER = ("projects", "conversations", "design_chats", "memories")
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# The module lets through what its parts raise: for offsets, names and methods that cannot be.
_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)


def export_streams(stream: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    """
    Yield the kind of each member of an export (`conversations`, `projects`, ...), and its bytes.

    Nothing is written to disk, and names in the archive are never used as paths. Raises
    `InvalidError` for a damaged archive, for one without such members, for an encrypted one,
    and for one that unpacks to over 8 GiB or to over 200 times its size.
    """
    with readable_archive(), zipfile.ZipFile(stream) as archive:
        members = [each for each in archive.infolist() if _MEMBER.fullmatch(each.filename)]
        _check(members)
        # Projects first, whose names memories only refer to; then by number, whatever the
        # archive's order: conversations are counted over all.
        ordered = sorted(members, key=lambda each: (_ORDER.index(_kind(each)), each.filename))
        for member in ordered:
            with archive.open(member) as opened:
                yield _kind(member), opened


def _kind(member: zipfile.ZipInfo) -> str:
    found = _MEMBER.fullmatch(member.filename)
    return "" if found is None else found["kind"] or found["folder"]


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
