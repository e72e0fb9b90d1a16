"""
The configuration as one tree: a file, and what its `$include` name, merged.

The rules are OpenClaw's (2026.2.26): an include is relative to its file and stays in the directory
of the first one; files of a list are merged from left to right, and the keys beside `$include` over
them. Beyond these, the number and the size of all includes together are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clawstate.config.containment import Containment, format_chain, include_error
from clawstate.config.merging import join
from clawstate.config.provenance import Origin, Piece, Provenance, Trace
from clawstate.config.sources import FileRead, Notice, Source, format_place, parse_source
from clawstate.errors import ConfigError, CorruptError
from clawstate.interrupts import load_modules
from clawstate.json5.parse import Node, place_of
from clawstate.json5.path_grammar import KeyPath

INCLUDE = "$include"
"""The key whose value names the files to include."""

_LONG = 20_000  # characters of a text from which on it pays to look at the value alone first
_MOST_NOTICES = 100  # each costs a look through the text


@dataclass(frozen=True, slots=True, eq=False)
class IncludeScan:
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


def scan_includes(source: Source) -> IncludeScan:
    """Return where *source* includes other files, how deep it is, and what is odd about it."""
    if len(source.text) > _LONG and (depth := _plain_depth(source)) is not None:
        return IncludeScan(source, frozenset(), depth, ())
    depth = 0
    including: set[Node] = set()
    doubled: list[Node] = []
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
    return IncludeScan(source, frozenset(including), depth, _notices(source, doubled))


def _plain_depth(source: Source) -> int | None:
    """
    Return how deep *source* is if it includes nothing and has no key twice, else `None`.

    Nothing is included without the word, which only an escape could hide, and no key is twice where
    there are as many members as colons. So no item need be found, which takes half a second for a
    megabyte on one line.
    """
    load_modules("clawstate.json5.edits", "clawstate.json5.plain_value")
    from clawstate.json5.edits import strip_words  # noqa: PLC0415 - for long texts alone
    from clawstate.json5.plain_value import measure  # noqa: PLC0415 - for long texts alone

    if INCLUDE in source.text or "\\" in source.text:
        return None
    depth, members = measure(source.document.value)
    return depth if strip_words(source.text).count(":") == members else None


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


MAX_INCLUDE_DEPTH = 10
"""So many files may include one another in a row."""

MAX_LEVELS = 100
"""So deep may the merged tree be, far below what would exhaust the stack of a reader."""

MAX_INCLUDES = 250
"""So many includes may one configuration have, the same file counted each time."""

MAX_INCLUDED_BYTES = 10_000_000
"""So much may they hold together, the same file counted each time."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer:
    """
    One file with all that it includes.

    *value* still has its `${VAR}`, and shares with the trees of its files: change nothing in it.
    *source* is `None` where there is no file; then *value* is empty.
    """

    path: Path
    source: Source | None
    value: dict[str, Any]
    provenance: Provenance
    files: tuple[FileRead, ...]
    notices: tuple[Notice, ...] = ()


def include_all(source: Source) -> Layer:
    """
    Return *source* with everything it includes.

    Raises `ConfigError` for an include that breaks a rule, and `CorruptError` for one that is not
    JSON5; both name the file, line and column of the `$include`, and every file that led to it.
    """
    including = _Including(source)
    piece = including.whole()
    path = source.path
    if not isinstance(piece.value, dict):
        raise ConfigError(str(path), "must be an object", "put its settings between { and }")
    files, notices = including.files_and_notices()
    return Layer(path, source, piece.value, Provenance(piece.trace), files, notices)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A file that is being merged; *chain* are the includes that led to it, *level* its depth."""

    scan: IncludeScan
    chain: tuple[Origin, ...]
    level: int

    def origin(self, node: Node, at: KeyPath) -> Origin:
        return Origin(self.scan.source, at, node)


class _Including:
    def __init__(self, source: Source) -> None:
        self._root = source
        self._containment = Containment(source.path.parent)
        self._scans = {source.file.real: scan_includes(source)}
        self._count = self._size = 0

    def whole(self) -> Piece:
        found = self._scans[self._root.file.real]
        if found.depth > MAX_LEVELS:
            raise _too_deep(format_place(self._root.path, None))
        return self._piece(_Frame(found, (), 0), self._root.document, ())

    def files_and_notices(self) -> tuple[tuple[FileRead, ...], tuple[Notice, ...]]:
        scans = self._scans.values()
        files = tuple(each.source.file for each in scans)
        return files, tuple(notice for each in scans for notice in each.notices)

    def _piece(self, frame: _Frame, node: Node, at: KeyPath) -> Piece:
        if node not in frame.scan.including:
            return Piece(node.value, Trace((frame.origin(node, at),)))
        if node.kind == "array":
            return self._array(frame, node, at)
        members = {item.key or "": item.node for item in node.items}
        named = members.pop(INCLUDE, None)
        if named is None:
            return self._object(frame, node, at, members)
        return self._merge_included(frame, node, at, named, members)

    def _array(self, frame: _Frame, node: Node, at: KeyPath) -> Piece:
        pieces = [
            self._piece(frame, item.node, (*at, index)) for index, item in enumerate(node.items)
        ]
        children: dict[str | int, Trace] = {i: piece.trace for i, piece in enumerate(pieces)}
        origin = frame.origin(node, at)
        return Piece([piece.value for piece in pieces], Trace((origin,), children))

    def _object(self, frame: _Frame, node: Node, at: KeyPath, members: dict[str, Node]) -> Piece:
        pieces = {key: self._piece(frame, each, (*at, key)) for key, each in members.items()}
        children: dict[str | int, Trace] = {key: piece.trace for key, piece in pieces.items()}
        value = {key: piece.value for key, piece in pieces.items()}
        return Piece(value, Trace((frame.origin(node, at),), children))

    def _merge_included(
        self, frame: _Frame, node: Node, at: KeyPath, named: Node, members: dict[str, Node]
    ) -> Piece:
        own = self._object(frame, node, at, members)
        level = frame.level + len(at)
        chains = [(*frame.chain, origin) for origin in _names(frame, named, (*at, INCLUDE))]
        pieces = [self._file(chain, level) for chain in chains]
        if not pieces:
            return own
        if members and not isinstance(pieces[-1].value, dict):
            problem = "has keys beside it, but what it includes is not an object"
            raise include_error(chains[-1], problem, "remove those keys")
        piece = join([*pieces, own] if members else pieces)
        return Piece(piece.value, replace(piece.trace, including=own.trace.origins[0]))

    def _file(self, chain: tuple[Origin, ...], level: int) -> Piece:
        if len(chain) > MAX_INCLUDE_DEPTH:
            problem = f"is nested more than {MAX_INCLUDE_DEPTH:,} includes deep"
            raise include_error(chain, problem, "include that file further up")
        found = self._scan(chain)
        self._count_source(chain, found.source)
        # Counted together: ten files of a hundred levels each would exhaust the stack of a reader.
        if level + found.depth > MAX_LEVELS:
            raise _too_deep(str(chain[-1]))
        return self._piece(_Frame(found, chain, level), found.source.document, ())

    def _scan(self, chain: tuple[Origin, ...]) -> IncludeScan:
        path, real = self._containment.resolve(chain)
        links = [origin.source.file.real for origin in chain]
        if real in links:
            circle = [*(origin.source.path for origin in chain[links.index(real) :]), path]
            names = " -> ".join(map(str, circle))
            raise include_error(chain, f"closes a circle: {names}", "remove one of these includes")
        if real not in self._scans:
            raw, file = self._containment.read(chain, path, real)
            self._scans[real] = scan_includes(_parse(chain, raw, file))
        return self._scans[real]

    def _count_source(self, chain: tuple[Origin, ...], source: Source) -> None:
        self._count += 1
        self._size += len(source.text)
        if self._count > MAX_INCLUDES or self._size > MAX_INCLUDED_BYTES:
            limits = f"{MAX_INCLUDES:,} files or {MAX_INCLUDED_BYTES:,} bytes"
            raise include_error(chain, f"makes the includes more than {limits}", "include less")


def _names(frame: _Frame, named: Node, at: KeyPath) -> Sequence[Origin]:
    if named.kind == "string":
        return [frame.origin(named, at)]
    if named.kind == "array":
        names = [frame.origin(item.node, (*at, i)) for i, item in enumerate(named.items)]
        wrong = next((each for each in names if each.node.kind != "string"), None)
    else:
        names, wrong = [], frame.origin(named, at)
    if wrong is not None:
        problem = f"must be the name of a file, or an array of names, not of kind {wrong.node.kind}"
        raise include_error((*frame.chain, wrong), problem, "write the path of a file")
    return names


def _parse(chain: tuple[Origin, ...], raw: bytes, file: FileRead) -> Source:
    try:
        return parse_source(raw, file)
    except CorruptError as error:
        problem, hint = error.problem, error.hint
    raise CorruptError(str(file.path), f"{problem} ({format_chain(chain)})", hint)


def _too_deep(where: str) -> ConfigError:
    return ConfigError(where, f"leads to more than {MAX_LEVELS:,} levels", "flatten the settings")
