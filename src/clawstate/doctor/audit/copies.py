"""Copies of known secrets, in whatever file of a state they are: logs, transcripts, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from clawstate.doctor.audit.databases import open_pages, search_database
from clawstate.doctor.audit.known import KnownSecret
from clawstate.doctor.audit.survey import Spot, Survey
from clawstate.doctor.audit.tree import Entry
from clawstate.errors import NotFoundError, StateError
from clawstate.files.os_errors import os_errors
from clawstate.files.regular import regular_stream

Progress = Callable[[int, int, str], object]

_Found = list[tuple[KnownSecret, str]]
_Look = Callable[[], _Found | None]

_CHUNK = 1 << 20
_HEADER = b"SQLite format 3\0"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most *size*; none at the end."""


def survey_copies(survey: Survey, entries: Sequence[Entry], progress: Progress) -> int:
    """Search all files of *entries*, and return how many; *progress* counts bytes."""
    if not len(survey.known):
        return 0
    files = [each for each in entries if each.is_file and not each.is_beside_database]
    total, done = sum(each.status.st_size for each in files), 0
    for entry in files:
        progress(done, total, entry.place)
        try:
            _search(survey, entry)
        except StateError as error:
            survey.note(str(error))
        done += entry.status.st_size
    progress(total, total, "")
    return len(files)


def _search(survey: Survey, entry: Entry) -> None:
    wanted = [each for each in survey.known if entry.path not in each.homes]
    if not wanted:
        return
    found = None if entry.is_database else _in_file(entry.path, wanted)
    if found is None:
        _search_database(survey, entry.path, wanted)
    else:
        _report(survey, entry.path, found)


def _search_database(survey: Survey, path: Path, wanted: Sequence[KnownSecret]) -> None:
    """Look into the rows; and for what they do not hold, wherever deleted text stays for long."""
    rest = list(wanted)
    looks: tuple[tuple[Path, _Look], ...] = (
        (path, lambda: [*search_database(path, rest)]),
        (path, lambda: _in_pages(path, rest)),
        *((each, partial(_in_file, each, rest)) for each in _beside(path)),
    )
    for place, look in looks:
        try:
            found = look() if rest else None
        except NotFoundError:
            continue
        except StateError as error:
            survey.note(str(error))
            continue
        _report(survey, place, found or ())
        seen = {id(secret) for secret, _ in found or ()}
        rest[:] = [each for each in rest if id(each) not in seen]


def _report(survey: Survey, path: Path, found: Iterable[tuple[KnownSecret, str]]) -> None:
    for secret, where in found:
        spot = Spot(path, where, secret.label)
        message = f"holds a copy of the secret {secret.label} ({secret.shown})"
        survey.add("SECRET_COPY", "error", spot, message)


def _beside(path: Path) -> Iterable[Path]:
    # On these SQLite holds no locks that closing them could drop.
    return (path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-journal"))


def _in_file(path: Path, wanted: Iterable[KnownSecret]) -> _Found | None:
    """Return which of *wanted* the file holds, and where first; `None` for a database."""
    with os_errors(path, "was not searched"), regular_stream(path) as file:
        first = file.read(_CHUNK)
        if first.startswith(_HEADER):
            return None
        return _in_stream(first, file, _forms(wanted))


def _in_pages(path: Path, wanted: Iterable[KnownSecret]) -> _Found:
    with open_pages(path) as pages:
        found = _in_stream(pages.read(_CHUNK), pages, _forms(wanted))
    return [(secret, "free pages") for secret, _ in found]


def _forms(wanted: Iterable[KnownSecret]) -> dict[bytes, KnownSecret]:
    return {form: each for each in wanted for form in each.forms()}


def _in_stream(chunk: bytes, file: _Readable, forms: dict[bytes, KnownSecret]) -> _Found:
    found: dict[int, tuple[KnownSecret, str]] = {}
    overlap = max(map(len, forms)) - 1
    lines = 0
    while chunk:
        has_nulls = b"\0" in chunk
        for form, secret in forms.items():
            if b"\0" in form and not has_nulls:
                continue  # UTF-16, which few files are
            if id(secret) not in found and (at := chunk.find(form)) >= 0:
                line = lines + chunk.count(b"\n", 0, at) + 1
                found[id(secret)] = (secret, f"line {line}")
        fresh = file.read(_CHUNK)
        # What stands across the border of two pieces is found in the second one.
        rest = chunk[-overlap:] if overlap and fresh else b""
        lines += chunk.count(b"\n", 0, len(chunk) - len(rest))
        chunk = rest + fresh if fresh else b""
    return list(found.values())
