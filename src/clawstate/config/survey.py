"""What has to be known of a file before it is merged: where it includes, how deep it is."""

from __future__ import annotations

from dataclasses import dataclass

from clawstate.config.notices import Notice
from clawstate.config.sources import Source
from clawstate.json5.parse import Node, place_of

INCLUDE = "$include"
"""The key whose value names the files to include."""

_MOST_NOTICES = 100  # each costs a look through the text


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """
    One file, looked through.

    *including* are the nodes that hold an `$include` at any depth, themselves included; all others
    can be taken as they are. *depth* counts the levels of objects and arrays.
    """

    source: Source
    including: frozenset[Node]
    depth: int
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    node: Node
    parent: _Seen | None
    level: int


def survey(source: Source) -> Survey:
    """Return the survey of *source*."""
    including: set[Node] = set()
    doubled: list[Node] = []
    depth = 0
    rest = [_Seen(source.document, None, 1)] if source.document.is_filled else []
    while rest:
        seen = rest.pop()
        depth = max(depth, seen.level)
        if seen.node.is_flat:
            continue
        if len(seen.node.value) < len(seen.node.items):
            doubled.append(seen.node)
        if seen.node.kind == "object" and INCLUDE in seen.node.value:
            _mark(seen, including)
        rest += [
            _Seen(item.node, seen, seen.level + 1)
            for item in seen.node.items
            if item.node.is_filled
        ]
    return Survey(source, frozenset(including), depth, _notices(source, doubled))


def _mark(seen: _Seen | None, including: set[Node]) -> None:
    while seen is not None and seen.node not in including:
        including.add(seen.node)
        seen = seen.parent


def _notices(source: Source, doubled: list[Node]) -> tuple[Notice, ...]:
    doubled.sort(key=lambda node: node.start)
    return tuple(
        Notice(
            source.path,
            place_of(source.text, node.start),
            f"this object has the key {key[:100]!r} more than once; the last one counts",
        )
        for node in doubled[:_MOST_NOTICES]
        for key in node.duplicates()[:_MOST_NOTICES]
    )
