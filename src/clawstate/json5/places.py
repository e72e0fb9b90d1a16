"""Where in the text of a configuration a value stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from clawstate.json5.parse import Item, Node, Place
from clawstate.json5.path_grammar import KeyPath

_LINE_END = re.compile(r"\r\n?|\n")
_BOM = "\ufeff"


class Places:
    """
    The places of a *document* in its *text*; without them, nothing has a place.

    Counts as `place_of` does, but looks for the ends of lines only once.
    """

    def __init__(self, document: Node | None, text: str | None) -> None:
        self._document = document
        self._known = document is not None and text is not None
        written = text or ""
        ends = [match.end() for match in _LINE_END.finditer(written)]
        self._items: dict[Node, dict[str | int, Item]] = {}
        self._starts = [int(written.startswith(_BOM)), *ends]

    def of_value(self, path: KeyPath) -> Place | None:
        """Return where the value at *path* begins, or the nearest value around it."""
        found = self._item(path)
        return self._at(found.node.start if isinstance(found, Item) else found.start)

    def of_key(self, path: KeyPath) -> Place | None:
        """Return where the key at *path* begins, or the nearest value around it."""
        return self._at(self._item(path).start)

    def of_duplicates(self) -> Iterator[tuple[KeyPath, list[Place | None]]]:
        """Yield each key that an object has more than once, with all its places."""
        waiting: list[tuple[KeyPath, Node]] = [((), self._document)] if self._document else []
        while waiting:
            path, node = waiting.pop()
            # It has no keys below it, and its items, maybe thousands of numbers, need not be looked
            # for.
            if node.is_flat:
                continue
            for key in node.duplicates():
                yield (*path, key), [self._at(each.start) for each in node.items if each.key == key]
            for index, item in enumerate(node.items):
                waiting.append(((*path, index if item.key is None else item.key), item.node))

    def _item(self, path: KeyPath) -> Item | Node:
        found: Item | Node = self._document or Node("null", 0, 0, None)
        for step in path:
            node = found.node if isinstance(found, Item) else found
            below = self._items_of(node).get(step)
            if below is None:
                return node
            found = below
        return found

    def _items_of(self, node: Node) -> dict[str | int, Item]:
        """Return the items by their steps: `Node.item` reads on through all of them."""
        if node not in self._items:
            steps = enumerate(node.items)
            self._items[node] = {
                index if each.key is None else each.key: each for index, each in steps
            }
        return self._items[node]

    def _at(self, offset: int) -> Place | None:
        if not self._known:
            return None
        line = max(1, bisect_right(self._starts, offset))
        return Place(line, max(0, offset - self._starts[line - 1]) + 1)
