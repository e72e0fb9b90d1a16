from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def open_below(folder: Path) -> list[str]:
    """
    Return what this process has open in *folder* or below, one name for each descriptor.

    Not all that it has open: threads of others, and garbage of an earlier test that is collected
    meanwhile, open and close descriptors at any moment.
    """
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found.append(str(each.readlink()))
    root = str(folder.resolve())
    return sorted(name for name in found if name == root or name.startswith(f"{root}/"))
