"""`index_on`: the sessions of one index on an engine of records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from clawstate.clock import Clock, system_clock
from clawstate.files.lock_options import PATIENT, LockOptions
from clawstate.records.contract import Backend, Capability, CollectionSpec, FileForm
from clawstate.records.layouts import MapLayout
from clawstate.stores.sessions.archive import Archive
from clawstate.stores.sessions.file_sync import FileSync, NoFileSync, ProfileSync
from clawstate.stores.sessions.index import Index
from clawstate.stores.sessions.index_format import (
    PROFILES,
    OpenClawFormat,
    SpecifiedFormat,
    form_of,
)
from clawstate.stores.sessions.indexed import IndexedSessions
from clawstate.stores.sessions.maintenance import RemovalHook
from clawstate.stores.sessions.past import SessionPast, spec_of
from clawstate.stores.sessions.profile_files import ProfileFiles
from clawstate.stores.sessions.selection import MaintenanceSettings
from clawstate.stores.sessions.transcript_sync import TranscriptSync


def index_on(
    backend: Backend,
    root: Path,
    path: PurePosixPath,
    *,
    settings: Callable[[], MaintenanceSettings] = MaintenanceSettings,
    clock: Clock = system_clock,
    lock: LockOptions = PATIENT,
    on_removed: RemovalHook = lambda _ids: None,
    keep_past: Callable[[], float] = lambda: 0.0,
) -> IndexedSessions:
    """
    Return the sessions in the index that is *path* below *root*, on *backend*.

    On an engine of files each session has its profile beside the index, or its transcript where
    OpenClaw keeps the index itself. *lock* is for the profiles, *on_removed* as in
    `IndexedSessions`. What entries were is kept for *keep_past* seconds.
    """
    has_files = Capability.FILES in backend.capabilities
    # Only files are shared with OpenClaw; rows have the specification's form wherever they lie.
    form = form_of(root / path) if has_files else SpecifiedFormat()
    # Without a line end, as OpenClaw writes the file.
    file = FileForm(newline=False)
    spec = CollectionSpec("sessions", path, MapLayout(), order="updatedAt", file=file)
    # A place that no release of OpenClaw touches (decision 27).
    aside = path.parent / "archive" / path.name
    kept = CollectionSpec("session-archive", aside, MapLayout(), order="archivedAt")
    index = Index(backend.collection(spec), form)
    archive = Archive(backend.collection(kept), clock=clock)
    file_sync: FileSync = NoFileSync()
    if has_files and isinstance(form, SpecifiedFormat):
        files = ProfileFiles(root / path.parent / PROFILES, lock=lock)
        file_sync = ProfileSync(files, index, archive)
    elif isinstance(form, OpenClawFormat):
        file_sync = TranscriptSync(form.folder, index, clock=clock)
    past = SessionPast(
        lambda slot: backend.collection(spec_of(path, slot)), clock=clock, keep_for=keep_past
    )
    return IndexedSessions(
        index, archive, file_sync, settings=settings, clock=clock, on_removed=on_removed, past=past
    )
