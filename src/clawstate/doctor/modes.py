"""Files that others may read, and taking that right from them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from clawstate.doctor.finding import Finding

OTHERS = 0o077
"""The rights of everybody but the owner."""


def wide_modes(paths: Iterable[Path], *, fix: bool) -> Iterator[Finding]:
    """Look at *paths*, which are all private; links are passed over."""
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if mode & OTHERS and not stat.S_ISLNK(mode):
            yield wide_mode(path, stat.S_IMODE(mode), fix=fix)


def wide_mode(path: Path, mode: int, *, fix: bool, follow_link: bool = False) -> Finding:
    """Return that *path* has the too wide *mode*, and what to do, or what was done."""
    narrow = mode & ~OTHERS
    remedy = f"chmod {narrow:o} {path}"
    if fix:
        try:
            # By its path: opening a live database file would drop SQLite's locks.
            os.chmod(path, narrow, follow_symlinks=follow_link)  # noqa: PTH101 - links stay
            remedy = f"made {narrow:04o}"
        except (OSError, NotImplementedError) as error:
            remedy += f" ({error})"
    return Finding(
        "wide-mode", "warning", str(path), f"others may read it (mode {mode:04o})", remedy
    )
