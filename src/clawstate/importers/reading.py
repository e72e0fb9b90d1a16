"""A file that is being read, and the records that its passages are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clawstate.clock import from_ms, is_moment, to_ms
from clawstate.files.json_text import is_same_json
from clawstate.importers.discover import Kind
from clawstate.importers.front_matter import date_in_name
from clawstate.importers.json_values import moment
from clawstate.importers.merging import Said, ordered_id, passage_digest, passage_id
from clawstate.importers.moves import Named
from clawstate.importers.passages import Passage
from clawstate.memory.imports import Before
from clawstate.memory.ledger import Imported
from clawstate.memory.records import MemoryRecord, fields_text
from clawstate.memory.validation import MAX_NAMES, fitting_name


@dataclass(slots=True)
class Reading:
    """
    A file that is being read, and what became of it so far.

    `strangers` are records of its name that no note of an import knows.
    """

    path: Path
    named: Named
    kind: Kind
    fingerprint: str
    before: Before | None = None
    seen: set[str] = field(default_factory=set)
    copies: Counter[str] = field(default_factory=Counter)
    by_passage: dict[bytes, str] = field(default_factory=dict)
    fresh: list[MemoryRecord] = field(default_factory=list)
    strangers: set[str] = field(default_factory=set)
    has_problems: bool = False
    was_read_whole: bool = True

    @property
    def is_document(self) -> bool:
        """Whether it is one text of which the passages are parts."""
        return self.kind.is_document

    @property
    def known(self) -> frozenset[str]:
        """The ids that earlier imports of it left."""
        return frozenset() if self.before is None else self.before.known

    def begin(self, before: Before) -> None:
        """Take note of what earlier imports left."""
        self.before = before
        self.by_passage = {
            each.passage: each.id for each in before.rows.values() if each.passage is not None
        }


@dataclass(frozen=True, slots=True)
class Given:
    """A record that a file gave: which passage it is, and which tags are the file's own."""

    reading: Reading
    record: MemoryRecord
    passage: Passage
    digest: bytes

    @property
    def statement(self) -> Said:
        """What the file says of the record."""
        return Said.of(self.record, self.passage.tags)

    @property
    def row(self) -> Imported | None:
        """What an earlier import noted of it."""
        return None if self.reading.before is None else self.reading.before.rows.get(self.record.id)


def values_of(
    reading: Reading, passage: Passage, *, namespace: str, tags: Sequence[str]
) -> tuple[bytes, dict[str, Any]]:
    """Return the digest of *passage*, and what its record is made of; see `record_from`."""
    source = reading.named.source
    metadata = dict(passage.metadata)
    where = {
        "heading": passage.heading or None,
        "start_line": passage.start_line,
        "end_line": passage.end_line,
    }
    if passage.id is None:
        metadata.update({name: value for name, value in where.items() if value is not None})
    namespace = passage.namespace or namespace
    thread = passage.thread
    if thread is None and reading.kind is not Kind.JSON_LINES:
        # A document is one run of passages, in which neighbours explain each other.
        thread = source
    name = f"{namespace}\0{passage.text}"
    reading.copies[name] += 1
    copy = reading.copies[name]
    digest = passage_digest(passage.text, copy)
    names: tuple[str, ...] = ()
    made = None
    if reading.is_document:
        names = _names_of(source)
        made = date_in_name(os.path.basename(source))  # noqa: PTH119 - for thousands of files
    return digest, {
        "id": passage.id or _id_of(reading, passage, namespace, digest, copy),
        "text": passage.text,
        "title": fitting_name(passage.title or "") or None,
        "headings": _fit(passage.headings),
        "names": _fit((*passage.names, *names)),
        "source": source,
        "tags": (*tags, *passage.tags),
        "metadata": metadata,
        "importance": passage.importance,
        "category": passage.category,
        "namespace": namespace,
        "thread": thread,
        "position": passage.position if thread is not None else None,
        "created_at": made if passage.created_at is None else passage.created_at,
        **_own_fields(passage.own),
    }


def _id_of(reading: Reading, passage: Passage, namespace: str, digest: bytes, copy: int) -> str:
    if (known := reading.by_passage.get(digest)) is not None:
        return known
    named = reading.named
    # Earlier releases noted no digests: their ids come from the path that the file had then.
    for source in (named.source, named.former):
        if source is not None:
            found = passage_id(namespace, source, passage.text, copy)
            if found in reading.known:
                return found
    if passage.key is not None:
        return passage_id(namespace, "", passage.key, 0)
    return ordered_id(namespace, named.source, passage.text, copy, passage.position)


def is_of_its_id(reading: Reading, record: MemoryRecord) -> bool:
    """Tell whether *record* has the text that its id was made of, before digests were noted."""
    names = {reading.named.source, reading.named.former} - {None}
    ids = {
        passage_id(record.namespace, str(source), record.text, copy)[20:]
        for source in names
        for copy in range(1, 5)
    }
    return record.id[20:] in ids


def with_age(given: Given) -> MemoryRecord:
    """Return the record of a passage that is new, as old as its file where nothing tells more."""
    # Of new passages alone: each edit of a file moves its time, and the others are no younger.
    record, reading = given.record, given.reading
    if record.created_at or not reading.is_document:
        return record
    return replace(record, created_at=_changed_at(reading.path))


def _own_fields(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a line says of fields that a passage does not have."""
    own = {name: told[name] for name in ("source", "ttl") if name in told}
    for name in ("updated", "expires"):
        for key in (f"{name}At", f"{name}_at"):
            if key in told:
                own[f"{name}_at"] = moment(told[key])
    return own


def says(present: MemoryRecord | None, record: MemoryRecord) -> bool:
    """Tell whether *present* holds all that *record*, read from a file, would say."""
    return present is not None and (
        (not record.created_at or to_ms(record.created_at) == to_ms(present.created_at))
        and present.text == record.text
        and fields_text(present) == fields_text(record)
        and present.source == record.source
        and set(present.tags) == set(record.tags)
        and is_same_json(present.metadata, record.metadata)
        and present.thread == record.thread
        and present.position == record.position
        and present.category == record.category
        and present.importance == record.importance
        and _ends(present) == _ends(record)
    )


def _names_of(source: str) -> tuple[str, ...]:
    """Return by what names people ask for the file *source*: its own, and those of its folders."""
    # Of the path and not of the folder that was imported: whichever way a file is reached, it says
    # the same.
    *folders, name = source.rsplit("/", 3)[-3:]
    return (os.path.splitext(name)[0], *reversed(folders))  # noqa: PTH122 - as above


def _fit(names: Iterable[str]) -> tuple[str, ...]:
    fitting = (fitting_name(each) for each in names)
    return tuple(dict.fromkeys(each for each in fitting if each))[:MAX_NAMES]


def _ends(record: MemoryRecord) -> int | None:
    return None if record.expires_at is None else to_ms(record.expires_at)


def _changed_at(path: Path) -> float:
    """Return when the file *path* was changed, to the millisecond; 0 where nobody knows."""
    try:
        changed = path.stat().st_mtime
    except OSError:
        return 0.0
    return from_ms(to_ms(changed)) if is_moment(changed) else 0.0
