"""The `Manifest` of a vector snapshot: which graph file counts, and whether it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import zlib
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from clawstate.errors import CorruptError
from clawstate.files.ownership import give_to_owner

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator
    from io import BufferedRandom
    from pathlib import Path

MANIFEST_NAME = "manifest.json"
MANIFEST_TEMP_PREFIX = "manifest-"
MANIFEST_FORMAT = 1
MANIFEST_LIMIT = 65_536  # bytes; a longer one is none of ours

Stamp = tuple[int, int, int, int]
"""Which manifest lies on disk: its inode, size, mtime and ctime in nanoseconds."""


@dataclass(frozen=True, slots=True)
class IndexIdentity:
    """
    Whose vectors, and from which embedder: a snapshot is used only where all four agree.

    `database_id` names the database that the keys belong to, `scope` the namespace in it.
    """

    database_id: str
    scope: int
    model: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the one graph file of a directory is, and how to tell that it is whole."""

    identity: IndexIdentity
    upto: int
    count: int
    file: str
    size: int
    links_crc32: int
    sha256: str

    def encode(self) -> bytes:
        """Return the JSON text, with a checksum of itself."""
        body = {"format": MANIFEST_FORMAT, **asdict(self)}
        return json.dumps({"body": body, "sha256": _checksum(body)}, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> Manifest | None:
        """
        Return the manifest in *data*, or `None` when it is of another format.

        Raises `ValueError`, `KeyError` or `TypeError` for anything that `encode` did not return.
        """
        document = json.loads(data)
        body: dict[str, Any] = document["body"]
        if document["sha256"] != _checksum(body):
            raise ValueError("does not match its checksum")
        # Of another release: no damage, and not to be warned about. Searches are exact without it.
        if body.pop("format") != MANIFEST_FORMAT:
            return None
        return cls(identity=IndexIdentity(**body.pop("identity")), **body)


def snapshot_stamp(directory: Path) -> Stamp | None:
    """Return what changes whenever a snapshot is published, `None` while there is none."""
    try:
        return _stamp(os.stat(directory / MANIFEST_NAME))  # noqa: PTH116 - half the time of Path.stat
    except OSError:
        return None


def read_manifest(directory: Path) -> tuple[Manifest, Stamp] | None:
    """Return the manifest of *directory* if it has one; raises `CorruptError` if it is damaged."""
    path = directory / MANIFEST_NAME
    try:
        with path.open("rb") as file:
            stamp = _stamp(os.fstat(file.fileno()))
            manifest = Manifest.decode(file.read(MANIFEST_LIMIT))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CorruptError(str(path), f"cannot be used ({error})", "rebuild it") from error
    return None if manifest is None else (manifest, stamp)


def check_whole(directory: Path, manifest: Manifest) -> None:
    """Raise `CorruptError` unless every byte of the graph file is as it was published."""
    path = directory / manifest.file
    try:
        with path.open("rb") as file:
            found = whole_sha256(file)
    except OSError as error:
        raise CorruptError(str(path), f"cannot be read ({error})", "rebuild it") from error
    if found != manifest.sha256:
        raise CorruptError(str(path), "is not what was written", "rebuild it")


def whole_sha256(file: IO[bytes]) -> str:
    """Return the checksum of an open graph file, as hexadecimal digits."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def links_crc32(memory: mmap.mmap, *, count: int, dimensions: int) -> int:
    """
    Return the checksum of a mapped graph file without its vectors.

    The file is: two uint32 (rows, bytes a row), the float16 rows, header, levels and links.
    """
    # Opening must not read all vectors. A wrong one misplaces its record at worst, while a wrong
    # link leads a search outside of the file (decision 5).
    start = 8 + count * dimensions * 2
    with memoryview(memory) as whole, whole[start:] as links:
        return zlib.crc32(links, zlib.crc32(memory[:8]))


def publish_manifest(directory: Path, manifest: Manifest) -> None:
    """Make *manifest* the published one of *directory*, durably, in one step."""
    temporary = directory / f"{MANIFEST_TEMP_PREFIX}{secrets.token_hex(4)}.tmp"
    with new_file(temporary) as file:
        file.write(manifest.encode())
        file.flush()
        # Before the rename, or a power cut could leave the name with an empty file behind it.
        os.fsync(file.fileno())
        temporary.replace(directory / MANIFEST_NAME)
    sync_directory(directory)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BufferedRandom]:
    """Open a new private file, which is gone again if anything fails."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            give_to_owner(file.fileno(), path.parent)
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sync_directory(directory: Path) -> None:
    """Put the names in *directory* on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(status: os.stat_result) -> Stamp:
    # The inode alone does not do: file systems give a freed number out again at once.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _checksum(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
