"""A compaction of `memory.db`: what tables tell of forgotten records, then free space, then log."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from clawstate.memory.backends.sqlite import forgetting, postings, word_index
from clawstate.memory.backends.sqlite.upkeep import size_on_disk
from clawstate.memory.forgetting import Compaction
from clawstate.sqlite import Part
from clawstate.sqlite.compaction import empty_log, rewrite
from clawstate.sqlite.free_space import is_overwritable, overwrite_free_space
from clawstate.sqlite.salvage import UPGRADED, kept_copies

_STEPS = 4
_LARGE = 128 << 20  # bytes of what is kept: while they are written anew others wait some 0.2 s
_LEAST = 2.0  # seconds


def compact(
    database: Part,
    *,
    patience: float,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Compaction:
    """
    Leave no byte of what was forgotten before; see `MemoryEngine.compact`.

    Each step is whole or not done at all, and what was done stays done: cut off anywhere, the next
    compaction does the rest, since the changes are noted as cleared in the end only.
    """

    def is_cancelled() -> bool:
        return cancelled is not None and cancelled()

    def tell(step: int) -> None:
        if progress is not None:
            progress(step, _STEPS)

    path = database.path
    before = size_on_disk(path)
    with database.reading() as connection:
        changes = forgetting.count_waiting(connection)

    def stopped_compaction(reason: str) -> Compaction:
        return Compaction(0, before, size_on_disk(path), complete=False, waits_for=reason)

    if is_cancelled():
        return stopped_compaction(_CANCELLED)
    if not _fold_words(database):
        return stopped_compaction("other programs, which write all the time")
    tell(1)
    _drop_traces(database)
    tell(2)
    if is_cancelled():
        return stopped_compaction(_CANCELLED)
    if _is_worth_it(database, changes) and not _clear_file(database, patience, is_cancelled):
        return stopped_compaction(_CANCELLED if is_cancelled() else "other programs that use it")
    tell(3)
    # The log may hold pages from before; it is emptied only when nobody reads those.
    if not empty_log(database, patience=patience):
        return stopped_compaction("a search of another program that has not ended")
    with database.writing() as connection:
        forgetting.note_compaction(connection, changes)
    tell(4)
    # Of all files only those hold what was forgotten after they were made.
    copies = kept_copies(path)
    reason = _name_copies(copies) if copies else None
    return Compaction(changes, before, size_on_disk(path), complete=not copies, waits_for=reason)


def _name_copies(copies: Sequence[Path]) -> str:
    folder = copies[0].parent
    if folder.name == UPGRADED:
        return f"you, to remove the copies from before an upgrade in {folder}"
    return f"you, to remove the damaged copies in {folder}"


_CANCELLED = "nothing but to be run again: it was cancelled"


def _fold_words(database: Part) -> bool:
    """Merge the words of what was forgotten out of the index; tell whether that was done."""
    for _ in range(5):
        with database.reading() as connection:
            fold = word_index.plan_fold(connection)
        if fold is None:
            return True
        with database.writing() as connection:
            if postings.SqlitePostings(connection).publish(fold):
                return True
    return False


def _is_worth_it(database: Part, changes: int) -> bool:
    # Writing all of a large memory anew takes seconds.
    with database.reading() as connection:
        return bool(changes or connection.pragma("freelist_count"))


def _clear_file(database: Part, patience: float, is_cancelled: Callable[[], bool]) -> bool:
    """Leave nothing of what was deleted in the file; tell whether that was done."""
    with database.reading() as connection:
        pages = connection.pragma("page_count")
        kept = (pages - connection.pragma("freelist_count")) * connection.pragma("page_size")
        is_possible = is_overwritable(connection)
    if not is_possible or kept <= _LARGE:
        end = time.monotonic() + patience
        if rewrite(database, patience=patience, cancelled=is_cancelled):
            return True
        patience = max(end - time.monotonic(), _LEAST)
    # Slices find room where others write all the time and a copy is made in vain.
    return is_possible and overwrite_free_space(
        database, _note_place, patience=patience, cancelled=is_cancelled
    )


def _note_place(connection: apsw.Connection, page: int) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('overwritten', ?)", (str(page),))


def _drop_traces(database: Part) -> None:
    while True:
        with database.writing() as connection:
            if not forgetting.drop_cached(connection):
                forgetting.drop_traces(connection)
                return
