"""
What each FUSE process of ours shares: it mounts, obeys its parent, and ends with it.

Runs in a process of its own, since mfusepy takes the whole process. Requests are lines of JSON on
standard input, answers lines on standard output; the first line says `MOUNTED`.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from mfusepy import FUSE, Operations  # type: ignore[import-untyped, unused-ignore]

MOUNTED = "MOUNTED"

# Nothing may be answered from a cache: each call of the victim has to arrive here.
_UNCACHED = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0, "ac_attr_timeout": 0}


class Obedient(Operations):  # type: ignore[misc]
    """Operations that tell the parent when they are mounted."""

    use_ns = True

    def init(self, path: str) -> None:
        """Tell the parent that the mount can be used; *path* is always `/`."""
        sys.stdout.write(f"{MOUNTED} {path}\n")
        sys.stdout.flush()


def serve(
    operations: Obedient, mountpoint: str, answer: Callable[[Mapping[str, Any]], object]
) -> None:
    """
    Mount *operations* at *mountpoint* until the parent closes our input, or unmounts.

    *answer* gives the answer to a request, on a thread of its own.
    """
    os.umask(0)
    threading.Thread(target=_obey, args=(mountpoint, answer), daemon=True).start()
    _Strict(
        operations,
        mountpoint,
        foreground=True,
        nothreads=True,
        hard_remove=True,  # otherwise an unlinked file that is open gets a second name
        use_ino=True,
        **_UNCACHED,
    )


class _Strict(FUSE):  # type: ignore[misc]
    """FUSE that refuses the flags of renameat2, where mfusepy forgets them."""

    def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
        if flags:
            return -errno.EINVAL
        return int(super().rename_fuse_3(old, new, flags) or 0)


def _obey(mountpoint: str, answer: Callable[[Mapping[str, Any]], object]) -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
    # The parent is gone, or has unmounted us already.
    subprocess.run(["fusermount3", "-u", "-z", "-q", mountpoint], check=False)
