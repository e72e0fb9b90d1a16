"""The difference between a node and the value that it shall have, as small changes of its text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clawstate.errors import InvalidError
from clawstate.json5.edits import Change, ChangeSet, Edit, Span
from clawstate.json5.items import NewItem, insert_items, remove_item
from clawstate.json5.layout import indent_at, slot_of
from clawstate.json5.parse import Node, place_of
from clawstate.json5.plain_value import common_ends, is_same
from clawstate.json5.style import TextStyle, render_value
from clawstate.quantities import number_of

Site = tuple[Node, int] | None
"""The container of a node and its index there; the root has none."""


def diff_node(
    text: str, node: Node, wanted: Any, style: TextStyle, *, site: Site, file: Path
) -> Change:
    """
    Return the change that makes *node* mean *wanted*, or the first of several.

    What is alike on both sides is not touched. Changes that meet in one place, and new items where
    others go, are left for the next time: apply this one, parse again, and ask again until there
    is nothing to do. Raises `InvalidError` where a key to change stands twice.
    """
    return _Difference(text, style, file).between(node, wanted, site)


def ambiguous_key_error(text: str, node: Node, key: str, file: Path) -> InvalidError:
    """Return the error for a change of *key*, which the object *node* has more than once."""
    starts = [item.start for item in node.items if item.key == key]
    places = " and at ".join(str(place_of(text, start)) for start in starts)
    problem = f"the key {key!r} stands {number_of(len(starts), 'time')}, at {places}"
    return InvalidError(str(file), problem, "delete all but one of them")


def is_spread(text: str, site: Site) -> bool:
    """Tell whether the value at *site* may take several lines."""
    return site is None or slot_of(text, *site).own_line


class _Difference:
    def __init__(self, text: str, style: TextStyle, file: Path) -> None:
        self._text = text
        self._style = style
        self._file = file
        self._changes = ChangeSet()
        self._todo: list[tuple[Node, Any, Site]] = []

    def between(self, root: Node, wanted: Any, site: Site) -> Change:
        self._todo.append((root, wanted, site))
        while self._todo:
            node, value, place = self._todo.pop()
            # Nothing below here moves: comments, quotes and the spelling of numbers stay as they
            # are.
            if is_same(node.value, value):
                continue
            if node.kind == "object" and isinstance(value, dict):
                self._members(node, value, place)
            elif node.kind == "array" and isinstance(value, list):
                self._elements(node, value, place)
            else:
                self._changes.add(self._replacement(node, value, place))
        return self._changes.whole()

    def _members(self, node: Node, wanted: dict[str, Any], site: Site) -> None:
        places = {item.key: index for index, item in enumerate(node.items) if item.key is not None}
        # Equal keys that are not to change do no harm: the last counts, and stays the last.
        for key in node.duplicates():
            if key not in wanted or not is_same(node.value[key], wanted[key]):
                raise ambiguous_key_error(self._text, node, key, self._file)
        gone = [index for key, index in places.items() if key not in wanted]
        new = [(key, value) for key, value in wanted.items() if key not in places]
        # Where nothing stays, the new members come first, to see how the old ones were laid out.
        if new and len(gone) in {0, len(places)}:
            self._insert(node, len(node.items), new, site)
        else:
            self._remove(node, gone)
        self._todo += [
            (node.items[index].node, wanted[key], (node, index))
            for key, index in places.items()
            if key in wanted
        ]

    def _elements(self, node: Node, wanted: list[Any], site: Site) -> None:
        # No edit distance: what is alike at both ends stays, and what is between is matched one by
        # one. A run of elements that was added or taken out is found in that way, and the comments
        # of all others stay with them.
        start, end = common_ends(node.value, wanted)
        old_end, new_end = len(node.items) - end, len(wanted) - end
        # Of the elements between, as many as both have are changed from within, and the rest added
        # or removed behind them.
        middle = min(old_end, new_end)
        self._todo += [
            (node.items[index].node, wanted[index], (node, index)) for index in range(start, middle)
        ]
        self._remove(node, range(middle, old_end))
        if middle < new_end:
            new = [(None, value) for value in wanted[middle:new_end]]
            self._insert(node, middle, new, site)

    def _remove(self, node: Node, indices: Sequence[int]) -> None:
        # The last one that is left closes the brackets, and has to know that it is.
        later = 1 < len(indices) == len(node.items)
        for index in indices[1:] if later else indices:
            self._changes.add(remove_item(self._text, node, index))

    def _insert(self, node: Node, index: int, entries: Sequence[NewItem], site: Site) -> None:
        spread = is_spread(self._text, site)
        self._changes.add(
            insert_items(self._text, node, index, entries, self._style, spread=spread)
        )

    def _replacement(self, node: Node, value: Any, site: Site) -> Change:
        spread = is_spread(self._text, site)
        # Looked for only where it counts: all that is changed may stand on one long line.
        indent = indent_at(self._text, node.start) if spread else ""
        new = render_value(value, self._style, indent=indent, spread=spread)
        return Change((Edit(node.start, node.end, new),), (Span(node.start, node.end),))
