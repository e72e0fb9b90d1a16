"""
Changes of JSON5 text that keep all else as its writer left it.

Each function takes a text and returns a text; comments, order, quotes, spellings of numbers, line
ends and indents outside of what is changed stay to the character. Nothing is returned before it
was read again and found to mean exactly what was asked for, with all comments but those that
belonged to what is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from clawstate.errors import CorruptError, NotFoundError, StateError
from clawstate.json5.difference import Site, ambiguous_key_error, diff_node, is_spread
from clawstate.json5.edits import Change, Span, apply_edits, comments_in
from clawstate.json5.items import NewItem, insert_items, remove_item
from clawstate.json5.key_path import (
    KeyPath,
    format_key_path,
    get_at,
    place_in,
    set_at,
    unset_at,
)
from clawstate.json5.parse import Item, Node, parse_document
from clawstate.json5.plain_value import align_keys, is_same, require_plain
from clawstate.json5.scan import ScanError, skip_blank
from clawstate.json5.style import TextStyle, line_end_of, style_of

_BOM = "\ufeff"
# Changes that meet in one place wait for the next round; three are the most seen.
_MOST_ROUNDS = 20


class Removed(NamedTuple):
    """A text without what was unset, and the *comments* that went with it."""

    text: str
    comments: tuple[str, ...]


def set_text(text: str, path: KeyPath, value: Any, *, file: Path) -> str:
    """
    Return *text*, read from *file*, with *value* at *path*, by the rules of `set_at`.

    A value that is there already changes nothing. Objects and arrays are changed from within:
    members and elements that stay are not touched, and new members come last. The empty path sets
    the whole document, and a text without a value is an empty object. Comments within a replaced
    value, or beside a member that *value* lacks, are lost. Raises `InvalidError` for a path that
    does not fit, a key that stands twice, and a value that JSON cannot hold; `CorruptError` for a
    *text* that is not JSON5. No error tells a value.
    """
    require_plain(value, above=len(path))
    source = _source(text, file)
    wanted = set_at(source.root.value, path, _in_old_order(source.root.value, path, value))

    def plan(current: _Source) -> Change:
        return _plan_setting(current, path, wanted)

    # What is wanted was settled on values, without the text: so a mistake in the editing of the
    # text can only end in a refusal, never in another configuration (decision 11).
    return _carry_out(source, path, wanted, plan, rounds=_MOST_ROUNDS).text


def unset_text(text: str, path: KeyPath, *, file: Path) -> Removed:
    """
    Return *text*, read from *file*, without what stands at *path*, by the rules of `unset_at`.

    Comments that stand on the lines of what is unset go with it; those on lines of their own stay.
    Raises `NotFoundError` if nothing stands there, and else as `set_text`.
    """
    source = _source(text, file)
    wanted = unset_at(source.root.value, path)
    return _carry_out(
        source, path, wanted, lambda current: _plan_unsetting(current, path), rounds=1
    )


@dataclass(frozen=True, slots=True)
class _Source:
    text: str
    root: Node
    file: Path

    def style(self) -> TextStyle:
        return style_of(self.text, self.root)


def _source(text: str, file: Path) -> _Source:
    text = _with_object(text)
    return _Source(text, parse_document(text, path=file), file)


def _with_object(text: str) -> str:
    """Return *text*, or, if no value stands in it, *text* with an empty object at its end."""
    if not _has_no_value(text):
        return text
    line_end = line_end_of(text)
    if not comments_in(text):
        return f"{_BOM if text.startswith(_BOM) else ''}{{}}{line_end}"
    # A text of comments alone may end in a `//` comment, of which the object would be a part.
    between = "" if text.endswith(("\n", "\r")) else line_end
    return f"{text}{between}{{}}{line_end}"


def _has_no_value(text: str) -> bool:
    try:
        return skip_blank(text, 0) == len(text)
    except ScanError:
        return False


def _in_old_order(document: Any, path: KeyPath, value: Any) -> Any:
    try:
        old = get_at(document, path)
    except NotFoundError:
        return value
    return align_keys(old, value)


def _plan_setting(source: _Source, path: KeyPath, wanted: Any) -> Change:
    node, site, depth = _walk(source, path)
    if depth < len(path):
        return _plan_addition(source, path[: depth + 1], wanted, node, site)
    value = get_at(wanted, path)
    return diff_node(source.text, node, value, source.style(), site=site, file=source.file)


def _plan_addition(source: _Source, path: KeyPath, wanted: Any, node: Node, site: Site) -> Change:
    """Add the last step of *path* to the container *node*, with all that it is to hold."""
    place = place_in(node.value, path[-1])
    entry = (place if isinstance(place, str) else None, get_at(wanted, path))
    return _plan_insertion(source, node, len(node.items), entry, site)


def _plan_insertion(source: _Source, node: Node, index: int, entry: NewItem, site: Site) -> Change:
    spread = is_spread(source.text, site)
    return insert_items(source.text, node, index, [entry], source.style(), spread=spread)


def _plan_unsetting(source: _Source, path: KeyPath) -> Change:
    _, site, _ = _walk(source, path)
    return remove_item(source.text, *site) if site else Change()


def _walk(source: _Source, path: KeyPath) -> tuple[Node, Site, int]:
    """Return the node where *path* ends, or where it leaves the text, and after how many steps."""
    node, site = source.root, None
    for depth, step in enumerate(path):
        index = _index(source, node, place_in(node.value, step))
        if index is None:
            return node, site, depth
        node, site = node.items[index].node, (node, index)
    return node, site, len(path)


def _index(source: _Source, node: Node, place: str | int | None) -> int | None:
    if isinstance(place, int):
        return place if place < len(node.items) else None
    found = [index for index, item in enumerate(node.items) if item.key == place]
    # The last of them counts, but whoever wrote them may have another in mind.
    if len(found) > 1:
        raise ambiguous_key_error(source.text, node, str(place), source.file)
    return found[0] if found else None


def _carry_out(
    source: _Source,
    path: KeyPath,
    wanted: Any,
    plan: Callable[[_Source], Change],
    *,
    rounds: int,
) -> Removed:
    gone: list[str] = []
    for _ in range(rounds):
        if is_same(source.root.value, wanted):
            break
        source, comments = _apply(source, path, plan(source))
        gone += comments
    # Also when the rounds are used up: what never comes to an end is a mistake of ours, and is not
    # written.
    if not is_same(source.root.value, wanted):
        raise _give_up(source.file, path, "it would not mean what was asked for")
    return Removed(source.text, tuple(gone))


def _apply(source: _Source, path: KeyPath, change: Change) -> tuple[_Source, list[str]]:
    # No grammar of edits is trusted: what was put together is read again, as whoever comes next
    # will read it, and dropped unless it is JSON5, means what was asked for, and has all comments.
    text = apply_edits(source.text, change.edits)
    root = _read_again(text, source.file)
    if root is None:
        raise _give_up(source.file, path, "it would not be JSON5")
    kept, gone = _split_comments(source.text, change.removed)
    # By their texts and order: where they stand may have changed.
    if kept != [text[slice(*span)] for span in comments_in(text)]:
        raise _give_up(source.file, path, "it would lose a comment")
    return _Source(text, root, source.file), gone


def _read_again(text: str, file: Path) -> Node | None:
    try:
        return parse_document(text, path=file)
    except CorruptError:
        return None


def _split_comments(text: str, removed: tuple[Span, ...]) -> tuple[list[str], list[str]]:
    """Return the comments of *text* that a change is to keep, and those that it takes away."""
    parts: tuple[list[str], list[str]] = ([], [])
    for start, end in comments_in(text):
        goes = any(span.start <= start and end <= span.end for span in removed)
        parts[goes].append(text[start:end])
    return parts


def _give_up(file: Path, path: KeyPath, problem: str) -> StateError:
    name = format_key_path(path) or "the document"
    return StateError(f"{file}: {name} was not changed, as {problem}; edit the file by hand")


_STAND_IN = "the value that comes here"


class Excerpt(NamedTuple):
    """The text of a value, and the *comments* that belong to it, within and beside."""

    text: str
    comments: tuple[str, ...]


def move_text(text: str, path: KeyPath, value: Any, excerpt: Excerpt | None, *, file: Path) -> str:
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
    # First with the comments that stood beside it. A `//` comment may take what follows on the line
    # with it: where they fit in nowhere, the value goes without them.
    for comments in (beside, []):
        found = _paste(set_text(text, path, _STAND_IN, file=file), path, excerpt, comments, file)
        if found is not None and is_same(_value(found, file), wanted):
            return found
    return plain


def _paste(
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
