"""`create`: a backup of a whole state as it was at one moment, made while others write."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeAlias, cast

from clawstate.backup.cipher import Encrypting
from clawstate.backup.container import Sink, Writer
from clawstate.backup.content import TABLE, VERSION, WORK, Content, Found, find_content
from clawstate.backup.databases import (
    OwnSnapshot,
    Snapshot,
    StandardSnapshot,
    facts_of_copy,
)
from clawstate.backup.manifest import NAME, ROOT, Backup, DatabaseFacts, Item, Manifest, Question
from clawstate.backup.members import Hashing, add_folder, add_link
from clawstate.backup.questions import ask_memory
from clawstate.backup.secret_rows import drop_secret_rows, hide_secrets
from clawstate.backup.server import STORE as SERVER_STORE
from clawstate.backup.server import forget_server, stage_server
from clawstate.backup.unpacking import require_replaceable
from clawstate.encryption.sources import new_source
from clawstate.errors import (
    InvalidError,
    NotFoundError,
    StateError,
    StateWarning,
    UnavailableError,
    silent,
)
from clawstate.files.atomic import make_private_dir
from clawstate.files.export_file import export_file
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.os_errors import os_errors
from clawstate.files.regular import open_regular
from clawstate.state import State, open_state
from clawstate.state.server_copies import ServerCopy
from clawstate.version import __version__

Tell: TypeAlias = Callable[[int, int, str], object]
"""Is told bytes done, bytes in all, and what is done."""

SAMPLES = 100
"""Rows that are read from the state itself, and compared with what was restored."""

_CHUNK = 1 << 20
_ANOTHER = LockOptions(timeout=0.5)
_MATRIX = "matrix/"
_TRIES = 3


def create(
    state: State,
    file: Path,
    *,
    secrets: bool = True,
    key: str | None = None,
    exclude: Sequence[str] = (),
    tell: Tell = lambda *_: None,
) -> Backup:
    """
    Write a backup of *state* to *file*, and return what it is; it is not verified yet.

    All parts of ours are as they were at one moment, which their writers wait for, a fraction of a
    second; databases of others are each of that moment as well. *file* is there whole, or not at
    all, and for nobody else to read. Without *secrets* credentials, keys, tokens, and all files
    that may hold some are left out. With *key* (`keyring`, `file`, `file:/path`, `passphrase`) it
    is encrypted. Raises `InvalidError`, `NotFoundError`, `UnavailableError`, `LockTimeoutError`,
    `CorruptError`. Source: decision 067.
    """
    root = state.paths.root
    _require_possible(state, file)
    with FileLock(root / "locks" / "backup", options=_ANOTHER):
        work = root / WORK
        shutil.rmtree(work, ignore_errors=True)  # what a kill left
        make_private_dir(work)
        try:
            return _Creating(state, file, work, secrets=secrets, tell=tell).run(key, exclude)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _require_possible(state: State, file: Path) -> None:
    root, place = state.paths.root, Path(os.path.realpath(file))
    if "://" in state.engine:
        make_private_dir(root)  # all that there is may lie on the server
    if not root.is_dir():
        raise NotFoundError("state directory", str(root), "there is nothing to back up")
    if place.is_relative_to(os.path.realpath(root)):
        hint = "name a file elsewhere, best on another disk"
        raise InvalidError(str(file), "lies inside of the state, and would be lost with it", hint)
    require_replaceable(place)


class _Creating:
    """One backup, put together in the directory *work*."""

    def __init__(self, state: State, file: Path, work: Path, *, secrets: bool, tell: Tell) -> None:
        self._state = state
        self._file = file
        self._work = work
        self._secrets = secrets
        self._tell = tell
        self._facts: dict[str, DatabaseFacts] = {}
        self._done = self._total = 0
        self._content = Content()
        self._server: ServerCopy | None = None

    def run(self, key: str | None, exclude: Sequence[str]) -> Backup:
        notes = self._state.backup_notes
        state_id = notes.state_id()  # before it is looked at what there is: it belongs to that
        self._content = find_content(self._state, secrets=self._secrets, exclude=exclude)
        self._total = sum(each.status.st_size for each in self._content.found)
        _require_room(self._work, self._staged_size())
        with ExitStack() as opened:
            created, snapshots = self._take(opened)
            self._copy_databases(snapshots)
            self._copy_server()
        self._mend_copy()
        questions = self._ask()
        manifest = Manifest(
            created=created,
            version=__version__,
            state=state_id,
            secrets=self._secrets,
            items=(),
            databases=self._facts,
            questions=questions,
            moved=tuple(self._content.moved),
        )
        label = {
            "created": created,
            "state": manifest.state,
            "version": __version__,
            "secrets": self._secrets,
        }
        with export_file(self._file) as out:
            digest = self._write(out, label, manifest, key)
        with suppress(OSError):
            _sync(self._file.parent)
        size = self._file.stat().st_size
        made = Backup(
            self._file, created, manifest.state, size, key is not None, self._secrets, digest
        )
        notes.note_created(made.path, created=created, digest=digest)
        return made

    def _staged_size(self) -> int:
        return sum(
            each.status.st_size
            for each in self._content.found
            if each.is_database or _is_frozen(each)
        )

    def _take(self, opened: ExitStack) -> tuple[float, list[tuple[Found, Snapshot]]]:
        """Take everything of ours at one moment, and begin to read all databases at that."""
        for left in reversed(range(_TRIES)):
            try:
                return self._state.records.pause_writers(lambda: self._freeze(opened))
            except FileNotFoundError:
                # What was there when it was looked for has gone: look again.
                if not left:
                    raise
                opened.close()
                self._content = find_content(self._state, secrets=self._secrets, exclude=())
        raise AssertionError("the last try returns or raises")

    def _freeze(self, opened: ExitStack) -> tuple[float, list[tuple[Found, Snapshot]]]:
        self._server = self._state.records.copy_server()
        if self._server is not None:
            opened.callback(self._server.close)
        snapshots: list[tuple[Found, Snapshot]] = []
        for each in self._content.found:
            if each.is_database:
                with suppress(NotFoundError):  # gone since
                    snapshot = _snapshot(each)
                    opened.callback(snapshot.close)
                    snapshots.append((each, snapshot))
        now = self._state.clock()
        # The newest version of a table first: what it names is there for as long as it is.
        frozen = [each for each in self._content.found if _is_frozen(each)]
        frozen.sort(key=lambda each: 0 if _is_version(each.place) else 1)
        for each in frozen:
            self._stage(each)
        return now, snapshots

    def _stage(self, found: Found) -> None:
        target = self._work / found.place
        make_private_dir(target.parent)
        if TABLE.fullmatch(found.place):
            with suppress(OSError):  # files of a table never change: one name more will do
                os.link(found.path, target)
                return
        with suppress(NotFoundError):
            _copy_file(found.path, target, found.status)

    def _copy_databases(self, snapshots: list[tuple[Found, Snapshot]]) -> None:
        for found, snapshot in snapshots:
            target = self._work / found.place
            make_private_dir(target.parent)
            before = self._done

            def tell(done: int, before: int = before, place: str = found.place) -> None:
                self._tell(before + done, self._total, place)

            is_ours = found.whose == "clawstate"
            facts = snapshot.facts(SAMPLES if is_ours else 0)
            snapshot.copy(target, tell)
            snapshot.close()
            if not self._secrets:
                drop_secret_rows(target)
                facts = DatabaseFacts({})
            copied = facts_of_copy(target, facts.samples)
            if not self._secrets:
                facts = replace(copied, samples=())
            self._facts[found.place] = replace(facts, problems=copied.problems)
            os.utime(target, ns=(found.status.st_mtime_ns, found.status.st_mtime_ns))
            self._done = before + found.status.st_size

    def _copy_server(self) -> None:
        if self._server is None:
            return
        found, facts = stage_server(
            self._server,
            self._work,
            samples=SAMPLES,
            secrets=self._secrets,
            tell=lambda what: self._tell(self._done, self._total, what),
        )
        self._server.close()
        # What lay at these places from before the records were on the server is not what counts.
        places = {each.place for each in found}
        kept = [each for each in self._content.found if each.place not in places]
        self._content.found = [*kept, *found]
        self._content.moved.append(SERVER_STORE)
        self._facts.update(facts)

    def _mend_copy(self) -> None:
        """Let the copy find its memory at the usual place, and show no secrets if so wished."""
        if not self._secrets:
            for each in self._content.found:
                if each.is_settings and (self._work / each.place).exists():
                    hide_secrets(self._work / each.place)
        if SERVER_STORE in self._content.moved:
            forget_server(self._work)
        if "memory.store.path" in self._content.moved:
            with silent(StateWarning), open_state(self._work) as copy:
                copy.config.unset("memory.store.path", force=True)

    def _ask(self) -> tuple[Question, ...]:
        with suppress(StateError), silent(StateWarning), open_state(self._work) as copy:
            return ask_memory(copy, self._facts)
        return ()

    def _write(
        self, out: IO[bytes], label: dict[str, object], manifest: Manifest, key: str | None
    ) -> str:
        encrypting: Encrypting | None = None
        sink: Sink = out
        if key is not None:
            name = f"backup-{manifest.state[:8]}"
            source, kek = new_source(key, name, state=self._state.paths.root, given=lambda: None)
            sink = encrypting = Encrypting(out, source, kek)
        writer = Writer(sink, label)
        with tarfile.open(
            mode="w|", fileobj=cast("IO[bytes]", writer), format=tarfile.PAX_FORMAT
        ) as tar:
            items = tuple(self._add_all(tar))
            whole = replace(
                manifest, items=items, left_out=dict(sorted(self._content.left_out.items()))
            )
            text = whole.text()
            head = tarfile.TarInfo(NAME)
            head.size, head.mode, head.mtime = len(text), 0o600, int(manifest.created)
            tar.addfile(head, io.BytesIO(text))
        digest = writer.seal()
        if encrypting is not None:
            encrypting.finish()
        return digest

    def _add_all(self, tar: tarfile.TarFile) -> Iterator[Item]:
        staged = {each.place: each for each in self._content.found}
        for folder, names, files in os.walk(self._work):
            names.sort()
            for name in sorted(files):
                path = Path(folder) / name
                place = path.relative_to(self._work).as_posix()
                found = staged.get(place)
                if found is None and not _is_made_here(place):
                    continue  # what opening the copy left beside its databases
                is_database = found is not None and found.is_database
                mode = stat.S_IMODE(found.status.st_mode) if found is not None else 0o600
                item = Item(place, "database" if is_database else "file", "clawstate", mode=mode)
                if found is not None:
                    item = replace(item, whose=found.whose)
                yield self._add_file(tar, path, item)
        for found in self._content.found:
            if found.is_folder:
                yield add_folder(tar, found)
            elif found.is_link:
                yield from add_link(tar, found, self._content.left_out)
            elif not (self._work / found.place).exists() and not found.is_database:
                if _is_frozen(found):
                    continue  # gone when writers stood still
                yield from self._add_live(tar, found)

    def _add_live(self, tar: tarfile.TarFile, found: Found) -> Iterator[Item]:
        """Add a file that others may be writing: as much as there was when it was opened."""
        copy = self._work / ".live"
        try:
            with os_errors(found.path, "was not read"):
                _copy_file(found.path, copy, found.status)
        except (NotFoundError, InvalidError, UnavailableError) as error:
            self._content.left_out[found.place] = str(error)
            return
        mode = stat.S_IMODE(found.status.st_mode)
        yield self._add_file(tar, copy, Item(found.place, "file", found.whose, mode=mode))
        copy.unlink()

    def _add_file(self, tar: tarfile.TarFile, path: Path, item: Item) -> Item:
        status = path.stat()
        head = tarfile.TarInfo(f"{ROOT}/{item.path}")
        head.size, head.mode, head.mtime = status.st_size, item.mode, int(status.st_mtime)
        with path.open("rb") as stream:
            hashing = Hashing(stream)
            tar.addfile(head, cast("IO[bytes]", hashing))
        if item.kind == "file":
            self._done += status.st_size
        self._tell(min(self._done, self._total), self._total, item.path)
        modified = status.st_mtime_ns // 1_000_000
        return replace(
            item, size=status.st_size, sha256=hashing.digest.hexdigest(), modified=modified
        )


def _snapshot(found: Found) -> Snapshot:
    if found.place.startswith(_MATRIX):
        return StandardSnapshot(found.path)
    return OwnSnapshot(found.path, foreign=found.whose != "clawstate")


def _is_frozen(found: Found) -> bool:
    """Tell whether *found* is copied while all writers stand still."""
    is_file = not (found.is_folder or found.is_link or found.is_database)
    return is_file and found.whose == "clawstate"


def _is_version(place: str) -> bool:
    inner = TABLE.fullmatch(place)
    return inner is not None and VERSION.fullmatch(inner["inner"]) is not None


def _is_made_here(place: str) -> bool:
    """Tell whether a change of the copied configuration made the file at *place*."""
    # A state whose engine an argument names, or the environment, may have had no configuration.
    is_settings = place in {"openclaw.json", "clawstate.json"}
    return is_settings or (place.startswith(".config-history/") and "/.locks/" not in place)


def _copy_file(path: Path, target: Path, status: os.stat_result) -> None:
    """Copy *path*, as long as it is now, to the new *target*, private from birth."""
    with open_regular(path) as number:
        size = os.fstat(number).st_size
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(target, flags, 0o600), "wb") as out:  # noqa: PTH123 - a descriptor
            while size > 0 and (data := os.read(number, min(size, _CHUNK))):
                out.write(data)
                size -= len(data)
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + (16 << 20):
        problem = f"a copy of {size >> 20:,} MB is made first, and {free >> 20:,} MB are free"
        raise UnavailableError(str(folder), problem, "free some space and repeat")


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
