"""Copies of known secrets, in whatever file of a state they are: logs, transcripts, memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from clawstate.doctor.audit.databases import search_database
from clawstate.doctor.audit.known import KnownSecret
from clawstate.doctor.audit.survey import Spot, Survey
from clawstate.doctor.audit.tree import Entry
from clawstate.errors import StateError
from clawstate.files.refusals import translated
from clawstate.files.regular import open_regular

Progress = Callable[[int, int, str], object]

_CHUNK = 1 << 20
_HEADER = b"SQLite format 3\0"


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
    for secret, where in search_database(entry.path, wanted) if found is None else found:
        spot = Spot(entry.path, where, secret.label)
        message = f"holds a copy of the secret {secret.label} ({secret.shown})"
        survey.add("SECRET_COPY", "error", spot, message)


def _in_file(path: Path, wanted: Iterable[KnownSecret]) -> list[tuple[KnownSecret, str]] | None:
    """Return which of *wanted* the file holds, and where first; `None` for a database."""
    with translated(path, "was not searched"), os.fdopen(open_regular(path), "rb") as file:
        first = file.read(_CHUNK)
        if first.startswith(_HEADER):
            return None
        return _in_stream(first, file, {form: each for each in wanted for form in each.forms()})


def _in_stream(
    chunk: bytes, file: BinaryIO, forms: dict[bytes, KnownSecret]
) -> list[tuple[KnownSecret, str]]:
    found: dict[int, tuple[KnownSecret, str]] = {}
    overlap = max(map(len, forms)) - 1
    lines = 0
    while chunk:
        for form, secret in forms.items():
            if id(secret) not in found and (at := chunk.find(form)) >= 0:
                line = lines + chunk.count(b"\n", 0, at) + 1
                found[id(secret)] = (secret, f"line {line}")
        fresh = file.read(_CHUNK)
        # What stands across the border of two pieces is found in the second one.
        rest = chunk[-overlap:] if overlap and fresh else b""
        lines += chunk.count(b"\n", 0, len(chunk) - len(rest))
        chunk = rest + fresh if fresh else b""
    return list(found.values())
