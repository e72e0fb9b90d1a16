"""
Bringing files into a memory, so that the memory follows them.

What a file says twice unchanged is written once. A file's fingerprint is noted after its last
passage, so an import that was cut off is read again and adds only what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import cast

from clawstate.arguments import is_utf8
from clawstate.errors import NotFoundError, UnavailableError
from clawstate.importers.discover import Found, Kind, detect, discover, problem_of, read_passages
from clawstate.importers.dry_run import Unwritten
from clawstate.importers.json_values import has_half_pair
from clawstate.importers.lines import hold_bytes, open_regular, report_bytes, unreadable
from clawstate.importers.moves import Sources
from clawstate.importers.passages import Problem
from clawstate.importers.reading import Reading
from clawstate.importers.report import Report
from clawstate.importers.writing import Writer
from clawstate.memory.file_conflicts import FileConflict
from clawstate.memory.service import Memory
from clawstate.quantities import number_of
from clawstate.records.contract import Lease

# Moves when passages are cut otherwise, so that unchanged files are read again: of all kinds, and
# of those that changed on their own.
_READER = "2"
_READERS = {Kind.CHAT_EXPORT: "3"}
_BLOCK = 1 << 20
_STEP = 1 << 20  # bytes between two looks at the progress of a file
_PASSES = 2

Progress = Callable[[int, int, str], None]
"""Is told how many bytes of how many are done, and the file at hand."""


def import_paths(
    memory: Memory,
    paths: Sequence[Path],
    *,
    namespace: str = "default",
    tags: Sequence[str] = (),
    kind: Kind | None = None,
    progress: Progress | None = None,
    emptied: bool = False,
    forgotten: bool = False,
    exclude: Sequence[str] = (),
    dry_run: bool = False,
) -> Report:
    """
    Import the files that *paths* name or hold into *namespace*, each record with *tags*.

    Files that are as they were are skipped, records of passages that vanished are removed, also
    those of files that vanished from an imported folder; one that holds none any more is refused
    unless it was *emptied*. A file that moved is known again, and one that is a copy of an imported
    one of its name is left out. What somebody changed stays until the file says something else, and
    then beside it; what somebody forgot stays so, unless *forgotten* is to be taken in again.
    What *exclude* names in folders is left out, in the patterns of gitignore. A *dry_run* tells
    what would be, and writes nothing. Imports into one namespace wait for each other. Raises
    `NotFoundError` for a path that does not exist, `LockTimeoutError` and `LeaseLostError` if
    another import is at work; everything else that is wrong with a file is a problem in the report.
    """
    # A source is known by its path, so each way of naming it must give the same one.
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - without "..", links kept
    passed_over: Counter[str] = Counter()
    _require_present(memory, absolute, namespace=namespace, dry_run=dry_run)
    # Before anything is written: a path may not exist.
    found = list(discover(absolute, exclude=exclude, passed_over=passed_over))
    if dry_run:
        memory = cast("Memory", Unwritten(memory))
    with memory.imports.alone(namespace) as lease:
        importer = _Importer(
            memory,
            lease,
            namespace=namespace,
            tags=tuple(tags),
            kind=kind,
            forgotten=forgotten,
        )
        importer.take_all(found, progress)
        importer.sweep(absolute, {each.path for each in found if isinstance(each, Found)}, emptied)
    importer.report.passed_over = passed_over
    return importer.report


def _require_present(
    memory: Memory, paths: Sequence[Path], *, namespace: str, dry_run: bool
) -> None:
    """Raise `NotFoundError` for a file that was imported and is gone, and note that it is."""
    # A name that UTF-8 cannot hold was never noted as the source of anything.
    gone = [each for each in map(str, paths) if is_utf8(each) and not _exists(Path(each))]
    if not gone:
        return
    known = memory.imports.look(gone, namespace=namespace)
    lost = [each for each in gone if memory.get_many(sorted(known[each].known))]
    if lost and not dry_run:
        memory.imports.conflicts.put(FileConflict("gone", "", each, namespace) for each in lost)
    if lost:
        hint = "'clawstate memory conflicts' says how to keep or forget what it gave"
        raise NotFoundError("file", lost[0], hint)


class _Importer:
    def __init__(
        self,
        memory: Memory,
        lease: Lease,
        *,
        namespace: str,
        tags: tuple[str, ...],
        kind: Kind | None,
        forgotten: bool,
    ) -> None:
        self.report = Report()
        self._memory = memory
        self._lease = lease
        self._namespace = namespace
        self._tags = tags
        self._kind = kind
        self._sources = Sources(memory, namespace)
        self._writer = Writer(
            memory,
            lease,
            self.report,
            namespace=namespace,
            tags=tags,
            sources=self._sources.ever,
            forgotten=forgotten,
        )

    def take_all(self, found: Sequence[Found | Problem], progress: Progress | None) -> None:
        """Bring what the files that were *found* say into the memory."""
        files = [each for each in found if isinstance(each, Found)]
        for each in found:
            if isinstance(each, Problem):
                self.report.fail(each)
        # Of all files before the first, so that progress can tell how far it is.
        sizes = [_size(each.path) for each in files]
        meter = _Meter(self._lease, progress, sum(sizes))
        with report_bytes(meter.read):
            for file, size in zip(files, sizes, strict=True):
                meter.begin(file.path.name, size)
                self.take(file.path, file.root)
        self._writer.write()
        meter.end()

    def take(self, path: Path, root: Path) -> None:
        """Bring what *path* says into the memory, and out of it what it says no more."""
        if has_half_pair(str(path)):
            self.report.fail(Problem(path, None, "has a name that is not UTF-8; rename it"))
            return
        try:
            digest, data = _digest(path)
            with hold_bytes(path, data) if data is not None else nullcontext():
                self._take(path, root, digest)
        except UnavailableError as error:
            self.report.fail(problem_of(path, error))

    def _take(self, path: Path, root: Path, digest: str) -> None:
        kind = self._kind or detect(path)
        self.report.files += 1
        named = self._sources.name(path, kind, digest, root=root)
        if named.original is not None:
            self.report.copies += 1
            return
        # All that decides what records come out: other tags are another import of the same bytes.
        fingerprint = json.dumps(
            [_READERS.get(kind, _READER), kind.value, digest, sorted(self._tags)]
        )
        # By content and not by time: a restored or copied file looks new, and one that was edited
        # quickly looks old (decision 007).
        if self._sources.marks.get(named.source) == fingerprint:
            self.report.skipped += 1
            return
        self.report.moved += named.former is not None
        self._sources.take(named, fingerprint)
        reading = Reading(path, named, kind, fingerprint)
        self._writer.take(reading, read_passages(path, kind=kind))

    def sweep(self, paths: Iterable[Path], found: set[Path], emptied: bool) -> None:  # noqa: FBT001
        """Forget the files that were imported from below *paths* and are gone."""
        folders = [path for path in paths if path.is_dir()]
        # Also sources without a fingerprint: a file may vanish after its import was cut off.
        noted = {Path(source) for source in self._memory.imports.sources(self._namespace)}
        for folder in folders:
            # Only below folders that were named and are there: a missing one says nothing of its
            # files.
            gone = [each for each in noted if each.is_relative_to(folder) and not _exists(each)]
            if gone and not emptied and not any(each.is_relative_to(folder) for each in found):
                message = (
                    f"gave {number_of(len(gone), 'file')} before and holds none now; if its disk"
                    " is mounted and they are gone for good, import it with --emptied"
                )
                self.report.fail(Problem(folder, None, message))
                continue
            for each in sorted(gone):
                self._writer.forget(str(each))
                noted.discard(each)


class _Meter:
    """
    Tells *progress* how far reading is, of *total* bytes.

    The lease is held meanwhile: a large file may be read for longer than it lasts.
    """

    def __init__(self, lease: Lease, progress: Progress | None, total: int) -> None:
        self._lease, self._progress, self._total = lease, progress, total
        self._name = ""
        self._done = self._size = self._read = self._looked_at = 0

    def begin(self, name: str, size: int) -> None:
        """Take note that the next file is *name*, of so many bytes."""
        self._done += self._size
        self._name, self._size = name, size
        self._read = self._looked_at = 0
        if self._progress is not None:
            self._progress(self._done, self._total, name)

    def read(self, count: int) -> None:
        """Take note that so many bytes more were read."""
        self._read += count
        if self._read - self._looked_at < _STEP:
            return
        self._looked_at = self._read
        self._lease.keep_alive()
        if self._progress is not None:
            # A large file is read for its fingerprint, and again for its passages.
            at = min(self._size, self._read // _PASSES)
            self._progress(self._done + at, self._total, self._name)

    def end(self) -> None:
        """Take note that all files were read and written."""
        if self._progress is not None:
            self._progress(self._total, self._total, "")


def _digest(path: Path) -> tuple[str, bytes | None]:
    """Return the digest of the bytes of *path*, and these if they are few."""
    digest = hashlib.blake2b(digest_size=16)
    with open_regular(path) as stream:
        try:
            first = stream.read(_BLOCK)
            digest.update(first)
            if len(first) < _BLOCK:
                return digest.hexdigest(), first
            while block := stream.read(_BLOCK):
                digest.update(block)
        except OSError as error:
            raise unreadable(path, error) from error
    return digest.hexdigest(), None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    # It may be there, behind a folder that may not be entered: nothing is removed on a guess.
    except OSError:
        return True
    return True
