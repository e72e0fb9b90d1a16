"""
Cut the power at any block that a file system wrote, and look at what is there afterwards.

A victim runs once on a real file system over a recorded disk. Then the disk is made again as a cut
at any position leaves it, the kernel mounts it with its journal's recovery, and a check reads it.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from clawstate.errors import UnavailableError
from faults import fuse, loop
from faults.block_log import BlockLog
from faults.victim import Victim

_T = TypeVar("_T")
_PROGRAMS = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
_IN_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class FileSystem:
    """A file system of the kernel: how it is made, and mounted."""

    kind: str
    make: tuple[str, ...]
    options: str
    size: int
    """In bytes."""


_EXT4 = (
    "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
)  # fmt: skip
EXT4 = FileSystem("ext4", _EXT4, "data=ordered", 16 << 20)
EXT4_UNHELPFUL = FileSystem("ext4", _EXT4, "data=ordered,noauto_da_alloc", 16 << 20)
"""Does not guess that a renamed or truncated file was meant to be synced, as others do not."""
XFS = FileSystem("xfs", ("mkfs.xfs", "-q", "-K", "-f", "--unsupported"), "nouuid", 64 << 20)


@dataclass(frozen=True)
class Cut:
    """A power cut before entry number *position*; *lose* seeds what of the unflushed is lost."""

    position: int
    lose: int | None = None


@cache
def available(fs: FileSystem = EXT4) -> str | None:
    """Return why power cuts on *fs* cannot be tried here, or `None` if they can."""
    if shutil.which(fs.make[0], path=_PROGRAMS) is None:
        return f"{fs.make[0]} is not installed"
    if fs.kind not in Path("/proc/filesystems").read_text(encoding="ascii").split():
        return f"this kernel has no {fs.kind}"
    return loop.available() or fuse.available()


def record(victim: Victim, *arguments: str, fs: FileSystem = EXT4) -> BlockLog:
    """
    Run *victim* on a new file system and return what the disk was told until it ended.

    Its first argument is the root of the file system, then come *arguments*. Raises
    `UnavailableError` if it fails.
    """
    with _scratch() as scratch:
        image, log, shown, root = (scratch / name for name in ("image", "log", "shown", "root"))
        for file, size in ((image, fs.size), (log, 0)):
            file.touch()
            os.truncate(file, size)
        for directory in (shown, root):
            directory.mkdir()
        files = map(str, (image, log, shown))
        with (
            fuse.serving("block_server.py", *files, mountpoint=shown) as disk,
            loop.attached(shown / "disk") as device,
        ):
            _make(fs, device)
            with loop.mounted(device, root, kind=fs.kind, options=fs.options):
                _run(victim, (root, *arguments), shown / "reports")
                entries = disk.ask()["entries"]
        return BlockLog(fs.size, BlockLog.load(log, size=fs.size).entries[:entries])


def cuts(log: BlockLog, count: int, *, seed: int) -> list[Cut]:
    """Return *count* cuts, spread over all positions: each second one loses unflushed writes."""
    chance = random.Random(seed)
    places = log.positions
    step = len(places) / count
    positions = [places[int((number + chance.random()) * step)] for number in range(count)]
    return [
        Cut(position, chance.randrange(1 << 30) if number % 2 else None)
        for number, position in enumerate(positions)
    ]


def replay(
    log: BlockLog,
    chosen: Sequence[Cut],
    check: Callable[[Path, tuple[str, ...]], _T],
    *,
    fs: FileSystem = EXT4,
    workers: int = 2,
) -> list[_T]:
    """
    Return what *check* says of each of the *chosen* cuts, in their order.

    It gets the root of the recovered file system and the lines that the victim had printed.
    """

    def checked(cut: Cut) -> _T:
        with recovered(log, cut, fs=fs) as root:
            return check(root, log.reported(cut.position))

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(checked, chosen))


@contextmanager
def recovered(log: BlockLog, cut: Cut, *, fs: FileSystem = EXT4) -> Iterator[Path]:
    """Give the root of the file system that is mounted after *cut*, until the block ends."""
    with _scratch() as scratch:
        root = scratch / "root"
        root.mkdir()
        image = log.cut(cut.position, scratch / "image", lose=cut.lose)
        with (
            loop.attached(image) as device,
            loop.mounted(device, root, kind=fs.kind, options=fs.options),
        ):
            yield root


@contextmanager
def _scratch() -> Iterator[Path]:
    place = str(_IN_MEMORY) if _IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="clawstate-power-", dir=place) as name:
        yield Path(name)


def _make(fs: FileSystem, device: Path) -> None:
    program = shutil.which(fs.make[0], path=_PROGRAMS) or fs.make[0]
    command = [program, *fs.make[1:], str(device)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise UnavailableError(fs.make[0], made.stderr.strip() or "failed")


def _run(victim: Victim, arguments: tuple[str | Path, ...], reports: Path) -> None:
    outcome = victim.run(*arguments, said=reports)
    if outcome.status != 0:
        raise UnavailableError("victim", f"failed on the recorded disk: {outcome.complaint}")
