"""
A JSON document in a file: read again only when it changed, written whole, never guessed at.

What cannot be read is never overwritten. Readers go on with the last good state and a warning
(decision 10); `repair` moves the damaged file into quarantine and restores that state.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clawstate.clock import is_moment, to_iso
from clawstate.errors import (
    CorruptError,
    CorruptWarning,
    InvalidError,
    NotFoundError,
    StateError,
    VersionError,
    warn,
)
from clawstate.files.atomic import make_private_dir, sweep_temporaries, write_atomic
from clawstate.files.file_version import FileVersion, read_versioned, version_of
from clawstate.files.json_text import (
    Texts,
    dump_pretty,
    dump_pretty_again,
    parse_json_file,
    wide_encoding,
)
from clawstate.files.os_errors import os_errors
from clawstate.files.place import disk_of, require_disk
from clawstate.json5.parse import parse_json5
from clawstate.paging import Position
from clawstate.quantities import number_of
from clawstate.records.contract import CollectionSpec, Json, Revision, Versioned
from clawstate.records.last_good import copied_at, keep_copy, read_copy
from clawstate.records.rules import is_key, position_of

_QUARANTINE = ".quarantine"
_REREADS = 8  # of a file that somebody may be writing in place just now
_REREAD_PAUSE = 0.01
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP})
_JUST_NOW = 1_000_000_000  # nanoseconds

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    A document as it was read; shared, and never changed.

    *records* are all members that the layout sees, those with unusable keys included.
    """

    stamp: FileVersion | None
    settled: bool
    raw: bytes = field(repr=False)
    document: Json | None = field(repr=False)
    records: Mapping[str, Json] = field(repr=False)
    _texts: dict[str, tuple[str, Revision]] = field(default_factory=dict, repr=False)
    _ordered: list[Position] = field(default_factory=list, repr=False)
    token: object = field(default_factory=object, repr=False, compare=False)
    """The same for all snapshots of the same content."""

    def get(self, key: str) -> Versioned | None:
        """Return the record of *key*, as a copy."""
        if key not in self.records:
            return None
        text, revision = self._text(key)
        return Versioned(key, json.loads(text), revision)

    def revision(self, key: str) -> Revision | None:
        """Return the revision of the record of *key*, or `None`."""
        return self._text(key)[1] if key in self.records else None

    def keys(self) -> list[str]:
        """Return the keys that records can have, in the order of the document."""
        return [key for key in self.records if is_key(key)]

    def order_by(self, spec: CollectionSpec) -> list[Position]:
        """Return the positions of the records by `spec.order`, the greatest number first."""
        if not self._ordered:
            # Sorted once for each state of the document: the next pages only look up.
            places = (position_of(spec, key, self.records[key]) for key in self.keys())
            self._ordered.extend(sorted(places))
        return self._ordered

    def _text(self, key: str) -> tuple[str, Revision]:
        if (known := self._texts.get(key)) is None:
            text = _compact(self.records[key])
            known = self._texts[key] = text, _digest(text)
        return known


EMPTY = Snapshot(stamp=None, settled=True, raw=b"", document=None, records={})


class DocumentFile:
    """The file of one spec below the directory *root*. Safe for threads."""

    def __init__(self, root: Path, spec: CollectionSpec) -> None:
        self.path = root / spec.path
        self._spec = spec
        # The state directory itself may be a link; what lies below it is ours alone. As texts, and
        # made once: they are on the way of every change.
        self._folders = tuple(str(root / each) for each in spec.path.parents if each.name)
        self._now = EMPTY
        self._good: Snapshot | None = None
        self._texts: Texts = {}
        self._disk: int | None = None

    def read(self) -> Snapshot:
        """
        Return the document, for reading: its last good state, with a warning, if it is damaged.

        Raises `VersionError`, `InvalidError`, `UnavailableError`.
        """
        try:
            return self.require()
        except VersionError:
            raise
        except CorruptError as damage:
            return self._last_good(damage)

    def require(self) -> Snapshot:
        """Return the document as it is; raises `CorruptError` and what `read` raises."""
        stamp = version_of(self.path)
        now = self._now
        if stamp is None:
            self.require_real_folders()  # behind a link to nothing there may be records
            require_disk(self.path.parent, self._disk)
            self._now = EMPTY
            return EMPTY
        if now.stamp == stamp and now.settled:
            return now
        # Another program may write the file in place: half of it is no damage yet.
        for attempt in range(_REREADS):
            try:
                return self._read()
            except NotFoundError:
                return EMPTY
            except CorruptError:
                if attempt == _REREADS - 1 or not _is_fresh(self.path):
                    raise
                time.sleep(_REREAD_PAUSE)
        raise AssertionError

    def write(
        self,
        before: Snapshot,
        records: Mapping[str, Json],
        *,
        fence: Callable[[], object],
        release: Callable[[], object],
    ) -> None:
        """
        Put *records* in the place of those of *before*, durably, unless that changes nothing.

        For the holder of the lock, who may *release* it before the write is durable; see
        `write_atomic`. Raises what *fence* and `write_atomic` raise, and `InvalidError`
        for what the layout cannot hold.
        """
        document = self._spec.layout.encode(before.document, records)
        text, texts = dump_pretty_again(document, self._texts)
        raw = f"{text}\n".encode() if self._spec.file.newline else text.encode()
        if raw == before.raw and before.stamp is not None:
            return
        if len(raw) > self._spec.file.max_bytes:
            problem = (
                f"would be {number_of(len(raw), 'byte')}, more than {self._spec.file.max_bytes:,}"
            )
            raise InvalidError(str(self.path), problem, "remove what is not needed")

        def replace_copy() -> None:
            keep_copy(self.path, raw)
            release()

        try:
            write_atomic(
                self.path, raw, mode=self._spec.file.mode, fence=fence, replaced=replace_copy
            )
        except BaseException:
            self._now = EMPTY
            raise
        self._texts = texts
        stamp = None
        with contextlib.suppress(StateError):  # it is written, whatever became of it since
            stamp = version_of(self.path)
        # Not settled: whoever reads next looks once more.
        self._good = self._now = self._snapshot(stamp, raw, document, settled=False)

    def require_real_folders(self) -> None:
        """Raise `InvalidError` if a directory between the state and the file is a link."""
        for place in self._folders:
            if _is_link(place):
                raise InvalidError(place, "is a link", "put a real directory in its place")

    def damage(self) -> CorruptError | None:
        """Return why the document cannot be read, or `None`."""
        try:
            self.require()
        except CorruptError as damage:
            return damage
        return None

    def is_readable_otherwise(self) -> bool:
        """Tell whether a document that cannot be read is whole: JSON5, or in another encoding."""
        with contextlib.suppress(StateError):
            return self._read_otherwise() is not None
        return False

    def repair(self, *, fence: Callable[[], object]) -> Path | None:
        """
        Move a damaged document into quarantine and restore its last good state, if there is one.

        One that is whole, but JSON5 or in another encoding, is written again as JSON instead: what
        is newer does not give way to what is older. For the holder of the lock. Returns where the
        damaged file lies now, or `None` if nothing is wrong. A kill at any point leaves the damaged
        file or the restored one in its place.
        """
        damage = self.damage()
        if damage is None or isinstance(damage, VersionError):
            return None
        aside = self._quarantine()
        good = self._read_otherwise() or self._last_good(damage, is_told=False)
        if good.stamp is None and not good.raw:
            fence()
            with os_errors(self.path, "was not moved away"):
                self.path.unlink()
        else:
            write_atomic(self.path, good.raw, mode=self._spec.file.mode, fence=fence)
        self._now = EMPTY
        return aside

    def _read(self) -> Snapshot:
        self.require_real_folders()
        self._disk = disk_of(self.path.parent)
        raw, stamp, settled = read_versioned(self.path, limit=self._spec.file.max_bytes)
        if raw == self._now.raw and self._now.stamp is not None:
            found = self._now
            snapshot = Snapshot(
                stamp,
                settled,
                raw,
                found.document,
                found.records,
                found._texts,  # noqa: SLF001
                found._ordered,  # noqa: SLF001
                found.token,
            )
        else:
            document = parse_json_file(raw, path=self.path)
            snapshot = self._snapshot(stamp, raw, document, settled=settled)
        self._good = self._now = snapshot
        return snapshot

    def _snapshot(
        self, stamp: FileVersion | None, raw: bytes, document: Json, *, settled: bool
    ) -> Snapshot:
        if document is None:
            raise CorruptError(str(self.path), "holds null", "restore it, or move it away")
        try:
            records = self._spec.layout.decode(document)
        except VersionError as error:
            raise VersionError(str(self.path), error.found, error.supported) from error
        except InvalidError as error:
            raise CorruptError(str(self.path), error.problem) from error
        return Snapshot(stamp, settled, raw, document, records)

    def _last_good(self, damage: CorruptError, *, is_told: bool = True) -> Snapshot:
        good, what = self._good, "the state that was read before"
        if good is None or good.stamp is None or good.stamp.modified < copied_at(self.path):
            # Somebody may have changed the document after it was read here, before it was damaged.
            kept = self._read_copy()
            good, what = (good, what) if kept is None else (kept, "the last good copy")
        if good is None:
            good, what = EMPTY, "nothing"
        if is_told:
            hint = "run 'clawstate doctor --fix'"
            message = f"{damage.path}: {damage.problem}; going on with {what}, {hint}"
            warn(CorruptWarning(message), stacklevel=6)
        return good

    def _read_copy(self) -> Snapshot | None:
        raw = read_copy(self.path, limit=self._spec.file.max_bytes)
        if raw is None:
            return None
        try:
            return self._snapshot(None, raw, parse_json_file(raw, path=self.path), settled=False)
        except CorruptError:
            return None

    def _read_otherwise(self) -> Snapshot | None:
        """Return the document as JSON, if people and other programs could still read it whole."""
        raw, _, _ = read_versioned(self.path, limit=self._spec.file.max_bytes)
        # Not "utf-8-sig": that codec is loaded when it is first asked for, which may fail.
        encoding = wide_encoding(raw) or "utf-8"
        try:
            document = parse_json5(raw.decode(encoding).removeprefix("\ufeff"), path=self.path)
            text = dump_pretty(document) + ("\n" if self._spec.file.newline else "")
            return self._snapshot(None, text.encode(), document, settled=False)
        except (CorruptError, InvalidError, UnicodeDecodeError):
            return None

    def _quarantine(self) -> Path:
        raw, stamp, _ = read_versioned(self.path, limit=self._spec.file.max_bytes)
        folder = self.path.parent / _QUARANTINE
        make_private_dir(folder)
        # Named by the damage alone: whoever repeats a repair that was killed finds what it left.
        damaged = stamp.modified / 1e9
        moment = to_iso(damaged if is_moment(damaged) else 0.0).replace(":", "-")
        digest = hashlib.sha256(raw).hexdigest()[:8]
        aside = folder / f"{self.path.name}.{moment}.{digest}"
        sweep_temporaries(aside)
        write_atomic(aside, raw)
        return aside


def _is_link(place: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(place).st_mode)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return False
        with os_errors(Path(place), "cannot be reached"):
            raise


def revision_of(value: Json) -> Revision:
    """Return the revision of a record with this *value*, as a file gives it back."""
    return _digest(_compact(value))


def _digest(text: str) -> Revision:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _is_fresh(path: Path) -> bool:
    try:
        return abs(time.time_ns() - os.lstat(path).st_mtime_ns) < _JUST_NOW
    except OSError:
        return True
