"""JSON Lines as passages: one record a line, in the form that clawstate writes itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from clawstate.errors import InvalidError
from clawstate.importers.encodings import damage_of, unicode_as_utf8
from clawstate.importers.json_values import Object, moment, parse_objects, require_number
from clawstate.importers.lines import Line, open_regular, read_lines
from clawstate.importers.passages import Item, Json, Passage, Problem
from clawstate.importers.plain_text import text_pieces
from clawstate.memory.validation import MAX_NAMES, MAX_TEXT, fitting_name

_OWN = ("ttl", "updatedAt", "updated_at", "expiresAt", "expires_at")


def read_json_lines(path: Path) -> Iterator[Item]:
    """
    Yield one passage for each line of *path*, an object with `text` (or `content`).

    `id`, `title`, `headings`, `names`, `tags`, `category`, `importance`, `namespace`, `thread`,
    `position` and one of `createdAt`, `created_at`, `timestamp` (ISO 8601, ms or s) go to the
    passage's fields, all other names into its metadata, except vectors: they belong to the model
    that made them. A line without `metadata` keeps the first three names there as well.
    A text longer than a record may be comes in parts. A `ttl` that is no positive number of
    seconds is reported and left out. Raises `UnavailableError` when the file cannot be opened.
    """
    position = 0
    with open_regular(path) as opened:
        stream = unicode_as_utf8(opened)
        for line in read_lines(stream):
            for item in _items(path, line, position):
                position += isinstance(item, Passage)
                yield item
        yield from damage_of(path, stream)


def _items(path: Path, line: Line, position: int) -> Iterator[Item]:
    for found in parse_objects(line, what="the line", unique_names=True):
        if isinstance(found, str):
            yield Problem(path, line.number, found)
            continue
        record = _Record(found, line.number)
        try:
            passage = record.passage(position)
        except InvalidError as error:
            yield Problem(path, line.number, error.problem)
            continue
        # Not lost: these say what was left out of a line that is taken all the same.
        yield from (Problem(path, line.number, each) for each in record.problems)
        for part in _parts(passage):
            position += 1
            yield part


def _parts(passage: Passage) -> Iterator[Passage]:
    if len(passage.text) <= MAX_TEXT:
        yield passage
        return
    for part, text in enumerate(text_pieces(passage.text), start=1):
        yield _part(passage, part, text)


def _part(passage: Passage, part: int, text: str) -> Passage:
    return Passage(
        text,
        passage.start_line,
        passage.end_line,
        title=passage.title,
        headings=passage.headings,
        names=passage.names,
        thread=passage.thread,
        position=passage.position + part - 1,
        created_at=passage.created_at,
        tags=passage.tags,
        category=passage.category,
        importance=passage.importance,
        namespace=passage.namespace,
        id=passage.id and f"{passage.id}#{part}",
        metadata={**passage.metadata, "part": part},
        own=passage.own,
    )


class _Record:
    """One line's object, from which each field is taken once."""

    def __init__(self, values: Object, line: int) -> None:
        # Exports of clawstate write null where a record has nothing.
        self._values = {name: value for name, value in values.items() if value is not None}
        self._line = line
        self._names_source = "source" in values
        self._has_metadata = "metadata" in self._values
        self.problems: list[str] = []

    def passage(self, position: int) -> Passage:
        """Return the passage; raises `InvalidError` for a field of a wrong type."""
        return Passage(
            self._body(),
            self._line,
            self._line,
            title=self._title(),
            headings=self._names("headings"),
            names=self._names("names"),
            thread=self._name("thread"),
            position=self._position(position),
            created_at=self._created_at(),
            tags=self._tags(),
            category=self._name("category"),
            importance=self._importance(),
            namespace=self._name("namespace"),
            id=self._id(),
            own=self._own(),
            metadata=self._metadata(),
        )

    def _body(self) -> str:
        name = "text" if "text" in self._values else "content"
        body = self._text(name)
        if body is None or not body.strip():
            raise InvalidError("text", "the line has no text; give it a non-empty 'text'")
        if "\0" in body:
            raise InvalidError("text", f"'{name}' holds a NUL character")
        return body

    def _id(self) -> str | None:
        value = self._values.get("id")
        # Numbers as ids are usual elsewhere, and mean the same as their digits.
        if isinstance(value, int) and not isinstance(value, bool):
            self._values["id"] = str(value)
        return self._name("id")

    def _name(self, name: str) -> str | None:
        return (self._text(name) or "").strip() or None

    def _text(self, name: str) -> str | None:
        value = self._values.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise InvalidError(name, f"'{name}' is not text")
        return value

    def _title(self) -> str | None:
        value = self._member("title")
        return fitting_name(value) or None if isinstance(value, str) else None

    def _names(self, name: str) -> tuple[str, ...]:
        value = self._member(name)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            return ()
        fitting = (fitting_name(each) for each in cast("list[str]", value))
        return tuple(dict.fromkeys(each for each in fitting if each))[:MAX_NAMES]

    def _member(self, name: str) -> Json:
        """Return what the line says of *name*, taken only if it has the form that is written."""
        # The lines of others have these names for what they like: there they are metadata too.
        return (self._values.pop if self._has_metadata else self._values.get)(name, None)

    def _position(self, default: int) -> int:
        value = self._values.pop("position", default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidError("position", "'position' is not a whole number")
        return value

    def _created_at(self) -> float | None:
        for name in ("createdAt", "created_at", "timestamp"):
            if name in self._values:
                return self._moment(name)
        return None

    def _moment(self, name: str) -> float | None:
        try:
            return moment(self._values.pop(name))
        except InvalidError:
            problem = f"'{name}' is no time; write ISO 8601, milliseconds or seconds"
            raise InvalidError(name, problem) from None

    def _tags(self) -> tuple[str, ...]:
        value = self._values.pop("tags", [])
        tags = [value] if isinstance(value, str) else value
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise InvalidError("tags", "'tags' is not a list of texts")
        stripped = (tag.strip() for tag in cast("list[str]", tags))
        return tuple(dict.fromkeys(tag for tag in stripped if tag))

    def _importance(self) -> float | None:
        value = self._values.pop("importance", None)
        return None if value is None else require_number(value, "importance")

    def _metadata(self) -> Object:
        given = self._values.pop("metadata", {})
        if not isinstance(given, dict):
            raise InvalidError("metadata", "'metadata' is not an object")
        # What has no field of its own is kept as metadata: nothing of a line is lost.
        rest: dict[str, Json] = {
            name: value for name, value in self._values.items() if not _is_vector(value)
        }
        return {**rest, **given}

    def _own(self) -> Object:
        """Take what the line says of fields that have no place in a passage."""
        self._check_ttl()
        own: Object = {name: self._values.pop(name) for name in _OWN if name in self._values}
        source = self._values.get("source")
        # A null that is told says that the record has no source; nothing said means the file.
        if source is None and self._names_source:
            own["source"] = None
        elif isinstance(source, str) and source.strip():
            own["source"] = self._values.pop("source")
        return own

    def _check_ttl(self) -> None:
        if "ttl" not in self._values:
            return
        try:
            problem = require_number(self._values["ttl"], "ttl") <= 0
        except InvalidError:
            problem = True
        if problem:
            del self._values["ttl"]
            self.problems.append("'ttl' is no positive number of seconds and was left out")


def _is_vector(value: Json) -> bool:
    return (
        isinstance(value, list)
        # Shorter lists of numbers may mean something; no embedding has so few dimensions.
        and len(value) >= 32
        and all(isinstance(each, int | float) for each in value)
    )
