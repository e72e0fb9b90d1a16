"""Transcripts in an agent's database: events, cold archives, and those of deleted sessions."""

from __future__ import annotations

import hashlib
import importlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from clawstate.errors import CorruptError, MissingExtraError, NotFoundError, StateError
from clawstate.files.json_text import parse_json
from clawstate.files.os_errors import os_errors
from clawstate.files.regular import regular_stream
from clawstate.openclaw.snapshot import Snapshot
from clawstate.quantities import number_of

# In Python since 3.14; before, the package of the extra `openclaw`.
_MODULES = ("compression.zstd", "backports.zstd")


MOST_BYTES = 64 << 20
"""Bytes of one event, or of one line of an archive, at most."""

_EVENTS, _COLD, _ARCHIVES = (
    "transcript_events",
    "session_transcript_cold_archives",
    "session_transcript_archives",
)
_COLD_NAME = re.compile(r"[0-9a-f]{64}\.jsonl\.zst")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """One event as a line of a transcript; *error* says why its *text* could not be had."""

    text: str
    error: StateError | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """The transcript of a session that was deleted or reset; *name* is that of its file."""

    session_id: str
    name: str
    reason: str


class Transcripts:
    """The transcripts of one agent, as lines of the files that they were kept in before."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._path = snapshot.path

    def sessions(self) -> tuple[str, ...]:
        """Return the ids of all sessions that have a transcript, also former ones of a key."""
        sources = ((_EVENTS, "GROUP BY session_id"), (_COLD, ""))
        found = {
            str(name)
            for table, where in sources
            for (name,) in self._snapshot.rows(table, ("session_id",), where=where)
        }
        return tuple(sorted(found))

    def lines(self, session_id: str) -> Iterator[Line]:
        """Yield the transcript of a session, its cold part first."""
        where = "WHERE session_id = ? ORDER BY seq"
        first = self._first_seq(session_id)
        # Up to the first event in the table: what is in both is read once.
        yield from self._cold(session_id, before=first)
        columns = ("seq", "event_json", "event_zstd", "event_utf8_bytes")
        for seq, text, packed, size in self._snapshot.rows(
            _EVENTS, columns, where=where, given=(session_id,)
        ):
            yield self._event(session_id, seq, text, packed, size)

    def is_cold(self, session_id: str) -> bool:
        """Tell whether all of the transcript of a session lies in a cold archive."""
        return self._first_seq(session_id) is None

    def last_id(self, session_id: str) -> str | None:
        """Return the id of the last event of a session, if it has one that can be read."""
        where = "WHERE session_id = ? ORDER BY seq DESC LIMIT 1"
        columns = ("seq", "event_json", "event_zstd", "event_utf8_bytes")
        for row in self._snapshot.rows(_EVENTS, columns, where=where, given=(session_id,)):
            line = self._event(session_id, *row)
            event = None if line.error else parse_json(line.text, path=self._path)
            if isinstance(event, dict) and event.get("type") != "session":
                return event["id"] if isinstance(event.get("id"), str) else None
        return None

    def archives(self) -> tuple[Archive, ...]:
        """Return the transcripts of sessions that were deleted or reset."""
        rows = self._snapshot.rows(
            _ARCHIVES, ("session_id", "archive_name", "reason"), where="ORDER BY archive_name"
        )
        return tuple(Archive(*map(str, row)) for row in rows)

    def cold_names(self) -> tuple[str, ...]:
        """Return the names of the files that hold cold transcripts."""
        rows = self._snapshot.rows(_COLD, ("archive_name",), where="WHERE storage = 'file'")
        return tuple(str(name) for (name,) in rows)

    def archived_lines(self, archive: Archive) -> Iterator[Line]:
        """Yield the lines of an archived transcript."""
        place = str(self._snapshot.place(_ARCHIVES, archive.name))
        where = "WHERE archive_name = ?"
        columns = ("encoding", "archive_sha256", "archive_blob")
        for encoding, digest, blob in self._snapshot.rows(
            _ARCHIVES, columns, where=where, given=(archive.name,)
        ):
            try:
                yield from _unpack(blob, digest, place, is_packed=encoding == "zstd")
            except StateError as error:
                yield Line("", error)

    def _first_seq(self, session_id: str) -> int | None:
        rows = self._snapshot.rows(
            _EVENTS,
            ("seq",),
            where="WHERE session_id = ? ORDER BY seq LIMIT 1",
            given=(session_id,),
        )
        return next((int(seq) for (seq,) in rows), None)

    def _event(self, session_id: str, seq: Any, text: Any, packed: Any, size: Any) -> Line:
        if isinstance(text, str):
            return Line(text)
        place = str(self._snapshot.place(_EVENTS, f"{session_id}/{seq}"))
        try:
            if not isinstance(packed, bytes):
                raise CorruptError(place, "holds no event", "let OpenClaw's doctor look at it")
            raw = _decompress(packed, limit=MOST_BYTES, place=place)
            if isinstance(size, int) and len(raw) != size:
                raise CorruptError(
                    place, f"unpacks to {number_of(len(raw), 'byte')}, and should to {size:,}"
                )
            return Line(raw.decode())
        except UnicodeDecodeError:
            return Line("", CorruptError(place, "unpacks to what is no UTF-8"))
        except StateError as error:
            return Line("", error)

    def _cold(self, session_id: str, *, before: int | None) -> Iterator[Line]:
        columns = ("archive_name", "archive_sha256", "event_count", "storage", "archive_blob")
        for name, digest, count, storage, blob in self._snapshot.rows(
            _COLD, columns, where="WHERE session_id = ?", given=(session_id,)
        ):
            place = str(self._snapshot.place(_COLD, str(name)))
            seen = 0
            try:
                with self._cold_file(str(name), storage, blob, place) as stream:
                    # Before the first line: what was taken from a damaged archive could not be
                    # taken back.
                    _require_digest(stream, digest, place)
                    # In a cold archive an event is a text within JSON, which escapes can make
                    # longer.
                    for line in _decompress_lines(stream, limit=2 * MOST_BYTES, place=place):
                        seq, text = _cold_event(line, place)
                        if text is not None:
                            seen += 1
                            # What is in rows as well comes from there, and not twice.
                            if before is None or seq < before:
                                yield Line(text)
                if seen != count:
                    problem = f"holds {number_of(seen, 'event')}, and should {count:,}"
                    raise CorruptError(place, problem, "let OpenClaw's doctor look at it")
            except StateError as error:
                yield Line("", error)

    def _cold_file(self, name: str, storage: Any, blob: Any, place: str) -> BinaryIO:
        if storage != "file" and isinstance(blob, bytes):
            return io.BytesIO(blob)
        # A name from a row must not lead out of the directory.
        if not _COLD_NAME.fullmatch(name):
            raise CorruptError(place, "names no cold archive", "let OpenClaw's doctor look at it")
        for folder in self._cold_folders():
            try:
                with os_errors(folder / name, "was not read"):
                    return regular_stream(folder / name)
            except NotFoundError:
                continue
        raise NotFoundError("cold archive", name, "bring back the directory sessions/cold")

    def _cold_folders(self) -> tuple[Path, ...]:
        folder = self._path.parent
        if folder.name == "agent":
            return (folder.parent / "sessions" / "cold", folder / "cold")
        return (folder / "cold",)


def archived_file_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of the compressed file *path* of a deleted or reset session."""
    try:
        with os_errors(path, "was not read"), regular_stream(path) as stream:
            for line in _decompress_lines(stream, limit=MOST_BYTES, place=str(path)):
                yield Line(line.decode())
    except UnicodeDecodeError:
        yield Line("", CorruptError(str(path), "unpacks to what is no UTF-8"))
    except StateError as error:
        yield Line("", error)


def _unpack(blob: Any, digest: Any, place: str, *, is_packed: bool) -> Iterator[Line]:
    if not isinstance(blob, bytes):
        raise CorruptError(place, "holds no archive", "let OpenClaw's doctor look at it")
    stream = io.BytesIO(blob)
    _require_digest(stream, digest, place)
    found = _decompress_lines(stream, limit=MOST_BYTES, place=place) if is_packed else iter(stream)
    for line in found:
        try:
            yield Line(line.decode())
        except UnicodeDecodeError as error:
            raise CorruptError(place, "holds what is no UTF-8") from error


def _require_digest(stream: BinaryIO, digest: Any, place: str) -> None:
    found = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        found.update(chunk)
    stream.seek(0)
    if found.hexdigest() != digest:
        raise CorruptError(
            place, "has another digest than its row says", "bring back the right one"
        )


def _cold_event(line: bytes, place: str) -> tuple[int, str | None]:
    record = parse_json(line, path=Path(place))
    row = record.get("row") if isinstance(record, dict) else None
    if not isinstance(row, dict) or record.get("kind") != "event":
        return 0, None
    seq, text = row.get("seq"), row.get("event_json")
    if not isinstance(seq, int) or not isinstance(text, str):
        raise CorruptError(place, "holds an event without text", "let OpenClaw's doctor look at it")
    return seq, text


def _decompress(data: bytes, *, limit: int, place: str) -> bytes:
    """
    Return what the one frame *data* holds, at most *limit* bytes.

    Raises `CorruptError`, which names *place*, for anything else, and `MissingExtraError`.
    """
    module = _zstd()
    decompressor = module.ZstdDecompressor()
    try:
        # Bounded, since a few bytes can unpack to gigabytes; one byte more tells what is too long.
        found: bytes = decompressor.decompress(data, max_length=limit + 1)
    except module.ZstdError as error:
        raise CorruptError(place, "cannot be unpacked") from error
    if len(found) > limit or not decompressor.eof:
        raise CorruptError(place, f"is cut off, or unpacks to more than {number_of(limit, 'byte')}")
    return found


def _decompress_lines(stream: BinaryIO, *, limit: int, place: str) -> Iterator[bytes]:
    """
    Yield the lines of the compressed *stream*, each of at most *limit* bytes.

    Raises `CorruptError`, which names *place*, and `MissingExtraError`.
    """
    module = _zstd()
    try:
        with module.ZstdFile(stream) as file:
            while line := file.readline(limit + 1):
                if len(line) > limit:
                    raise CorruptError(place, f"has a line of more than {number_of(limit, 'byte')}")
                yield line
    except (module.ZstdError, EOFError) as error:
        raise CorruptError(place, "cannot be unpacked") from error


def _zstd() -> Any:
    module = _zstd_or_none()
    if module is None:
        raise MissingExtraError("openclaw", "zstd, in which OpenClaw keeps long messages,")
    return module


def _zstd_or_none() -> Any | None:
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
