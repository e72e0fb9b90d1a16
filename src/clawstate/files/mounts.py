"""
Which file system holds a path, and what may be trusted on it.

SQLite names the two things that many network file systems do not keep: locks that hold between
machines ("How To Corrupt An SQLite Database File", section 2.1), and memory shared between
processes, without which the write-ahead log cannot work ("Write-Ahead Logging", section 1).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

JournalMode = Literal["wal", "delete"]

UNKNOWN = "unknown"
"""The kind of a file system that this machine does not tell."""

_TABLE = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(r"\\([0-7]{3})")
# FUSE on a disk of this machine, as for NTFS: its source is a device and never a server.
_DEVICE_FUSE = "fuseblk"

# Served by another machine, or by the host of this one.
_NETWORK_KINDS = frozenset({
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "fakeowner", "fhgfs",
    "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "panfs", "prl_fs", "pvfs2",
    "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "wekafs",
})  # fmt: skip
_NETWORK_FUSE = frozenset({
    "blobfuse", "blobfuse2", "ceph-fuse", "cephfs", "curlftpfs", "davfs", "gcsfuse", "glusterfs",
    "goofys", "grpcfuse", "gvfsd-fuse", "hdfs", "httpfs", "juicefs", "lizardfs", "mfs", "mount-s3",
    "mountpoint-s3", "onedriver", "osxfs", "rclone", "s3fs", "saunafs", "seaweedfs", "smbnetfs",
    "sshfs", "vmhgfs-fuse",
})  # fmt: skip
# A server before the path, or an address: `user@host:/x`, `remote:`, `//host/x`, `https://host`.
_REMOTE_SOURCE = re.compile(r"//|[A-Za-z][A-Za-z0-9+.-]*://|[^/\s]+:(/|$)")


@dataclass(frozen=True)
class Mount:
    """
    A mounted file system; its *kind* is the kernel's name for it, such as `ext4` or `nfs4`.

    *network* says that another machine, or the host of a virtual one, keeps the files.
    """

    kind: str
    mount_point: Path
    source: str | None = None
    read_only: bool = False
    network: bool = False
    fuse: bool = False


@dataclass(frozen=True)
class MountEntry:
    """A line of the mount table: a mount, its id, and that of the mount below it."""

    mount: Mount
    number: int
    parent: int


def mount_of(path: Path, *, table: Path = _TABLE) -> Mount:
    """
    Return the mount that holds *path*, or would hold it once it exists; links are followed.

    Where the system has no *table* in the form of Linux (proc_pid_mountinfo(5)), the kind is
    `UNKNOWN`, which is never a network.
    """
    # Asked for first: looking at a path may mount it.
    real = Path(os.path.realpath(path))
    try:
        text = os.fsdecode(table.read_bytes())
    except OSError:
        text = ""
    return holder_of(real, parse_mounts(text)) or Mount(UNKNOWN, Path(real.anchor))


def parse_mounts(text: str) -> tuple[MountEntry, ...]:
    """
    Return the entries of a mount table, in its order.

    Lines of another form than that of proc_pid_mountinfo(5) are passed over.
    """
    entries = (_entry(line.split(" ")) for line in text.split("\n"))
    return tuple(entry for entry in entries if entry is not None)


def holder_of(path: Path, entries: Iterable[MountEntry]) -> Mount | None:
    """
    Return the mount that one of *entries* puts at the absolute *path*, or `None`.

    The way is the kernel's, from mount to mount along the path: what was mounted over a whole
    directory hides the older mounts inside, and the last of several on one place counts.
    """
    table = tuple(entries)
    numbers = {each.number for each in table}
    above = [each for each in table if _covers(each, path)]
    holder: MountEntry | None = None
    while True:
        under = [each for each in above if _lies_on(each, holder, numbers)]
        if not under:
            return None if holder is None else holder.mount
        # The shortest is met first; of equal ones, the last. Each step leaves some behind.
        holder = min(reversed(under), key=_length)
        above.remove(holder)


def mounts_below(root: Path, *, table: Path = _TABLE) -> tuple[Path, ...]:
    """Return the places below *root*, files or directories, that are mounts of their own."""
    real = Path(os.path.realpath(root))
    try:
        text = os.fsdecode(table.read_bytes())
    except OSError:
        return ()
    places = {each.mount.mount_point for each in parse_mounts(text)}
    return tuple(sorted(each for each in places if each != real and each.is_relative_to(real)))


def journal_mode(mount: Mount) -> JournalMode:
    """Return the journal that SQLite can keep on *mount*: `delete` is the rollback journal."""
    return "delete" if mount.network else "wal"


def warning_for(path: Path, *, table: Path = _TABLE) -> str | None:
    """Return what is to be said about keeping state at *path*, or `None` if nothing is."""
    mount = mount_of(path, table=table)
    if not mount.network:
        return None
    return (
        f"{path} lies on a network or shared file system ({mount.kind}), where locks may not hold"
        " and caches may be stale, so that two writers can damage the state, and where SQLite's"
        " write-ahead log cannot work; keep the state on a local disk"
    )


def _entry(fields: list[str]) -> MountEntry | None:
    # Between the options and the dash stand any number of tags.
    if "-" not in fields[6:]:
        return None
    dash = fields.index("-", 6)
    if len(fields) < dash + 4 or not (fields[0].isdecimal() and fields[1].isdecimal()):
        return None
    kind, source, super_options = map(_plain, fields[dash + 1 : dash + 4])
    options = {*fields[5].split(","), *super_options.split(",")}
    mount = Mount(
        kind,
        Path(_plain(fields[4])),
        None if source in {"", "none"} else source,
        read_only="ro" in options,
        network=_is_network(kind, source),
        fuse=_is_fuse(kind),
    )
    return MountEntry(mount, int(fields[0]), int(fields[1]))


def _plain(field: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), field)


def _is_fuse(kind: str) -> bool:
    return kind in {"fuse", _DEVICE_FUSE} or kind.startswith("fuse.")


def _is_network(kind: str, source: str) -> bool:
    if not _is_fuse(kind):
        return kind in _NETWORK_KINDS
    name = kind.removeprefix("fuse.")
    if name in _NETWORK_FUSE:
        return True
    # A program may name itself as it likes, or not at all.
    return kind != _DEVICE_FUSE and bool(_REMOTE_SOURCE.match(source))


def _covers(entry: MountEntry, path: Path) -> bool:
    return path.is_relative_to(entry.mount.mount_point)


def _lies_on(entry: MountEntry, holder: MountEntry | None, numbers: set[int]) -> bool:
    if holder is not None:
        return entry.parent == holder.number
    # The first of all has a parent that is out of sight, or is its own.
    return entry.parent not in numbers or entry.parent == entry.number


def _length(entry: MountEntry) -> int:
    return len(PurePosixPath(entry.mount.mount_point).parts)
