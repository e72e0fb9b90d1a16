"""
Lines of a transcript as entries: versions 1 to 4, broken lines told by their number.

Version 1 has neither ids nor parents; its entries are given ids that come out the same each time,
so an import can be repeated, and a compaction names what it kept by index. Version 2 calls the role
`custom` still `hookMessage`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from clawstate.arguments import is_utf8
from clawstate.errors import CorruptError, InvalidError
from clawstate.files.damaged_line import split_damaged
from clawstate.files.json_text import dump_compact, is_utf16, parse_json
from clawstate.quantities import number_of
from clawstate.records.contract import Json
from clawstate.stores.transcripts.contract import Batch
from clawstate.stores.transcripts.entries import (
    HEADER,
    MOST_BYTES,
    NEWEST,
    VERSION,
    Entry,
    entry_read,
)
from clawstate.stores.transcripts.values import TranscriptProblem

_BOM = "\ufeff"
_BLANK = " \t\r\n"


# Bounds for memory, and for how long other writers wait for one transaction.
_BATCH_LINES, _BATCH_CHARACTERS = 1_000, 8 << 20


def batches(entries: Iterable[tuple[int, Entry]]) -> Iterator[Batch]:
    """Give *entries* in parts that are committed by themselves."""
    batch: list[tuple[int, Entry]] = []
    characters = 0
    for number, entry in entries:
        batch.append((number, entry))
        characters += len(entry.line)
        if len(batch) == _BATCH_LINES or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


@dataclass(slots=True)
class Reading:
    """
    What must be remembered from line to line while the transcript of *session_id* is read.

    *header* is the first line as it will be kept, `None` if there was none.
    """

    session_id: str
    now: float
    header: str | None = None
    problems: list[TranscriptProblem] = field(default_factory=list)
    _version: int = VERSION
    _previous: str | None = None
    _given: set[str] = field(default_factory=set)
    _ids: list[str | None] = field(default_factory=list)  # by index, the header among them

    def entries(self, lines: Iterable[str | bytes]) -> Iterator[tuple[int, Entry]]:
        """Give the entries of *lines* with their numbers; what cannot be read is a problem."""
        wide = False
        for number, line in enumerate(lines, start=1):
            if number == 1 and isinstance(line, bytes) and is_utf16(line):
                self.problem(number, "the file is UTF-16, which no transcript is; save it as UTF-8")
                wide = True
                continue
            # Told once for the file, and not as a broken line for each of its halves. But noise may
            # look like UTF-16 as well: lines that cannot be halves of it are read as ever.
            if wide and isinstance(line, bytes) and b"\0" in line:
                continue
            for text, value in self._records(line, number):
                try:
                    entry = self._entry(text, value)
                except InvalidError as error:
                    self.problem(number, error.problem)
                    continue
                if entry is not None:
                    self._previous = entry.id
                    self._ids.append(entry.id)
                    yield number, entry

    def problem(self, number: int, message: str) -> None:
        """Note what is wrong with the line *number*."""
        self.problems.append(TranscriptProblem(number, message))

    def _records(self, line: str | bytes, number: int) -> Iterator[tuple[str, Json]]:
        """Give the record on *line*, as text and as value; of a damaged line each whole one."""
        try:
            text = _decode(line).strip(_BLANK)
            if number == 1:
                # Editors of Windows put a byte order mark before the first line.
                text = text.removeprefix(_BOM)
            if text:
                yield text, _parse(text)
        except InvalidError as error:
            yield from self._whole_records(line, number, error)

    def _whole_records(
        self, line: str | bytes, number: int, error: InvalidError
    ) -> Iterator[tuple[str, Json]]:
        # A write that was cut off leaves a torn line, and the next append glues a whole entry to
        # it.
        parts = split_damaged(_readable(line))
        whole = [each.text for each in parts if each.is_whole and is_utf8(each.text)]
        # The size alone is told, never the text: problems end up in logs.
        lost = sum(len(each.text) for each in parts) - sum(map(len, whole))
        if not whole:
            self.problem(number, error.problem)
        elif lost:
            self.problem(
                number, f"is damaged: {number_of(lost, 'character')} of it make no whole entry"
            )
        for text in whole:
            try:
                yield text, _parse(text)
            except InvalidError as found:
                self.problem(number, found.problem)

    def _entry(self, text: str, value: Json) -> Entry | None:
        if isinstance(value, dict) and value.get("type") == HEADER:
            self._note_header(value, text)
            return None
        if isinstance(value, dict) and self._version < VERSION:
            value, text = _upgrade(value, text, self._ids)
        entry = entry_read(value, text, now=self.now)
        if entry.id is not None and not entry.loose:
            return entry
        return entry.with_place(entry.id or self._derive_id(text), self._previous)

    def _note_header(self, value: dict[str, Json], text: str) -> None:
        version = value.get("version", 1)
        if not isinstance(version, int) or version > NEWEST:
            problem = f"is of version {version!r:.20}, newer than {NEWEST}"
            raise InvalidError("header", problem, "upgrade clawstate")
        if self.header is not None:
            raise InvalidError("header", "is a second header")
        self._version = version
        self._ids.append(None)
        # Version 4 stays 4, since its new types of entries would be none in version 3.
        new = {**value, "version": max(version, VERSION), "id": self.session_id}
        self.header = text if new == value else dump_compact(new)

    def _derive_id(self, text: str) -> str:
        count = 0
        while True:
            # The place among the derived ones tells two equal lines apart, and is the same in each
            # import.
            name = f"{self.session_id}\n{len(self._given)}\n{count}\n{text}"
            made = hashlib.sha256(name.encode()).hexdigest()[:8]
            if made not in self._given:
                self._given.add(made)
                return made
            count += 1


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Give the lines of *stream*; of one that is too long only as much as shows that it is."""
    # Two bytes more than the most: a line of just that length has a line end besides.
    while line := stream.readline(MOST_BYTES + 2):
        whole = line
        while len(line) > MOST_BYTES and not line.endswith(b"\n"):
            line = stream.readline(1 << 20)  # the rest of it
            if not line:
                break
        yield whole


def _readable(line: str | bytes) -> str:
    """Return what can be looked at of a line that is damaged."""
    if not isinstance(line, str | bytes) or len(line) > MOST_BYTES + 1:
        return ""
    # Bytes that are no text survive as surrogates, so that what is whole beside them can be found.
    return line if isinstance(line, str) else line.decode(errors="surrogateescape")


def _decode(line: str | bytes) -> str:
    if not isinstance(line, str | bytes):
        raise InvalidError("line", f"is {type(line).__name__}, not text")
    if len(line) > MOST_BYTES + 1:
        raise InvalidError("line", f"is longer than {MOST_BYTES >> 20} MiB")
    try:
        if isinstance(line, bytes):
            return line.decode()
        line.encode()
    except UnicodeError as error:
        raise InvalidError("line", "is not UTF-8") from error
    return line


def _parse(text: str) -> Json:
    try:
        return parse_json(text, path=Path("line"))
    except CorruptError as error:
        raise InvalidError("line", error.problem.replace("line 1, ", "")) from None


def _upgrade(
    value: Mapping[str, Json], text: str, ids: Sequence[str | None]
) -> tuple[dict[str, Json], str]:
    new = dict(value)
    body, index = value.get("message"), value.get("firstKeptEntryIndex")
    if isinstance(body, dict) and body.get("role") == "hookMessage":
        new["message"] = {**body, "role": "custom"}
    if value.get("type") == "compaction" and isinstance(index, int):
        del new["firstKeptEntryIndex"]
        if 0 <= index < len(ids) and ids[index] is not None:
            new["firstKeptEntryId"] = ids[index]
    return new, text if new == value else dump_compact(new)
