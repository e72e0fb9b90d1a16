"""Small file systems of their own, which tests fill up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults import loop

KINDS = ("ext4 1024", "ext4 4096", "tmpfs")
MEGABYTES = 8


def run(*command: str) -> None:
    """Run *command*, or skip the test if it is refused."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]} is not possible here: {done.stderr.strip()}")


@contextmanager
def small_disk(kind: str, scratch: Path) -> Iterator[Path]:
    """Mount an empty file system of *kind* below *scratch*, and unmount it afterwards."""
    if (reason := loop.available()) is not None:
        pytest.skip(reason)
    place = scratch / "disk"
    place.mkdir()
    if kind == "tmpfs":
        run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place))
    else:
        image = scratch / "image"
        image.write_bytes(b"")
        os.truncate(image, MEGABYTES << 20)
        size = kind.split()[1]
        run("mkfs.ext4", "-q", "-m", "0", "-b", size, "-O", "^has_journal", str(image))
        run("mount", "-o", "loop", str(image), str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
