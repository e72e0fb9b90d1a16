"""A value that moves from one file to another as it is written, with its comments."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from clawstate.errors import StateError
from clawstate.json5.comments import comments_in
from clawstate.json5.key_path import KeyPath
from clawstate.json5.parse import Item, Node, parse_document
from clawstate.json5.patch import set_text
from clawstate.json5.plain_value import same

_STAND_IN = "the value that comes here"


class Excerpt(NamedTuple):
    """The text of a value, and the *comments* that belong to it, within and beside."""

    text: str
    comments: tuple[str, ...]


def adopt_text(text: str, path: KeyPath, value: Any, excerpt: Excerpt | None, *, file: Path) -> str:
    """
    Return *text* with *value* at *path*, written as *excerpt* has it.

    What cannot be taken over as it is written is written anew, without its comments. Raises as
    `set_text`.
    """
    plain = set_text(text, path, value, file=file)
    if excerpt is None:
        return plain
    wanted = parse_document(plain, path=file).value
    inside = [excerpt.text[slice(*span)] for span in comments_in(excerpt.text)]
    beside = [each for each in excerpt.comments if each not in inside]
    for comments in (beside, []):
        found = _adopted(set_text(text, path, _STAND_IN, file=file), path, excerpt, comments, file)
        if found is not None and same(_value(found, file), wanted):
            return found
    return plain


def _adopted(
    text: str, path: KeyPath, excerpt: Excerpt, comments: list[str], file: Path
) -> str | None:
    item = _item(parse_document(text, path=file), path)
    if item is None:
        return None
    end = item.end if item.comma is None else item.comma + 1
    after = "".join(f" {each}" for each in comments)
    found = f"{text[: item.node.start]}{excerpt.text}{text[item.node.end : end]}{after}{text[end:]}"
    kept = [*comments_of(text), *comments_of(excerpt.text), *comments]
    return found if sorted(comments_of(found)) == sorted(kept) else None


def comments_of(text: str) -> list[str]:
    """Return the comments of *text*; none if it is no JSON5."""
    try:
        return [text[slice(*span)] for span in comments_in(text)]
    except (StateError, ValueError):
        return []


def _item(node: Node, path: KeyPath) -> Item | None:
    item = None
    for step in path:
        item = next((each for each in node.items if each.key == step), None)
        if item is None:
            return None
        node = item.node
    return item


def _value(text: str, file: Path) -> Any:
    try:
        return parse_document(text, path=file).value
    except StateError:
        return None
