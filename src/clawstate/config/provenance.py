"""
Where each value of a configuration stands in its files.

Whoever changes a value asks `Provenance.at` for its trace. One origin: the change goes to that
file, at that node, if `Trace.files` names no other. Several: the value is a merge, and no single
file holds it. None: nothing is there yet, and `Provenance.nearest` finds what would hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from clawstate.config.sources import Source, format_place
from clawstate.json5.parse import Node, Place, place_of
from clawstate.json5.path_grammar import KeyPath


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """A *node* of one file, at *path* in that file, which need not be its path in the whole."""

    source: Source = field(repr=False)
    path: KeyPath
    node: Node = field(repr=False)

    @property
    def place(self) -> Place:
        """Where the value starts in its file."""
        return place_of(self.source.text, self.node.start)

    def __str__(self) -> str:
        return format_place(self.source.path, self.place)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """
    What made one value.

    *origins* are the nodes it consists of, the one that wins first: more than one only for objects
    and arrays that were merged. *including* is the object whose `$include` brought it, and which
    may hold keys of its own over it. *hidden* are values of other files that this one replaces and
    that would come back without it.
    """

    origins: tuple[Origin, ...]
    children: Mapping[str | int, Trace] | None = None
    including: Origin | None = None
    hidden: tuple[Origin, ...] = ()

    def members(self) -> Mapping[str | int, Trace]:
        """Return the traces of what this value contains."""
        # Where nothing was merged the tree of the file tells all: a trace of each value of a large
        # configuration, of which few are asked for, would double what reading it costs.
        if self.children is not None:
            return self.children
        own = self.origins[0]
        items = enumerate(own.node.items)
        keyed = {index if item.key is None else item.key: item.node for index, item in items}
        return {
            step: Trace((Origin(own.source, (*own.path, step), node),))
            for step, node in keyed.items()
        }

    def files(self) -> frozenset[Path]:
        """Return every file that has a part in this value, at any depth."""
        found: set[Path] = set()
        rest = [self]
        while rest:
            trace = rest.pop()
            found.update(origin.source.path for origin in trace.origins)
            rest.extend((trace.children or {}).values())
        return frozenset(found)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Piece:
    """A value and its trace; what it shares with other pieces is never changed in place."""

    value: Any
    trace: Trace


class Traces(Protocol):
    """Whatever knows what made a value."""

    def at(self, path: KeyPath) -> Trace | None:
        """Return what made the value at *path*, or `None` if there is none."""


class Provenance:
    """The traces of a whole configuration, by key path; each is looked up in constant time."""

    def __init__(self, root: Trace | None) -> None:
        self._root = root
        self._members: dict[KeyPath, Mapping[str | int, Trace]] = {}

    def at(self, path: KeyPath) -> Trace | None:
        """Return what made the value at *path*, or `None` if there is none; -1 is the last."""
        known, trace = self.nearest(path)
        return trace if len(known) == len(path) else None

    def nearest(self, path: KeyPath) -> tuple[KeyPath, Trace | None]:
        """
        Return the longest beginning of *path* that is there, and what made it.

        The trace is `None` only if there is no file at all. Negative indices are returned as the
        indices that they mean.
        """
        if self._root is None:
            return (), None
        known: KeyPath = ()
        trace = self._root
        for step in path:
            members = self._members_of(known, trace)
            place = _place(members, step)
            if place not in members:
                break
            known, trace = (*known, place), members[place]
        return known, trace

    def _members_of(self, path: KeyPath, trace: Trace) -> Mapping[str | int, Trace]:
        if path not in self._members:
            self._members[path] = trace.members()
        return self._members[path]


def _place(members: Mapping[str | int, Trace], step: str | int) -> str | int:
    if isinstance(step, str):
        return step
    if isinstance(next(iter(members), 0), str):
        return str(step)  # in an object a number is a key, as in JavaScript
    return step if step >= 0 else step + len(members)
