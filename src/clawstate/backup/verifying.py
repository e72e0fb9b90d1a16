"""`verify`: a backup is restored into a scratch directory, and asked what its state was asked."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clawstate.backup.databases import facts_of_copy
from clawstate.backup.manifest import DatabaseFacts, Manifest
from clawstate.backup.questions import answer_of
from clawstate.backup.unpacking import Tell, Unpacked, unpack
from clawstate.doctor import examine
from clawstate.errors import CorruptError, StateError, StateWarning, silent
from clawstate.memory.contract import DAMAGE
from clawstate.quantities import number_of
from clawstate.state import open_state
from clawstate.stores.transcripts.turns import DAMAGE as TRANSCRIPT_DAMAGE

_SCRATCH = "clawstate-verify-"
_OWN = re.compile(rf"{_SCRATCH}(\d+)-.*")
_DAMAGES = {DAMAGE, TRANSCRIPT_DAMAGE, "corrupt", "damaged"}


@dataclass(frozen=True, slots=True)
class Verification:
    """
    What was proven of a backup: files, bytes and rows counted, reads and searches repeated.

    *damaged* is what was wrong with the state already when it was backed up.
    """

    path: Path
    created: float
    digest: str
    files: int
    size: int
    rows: int
    reads: int
    searches: int
    damaged: tuple[str, ...] = ()


def verify(
    file: Path, *, scratch: Path | None = None, tell: Tell = lambda *_: None
) -> Verification:
    """
    Restore *file* into a directory below *scratch*, ask it, remove that again, and say what holds.

    Every byte is compared with its digest, every database with the rows that it had and with
    samples that were read from the state itself; SQLite and `doctor` look at all of it, and the
    memory is asked the same questions. Raises `CorruptError` for the first thing that does not
    hold, and what reading a backup raises. By default *scratch* is the system's directory for
    temporary files, of which `TMPDIR` names another.
    """
    parent = Path(tempfile.gettempdir()) if scratch is None else scratch
    _sweep(parent)
    # Whose it is stands in its name: what a kill left is known by that.
    folder = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-", dir=parent))
    try:
        unpacked = unpack(file, folder / "state", tell=tell)
        return _ask(file, folder / "state", unpacked)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ask(file: Path, root: Path, unpacked: Unpacked) -> Verification:
    manifest = unpacked.manifest
    damaged = [
        f"{path}: {each}" for path, one in manifest.databases.items() for each in one.problems
    ]
    rows = reads = 0
    for place, facts in manifest.databases.items():
        count, number = _compare(file, root / place, place, facts)
        rows, reads = rows + count, reads + number
    searches = _examine(file, root, manifest, damaged)
    return Verification(
        file,
        manifest.created,
        unpacked.digest,
        sum(each.kind in {"file", "database"} for each in manifest.items),
        manifest.size,
        rows,
        reads,
        searches,
        tuple(damaged),
    )


def _compare(file: Path, path: Path, place: str, facts: DatabaseFacts) -> tuple[int, int]:
    found = facts_of_copy(path, facts.samples)
    if facts.problems or not facts.rows:
        return 0, 0
    if found.problems:
        raise _mismatch(file, f"{place}: {found.problems[0]}")
    for table, count in facts.rows.items():
        if found.rows.get(table) != count:
            there = number_of(found.rows.get(table, 0), "row")
            told = f"{place} has {there} in {table}, and had {number_of(count, 'row')}"
            raise _mismatch(file, told)
    for before, now in zip(facts.samples, found.samples, strict=True):
        if before != now:
            raise _mismatch(file, f"{place} answers otherwise for {before.table} {before.key}")
    return sum(facts.rows.values()), len(facts.samples)


def _examine(file: Path, root: Path, manifest: Manifest, damaged: list[str]) -> int:
    with silent(StateWarning), open_state(root) as state:
        for each in manifest.questions:
            found = answer_of(state, each.query, each.namespace)
            if found != each.answer:
                told = f"the {each.part} answers a search of {len(each.query)} letters otherwise"
                raise _mismatch(file, told)
        if not damaged:
            for finding in examine(state, deep=True):
                if finding.code in _DAMAGES and finding.severity == "error":
                    raise _mismatch(file, f"doctor: {finding.message}")
    return len(manifest.questions)


def _mismatch(file: Path, problem: str) -> CorruptError:
    return CorruptError(str(file), f"the restored state is not the one that was: {problem}", _HINT)


_HINT = "take an older backup, and make a new one"


def _sweep(parent: Path) -> None:
    """Remove what verifications left that were killed."""
    for path in _left(parent):
        shutil.rmtree(path, ignore_errors=True)


def _left(parent: Path) -> Iterator[Path]:
    with suppress(OSError, StateError):
        for path in parent.iterdir():
            match = _OWN.fullmatch(path.name)
            if (
                match
                and not Path(f"/proc/{match[1]}").exists()
                and path.stat().st_uid == os.getuid()
            ):
                yield path
