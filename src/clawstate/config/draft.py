"""
A layer of the configuration with changes that nobody wrote yet: which file, which place, new text.

A value of an included file is changed in that file. One that is put together from several files
is refused, because writing the result into one of them would take the others out of use.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from clawstate.config.includes import INCLUDE, Layer, include_all
from clawstate.config.provenance import Origin, Trace
from clawstate.config.rewrite import Rewrite
from clawstate.config.sources import Source, look_at
from clawstate.errors import ConfigError, InvalidError, NotFoundError
from clawstate.json5.edits import comments_in
from clawstate.json5.key_path import KeyPath, format_key_path, get_at, set_at, unset_at
from clawstate.json5.parse import parse_document
from clawstate.json5.patch import Excerpt, move_text, set_text, unset_text

_Edit = Callable[[str, Path], str]

Made = Callable[[Path, KeyPath, KeyPath], bool]
"""Tells whether the object in a file, at a path there and in the whole, was made for a key."""


class Draft:
    """The *layer* as it shall be; *value* is what it then says, its `${VAR}` as written."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._root = layer.source
        self._sources: dict[Path, Source | None] = {}
        self._texts: dict[Path, str] = {}
        self.value: Any = layer.value
        self.is_added = False
        """Whether something was put in."""

    @property
    def file(self) -> Path:
        """The file of the layer, by the name that the configuration has for it."""
        return self._layer.path

    def has(self, path: KeyPath) -> bool:
        """Tell whether something stands at *path*."""
        try:
            get_at(self.value, path)
        except NotFoundError:
            return False
        return True

    def set(self, path: KeyPath, value: Any) -> None:
        """Put *value* at *path*."""
        self.is_added = True
        source, local = self._place(path)
        self._edit(source, lambda text, file: set_text(text, local, value, file=file))
        self._say(source, set_at(self.value, path, value))

    def unset(self, path: KeyPath, *, made: Made | None = None) -> None:
        """
        Remove what is at *path*; raises `NotFoundError` if nothing is.

        Objects that are empty then and that were *made* for it go too, unless they hold a comment.
        """
        # Else the key would seem removed, and another file's value would be in force.
        trace = self._layer.provenance.at(path)
        if trace is not None and trace.hidden:
            problem = f"is also set elsewhere: it would come back from {trace.hidden[0]}"
            raise ConfigError(format_key_path(path), problem, "remove it there first")
        source, local = self._place(path)
        self._edit(source, lambda text, file: unset_text(text, local, file=file).text)
        self._say(source, unset_at(self.value, path))
        if made is not None:
            self._prune(path[:-1], made)

    def adopt(self, path: KeyPath, value: Any, excerpt: Excerpt | None) -> None:
        """Put *value* at *path* as it was written elsewhere, its comments with it."""
        self.is_added = True
        source, local = self._place(path)
        self._edit(source, lambda text, file: move_text(text, local, value, excerpt, file=file))
        self._say(source, set_at(self.value, path, value))

    def excerpt(self, path: KeyPath) -> Excerpt | None:
        """Return how the value at *path* is written, if one file holds all of it."""
        trace = self._layer.provenance.at(path)
        if trace is None or len(trace.origins) > 1 or len(trace.files()) > 1:
            return None
        origin = trace.origins[0]
        text = origin.source.text
        gone = unset_text(text, origin.path, file=origin.source.path).comments
        return Excerpt(text[origin.node.start : origin.node.end], gone)

    def put(self, file: Path, text: str) -> None:
        """Make *text* the whole text of *file*, which is that of the layer or an included one."""
        document = parse_document(text, path=file)
        if file == self.file:
            found = look_at(file) if self._root is None else self._root.file
            self._keep(self._root, text)
            self._layer = include_all(Source(found, text, document))
            self.value = self._layer.value
            return
        source = next((each for each in self._all_sources() if each.path == file), None)
        if source is None:
            hint = "include it again, or write it by hand"
            raise ConfigError(str(file), "is no longer included by the configuration", hint)
        self._keep(source, text)
        for path in self._places_of(source.file.real):
            self.value = set_at(self.value, path, document.value)

    def holds(self, file: Path) -> bool:
        """Tell whether *file* is that of the layer, or one that it includes."""
        return file == self.file or any(each.path == file for each in self._all_sources())

    def rewrites(self) -> tuple[Rewrite, ...]:
        """Return what is to be written."""
        return tuple(
            Rewrite(file, self._sources[file], text, self.value)
            for file, text in self._texts.items()
            if text != _text(self._sources[file])
        )

    def _prune(self, path: KeyPath, made: Made) -> None:
        # An element of a list stays: those behind it would have other indices.
        while path and isinstance(path[-1], str) and get_at(self.value, path) == {}:
            try:
                source, local = self._place(path)
            except ConfigError:
                return  # put together from several files: nothing was made here for one key
            file = self.file if source is None else source.path
            if not local or not made(file, local, path):
                return
            removed = _without_object(self._texts.get(file, _text(source)), local, file)
            if removed is None:
                return
            self._keep(source, removed)
            self._say(source, unset_at(self.value, path))
            path = path[:-1]

    def _edit(self, source: Source | None, edit: _Edit) -> None:
        file = self.file if source is None else source.path
        self._keep(source, edit(self._texts.get(file, _text(source)), file))

    def _keep(self, source: Source | None, text: str) -> None:
        file = self.file if source is None else source.path
        self._sources.setdefault(file, self._root if file == self.file else source)
        self._texts[file] = text

    def _say(self, source: Source | None, plain: Any) -> None:
        """Take over what the texts now say: *plain*, unless that includes other files."""
        text = self._texts[self.file if source is None else source.path]
        self.value = plain
        if source is not None and source.path == self.file and INCLUDE in text:
            document = parse_document(text, path=self.file)
            self.value = include_all(Source(source.file, text, document)).value

    def _place(self, path: KeyPath) -> tuple[Source | None, KeyPath]:
        known, trace = self._layer.provenance.nearest(path)
        if trace is None:
            return None, path
        origins = trace.origins
        if len(known) == len(path):
            # The whole, written into one of the files, would hide what the others say from then on.
            if len(origins) > 1 or len(trace.files()) > 1:
                places = " and ".join(str(origin) for origin in origins)
                problem = f"is put together from several files ({places})"
                raise ConfigError(format_key_path(path), problem, "change it in one of them")
            return origins[0].source, origins[0].path
        origin = self._own([*origins, *([trace.including] if trace.including else [])])
        return origin.source, (*origin.path, *path[len(known) :])

    def _own(self, origins: list[Origin]) -> Origin:
        # What is new goes into the file of the layer, where it wins over what is included.
        own = [each for each in origins if each.source is self._layer.source]
        return own[0] if own else origins[0]

    def _all_sources(self) -> list[Source]:
        found: dict[Path, Source] = {}
        _, root = self._layer.provenance.nearest(())
        rest = [] if root is None else [root]
        while rest:
            trace = rest.pop()
            for origin in trace.origins:
                found[origin.source.file.real] = origin.source
            rest.extend((trace.children or {}).values())
        return list(found.values())

    def _places_of(self, real: Path) -> list[KeyPath]:
        """Return where the value of the file *real* alone stands in the layer."""
        found: list[KeyPath] = []
        rest: list[tuple[KeyPath, Trace]] = []
        _, root = self._layer.provenance.nearest(())
        if root is not None:
            rest.append(((), root))
        while rest:
            path, trace = rest.pop()
            own = trace.origins[0]
            if len(trace.origins) == 1 and not own.path and own.source.file.real == real:
                found.append(path)
            else:
                rest += [((*path, step), each) for step, each in (trace.children or {}).items()]
        return found


def _without_object(text: str, path: KeyPath, file: Path) -> str | None:
    """Return *text* without the empty object at *path*, or `None` if a comment would go with it."""
    node = parse_document(text, path=file)
    for step in path:
        item = node.item(step)
        if item is None:
            return None
        node = item.node
    if node.value != {} or comments_in(text, node.start, node.end):
        return None
    removed = unset_text(text, path, file=file)
    return None if removed.comments else removed.text


def _text(source: Source | None) -> str:
    return "" if source is None else source.text


def require_part(path: KeyPath) -> None:
    """Refuse the empty *path*, which names everything."""
    if not path:
        raise InvalidError("key path", "names the whole configuration", "name a part of it")
