"""The front matter of a note: what stands between two rules at its start, as YAML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any, ClassVar

from clawstate.clock import from_iso, is_moment
from clawstate.errors import InvalidError
from clawstate.importers.json_values import moment_or_none
from clawstate.importers.lines import TextLine
from clawstate.importers.passages import Json
from clawstate.interrupts import load_modules

if TYPE_CHECKING:
    from yaml import SafeLoader

# Front matter has some ten lines; without a bound a rule at the top would gather the whole file.
_MOST_LINES = 400
_RULE = "---"
_ENDS = {"---", "..."}
_YAML_LINE = re.compile(r"\s*(?:#|-(?:\s|$)|[^\s:#-][^:]{0,200}:(?:\s|$))|\s+\S|\s*$")
_LINE = re.compile(r"([^\s:#-][^:]{0,200}?):(?:\s+(.*))?$")
# An alias costs a few bytes, and stands for all that its anchor does: without a bound a short text
# would grow beyond any memory.
_MOST_VALUES = 4096
_DEEPEST = 16
_LONGEST_VALUE = 16 * 1024  # characters as JSON; the metadata of a record may have 64 KiB

_CREATED = ("created", "createdat", "created_at", "date_created", "creation_date", "date")
_PLAIN_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?=$|[T\s])")
_NAMED_DATE = re.compile(r"(?<!\d)(\d{4})([-_.]?)(\d{2})\2(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What the front matter says of the document; `created_at` in seconds since the epoch."""

    title: str = ""
    tags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    created_at: float | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)


def without_front_matter(lines: Iterator[TextLine]) -> tuple[FrontMatter, Iterator[TextLine]]:
    """
    Return the front matter at the start of *lines*, and the lines after it.

    Two rules with anything but a mapping between them are not taken for front matter. What is no
    valid YAML, as notes often are, is read line by line.
    """
    head: list[TextLine] = []
    for line in lines:
        head.append(line)
        number, text = line
        is_rule = text.rstrip() in ({_RULE} if number == 1 else _ENDS)
        # A line that is missing was damaged; what stands around it is no front matter then.
        if number != len(head) or number > _MOST_LINES or (number == 1 and not is_rule):
            break
        if number > 1 and is_rule:
            found = _parse([text for _, text in head[1:-1]])
            return (FrontMatter(), chain(head, lines)) if found is None else (found, lines)
    return FrontMatter(), chain(head, lines)


def date_in_name(name: str) -> float | None:
    """Return the day that the file's *name* tells, such as `2024-05-04 Lisbon`, in UTC."""
    for found in _NAMED_DATE.finditer(name):
        year, _, month, day = found.groups()
        if (moment := _day(year, month, day)) is not None:
            return moment
    return None


def _parse(lines: Sequence[str]) -> FrontMatter | None:
    values = _values("\n".join(lines))
    if values is None and all(map(_YAML_LINE.match, lines)):
        values = _by_lines(lines)
    if values is None:
        return None
    # To YAML a tag with its mark is a comment; to who wrote it, a tag.
    return _front_matter({**values, **dict(_marked_tags(lines))})


def _values(text: str) -> Mapping[str, Json] | None:
    """Return the mapping that the YAML *text* is; None where it is none."""
    load_modules("yaml")
    import yaml  # noqa: PLC0415 - only notes with front matter need it

    try:
        found = yaml.load(text, _loader())  # noqa: S506 - a safe loader, with fewer types still
        if found is None:
            return {}
        return _Plain().mapping(found) if isinstance(found, dict) else None
    except (yaml.YAMLError, InvalidError, RecursionError, ValueError):
        return None


@cache
def _loader() -> type[SafeLoader]:
    import yaml  # noqa: PLC0415 - as above

    # The types of YAML 1.2, which editors of notes write: in 1.1 "no" is false and 12:30 is 750.
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    for name, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("int", r"[-+]?(?:0|[1-9]\d*)", "-+0123456789"),
        ("float", r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?", "-+.0123456789"),
        ("merge", r"<<", "<"),
    ):
        Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{name}", re.compile(f"(?:{pattern})$"), first
        )
    return Loader


class _Plain:
    """What YAML said, as JSON can say it."""

    def __init__(self) -> None:
        self._count = 0

    def mapping(self, values: Mapping[Any, Any], depth: int = 0) -> dict[str, Json]:
        return {_text(name): self._value(each, depth) for name, each in values.items()}

    def _value(self, value: Any, depth: int) -> Json:
        self._count += 1
        if self._count > _MOST_VALUES or depth > _DEEPEST:
            raise InvalidError("front matter", "holds too much")
        if isinstance(value, dict):
            return self.mapping(value, depth + 1)
        if isinstance(value, list | set | tuple):
            return [self._value(each, depth + 1) for each in value]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) < 1 << 63 else str(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        return _text(value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    # Explicit tags (`!!timestamp`, `!!binary`) give other types.
    return value if isinstance(value, str) else str(value)


def _by_lines(lines: Sequence[str]) -> dict[str, Json]:
    """Return what the lines `name: value` and the lists below them say."""
    found: dict[str, Json] = {}
    name = ""
    for line in lines:
        if matched := _LINE.match(line):
            name, value = matched.group(1).strip(), (matched.group(2) or "").strip()
            items = value[1:-1].split(",") if value[:1] + value[-1:] == "[]" else None
            found[name] = _scalar(value) if items is None else [_scalar(each) for each in items]
        elif name and _is_item(line):
            listed = found[name]
            above = listed if isinstance(listed, list) else []
            found[name] = [*above, _scalar(line.lstrip().removeprefix("-"))]
    return found


def _marked_tags(lines: Sequence[str]) -> Iterator[tuple[str, Json]]:
    for index, line in enumerate(lines):
        matched = _LINE.match(line)
        if matched is None or matched.group(1).lower() not in {"tag", "tags"}:
            continue
        value = (matched.group(2) or "").strip()
        items = [each.strip() for each in takewhile(_is_item, lines[index + 1 :])]
        given = value.strip("[]").split(",") if value else [each[1:] for each in items]
        if any(each.strip().startswith("#") for each in given):
            yield matched.group(1), [_scalar(each) for each in given]


def _is_item(line: str) -> bool:
    return line.lstrip().startswith("-")


def _scalar(value: str) -> str:
    value = value.strip()
    for quote in "\"'":
        if len(value) > 1 and value[0] == value[-1] == quote:
            return value[1:-1].strip()
    return value.split(" #", maxsplit=1)[0].strip()


def _front_matter(values: Mapping[str, Json]) -> FrontMatter:
    by_name = {name.lower().replace(" ", "_"): each for name, each in values.items()}
    tags = tuple(dict.fromkeys((*_tags(by_name.get("tags")), *_tags(by_name.get("tag")))))
    called = [each for name in ("aliases", "alias") for each in _texts(by_name.get(name))]
    called += [" ".join(each.split()) for each in _texts(by_name.get("description"))]
    title = by_name.get("title")
    created = (_moment(by_name[name]) for name in _CREATED if name in by_name)
    return FrontMatter(
        title=" ".join(_text(title).split()) if isinstance(title, str | int | float) else "",
        tags=tags,
        names=(*called, *tags),
        created_at=next((each for each in created if each is not None), None),
        metadata={
            name: each
            for name, each in values.items()
            # Tags are those of the record; of a blob in a note nobody asks by metadata.
            if name.lower() not in {"tags", "tag"} and _is_short(each)
        },
    )


def _is_short(value: Json) -> bool:
    return len(json.dumps(value, ensure_ascii=False)) <= _LONGEST_VALUE


def _texts(value: Json) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [_text(each).strip() for each in values if isinstance(each, str | int | float)]


def _tags(value: Json) -> Iterator[str]:
    # One text is a list that was written without brackets; in a list a comma is part of a tag.
    values = value.split(",") if isinstance(value, str) else _texts(value)
    for each in values:
        if tag := each.strip().removeprefix("#").strip():
            yield tag


def _moment(value: Json) -> float | None:
    if not isinstance(value, str):
        return moment_or_none(value) if isinstance(value, int | float) else None
    plain = value.strip()
    try:
        found = from_iso(plain)
        return found if is_moment(found) else None
    except InvalidError:
        day = _PLAIN_DATE.match(plain)
        return None if day is None else _day(*day.groups())


def _day(year: str, month: str, day: str) -> float | None:
    try:
        found = from_iso(date(int(year), int(month), int(day)).isoformat())
    except ValueError:
        return None
    return found if is_moment(found) else None
