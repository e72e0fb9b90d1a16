"""The front matter of a Markdown file: the few fields of it that a memory can use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from clawstate.importers.lines import TextLine

_MOST_LINES = 400
_FENCE = "---"
_ENDS = {"---", "..."}
_YAML_LINE = re.compile(r"\s*(?:#|-(?:\s|$)|[^\s:#-][^:]{0,200}:(?:\s|$))|\s+\S|\s*$")
_FIELD = re.compile(r"(title|tags):(?:\s+(.*))?$")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What the front matter says of the document."""

    title: str = ""
    tags: tuple[str, ...] = ()


def without_front_matter(lines: Iterator[TextLine]) -> tuple[FrontMatter, Iterator[TextLine]]:
    """
    Return the front matter at the start of *lines*, and the lines after it.

    Two rules with anything but YAML between them are not taken for front matter.
    """
    head: list[TextLine] = []
    for line in lines:
        head.append(line)
        number, text = line
        if number != len(head) or number > _MOST_LINES or not _may_belong(text, first=number == 1):
            break
        if number > 1 and text.rstrip() in _ENDS:
            return _parsed([text for _, text in head[1:-1]]), lines
    return FrontMatter(), chain(head, lines)


def _may_belong(text: str, *, first: bool) -> bool:
    if first:
        return text.rstrip() == _FENCE
    return text.rstrip() in _ENDS or _YAML_LINE.match(text) is not None


def _parsed(lines: Sequence[str]) -> FrontMatter:
    title = ""
    tags: tuple[str, ...] = ()
    for index, line in enumerate(lines):
        field = _FIELD.match(line)
        value = (field.group(2) or "").strip() if field else ""
        if field and field.group(1) == "title":
            title = _scalar(value)
        elif field:
            tags = _tags(value.removeprefix("[").removesuffix("]").split(",")) or _items(
                lines[index + 1 :]
            )
    return FrontMatter(title, tags)


def _items(lines: Sequence[str]) -> tuple[str, ...]:
    items = []
    for line in lines:
        if not line.lstrip().startswith("-"):
            break
        items.append(line.lstrip().removeprefix("-"))
    return _tags(items)


def _tags(values: Sequence[str]) -> tuple[str, ...]:
    tags = (_scalar(value).removeprefix("#").strip() for value in values)
    return tuple(dict.fromkeys(tag for tag in tags if tag))


def _scalar(value: str) -> str:
    value = value.strip()
    for quote in "\"'":
        if len(value) > 1 and value[0] == value[-1] == quote:
            return value[1:-1].strip()
    return value.split(" #", maxsplit=1)[0].strip()
