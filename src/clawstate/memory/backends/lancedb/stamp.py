"""Which version a Lance table has, told from its directory alone: no library is loaded for it."""

from __future__ import annotations

import os
from pathlib import Path

TABLE = "memories"
"""The name of the table: OpenClaw's plugin calls it so."""

CATALOGUE = "catalogue.db"
"""The name of the catalogue, beside the table."""

_TOP = (1 << 64) - 1
_NEW_STYLE = 20  # digits of a name that counts down, so that the newest comes first in a listing
_SUFFIX = ".manifest"


def table_dir(folder: Path) -> Path:
    """Return where the table of the database *folder* lies."""
    return folder / f"{TABLE}.lance"


def versions_dir(folder: Path) -> Path:
    """Return the directory that changes with each version of the table."""
    return table_dir(folder) / "_versions"


def newest_stamp(folder: Path) -> str | None:
    """Return what stands for the newest version of the table; None if there is no table."""
    try:
        names = os.listdir(versions_dir(folder))  # noqa: PTH208 - on the way of searches
    except OSError:
        return None
    versions = [found for name in names if (found := _version_of(name)) is not None]
    return stamp_of(folder, max(versions)) if versions else None


def stamp_of(folder: Path, version: int) -> str:
    """Return what stands for *version*: a table made anew may reach the same number."""
    for name in (f"{_TOP - version:020}{_SUFFIX}", f"{version}{_SUFFIX}"):
        try:
            found = os.stat(versions_dir(folder) / name)  # noqa: PTH116 - as above
        except OSError:
            continue
        return f"{version}:{found.st_size}:{found.st_mtime_ns}"
    return f"{version}:"


def _version_of(name: str) -> int | None:
    number = name.removesuffix(_SUFFIX)
    if number == name or not number.isdecimal():
        return None
    return _TOP - int(number) if len(number) == _NEW_STYLE else int(number)
