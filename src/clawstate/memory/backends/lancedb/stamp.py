"""Which version a Lance table has, told from its directory alone: no library is loaded for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

TABLE = "memories"
"""The name of the table: OpenClaw's plugin calls it so."""

MAKING = "making"
"""Stands for a table that is being made, until it is on disk."""

TORN = ".torn"
"""Ends the name of the list of a version that could not be read."""

CATALOGUE = "catalogue.db"
"""The name of the catalogue, beside the table."""

_TOP = (1 << 64) - 1
_NEW_STYLE = 20  # digits of a name that counts down, so that the newest comes first in a listing
_DATA = ("data", "_deletions")
_MAGIC = b"LANC"
_HINT = "latest_version_hint.json"
_SUFFIX = ".manifest"
_WITH_MAGIC = {_SUFFIX, ".lance"}


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


def version_of(stamp: str | None) -> int:
    """Return the number of the version that *stamp* stands for; 0 of none."""
    number = (stamp or "").partition(":")[0]
    return int(number) if number.isdecimal() else 0


def roll_back(folder: Path, known: str | None) -> bool:
    """
    Let the version of the stamp *known* be the newest again; tell whether a newer one gave way.

    Only where a file of a newer one is torn, as a power cut leaves it: what we wrote to that still
    waits in the outbox. Lists of versions are kept, as `.torn`. A table that was being made goes as
    a whole: the catalogue has all of it.
    """
    if known == MAKING:
        shutil.rmtree(table_dir(folder), ignore_errors=True)
        return True
    version = version_of(known)
    if not version or stamp_of(folder, version) != known:
        return False
    newer = [
        each for each in versions_dir(folder).iterdir() if (_version_of(each.name) or 0) > version
    ]
    since = int(str(known).rpartition(":")[2])
    others = [each for name in _DATA for each in (table_dir(folder) / name).glob("*")]
    if not any(map(_is_torn, [*newer, *(each for each in others if _changed(each) > since)])):
        return False  # a disk that fails, or another release of LanceDB: nothing to be undone
    for path in newer:
        path.rename(path.with_name(path.name + TORN))
    (versions_dir(folder) / _HINT).unlink(missing_ok=True)
    return bool(newer)


def _is_torn(path: Path) -> bool:
    """Tell whether *path*, a file of a table, was not written to its end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_MAGIC)))
        end = file.read()
    return not any(end) or (path.suffix in _WITH_MAGIC and end != _MAGIC)


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns


def _version_of(name: str) -> int | None:
    number = name.removesuffix(_SUFFIX)
    if number == name or not number.isdecimal():
        return None
    return _TOP - int(number) if len(number) == _NEW_STYLE else int(number)


def size_of(folder: Path) -> int:
    """Return how many bytes the files of *folder* have."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118
            except OSError:
                continue  # removed meanwhile
    return total


def inode_of(path: Path) -> int:
    """Return the number of the file; 0 where there is none."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - on the way of every use
    except OSError:
        return 0
