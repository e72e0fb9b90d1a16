"""Under which name a file is known: it may have been moved, or be reached by a link."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clawstate.importers.discover import Kind, read_passages
from clawstate.importers.merging import passage_digest
from clawstate.importers.passages import Passage
from clawstate.memory.service import Memory

_LARGEST = 4 << 20  # bytes; what is larger is known again only as long as no byte of it changed


@dataclass(frozen=True, slots=True)
class Named:
    """The *source* that a file is; *former* is where it was before, *original* what it copies."""

    source: str
    former: str | None = None
    original: str | None = None


class Sources:
    """
    The sources of a *namespace*, and what became of their files.

    A file that moved keeps what was done to its passages: so it is known by what it holds, and not
    by its path alone (decision 007).
    """

    def __init__(self, memory: Memory, namespace: str) -> None:
        self._memory = memory
        self._namespace = namespace
        self.noted = memory.imports.sources(namespace)
        self.ever = set(self.noted)
        """Also the names of files that moved."""
        self.marks = dict(memory.imports.fingerprints(namespace))
        self._by_digest: dict[str, set[str]] = {}
        for source, mark in self.marks.items():
            self._by_digest.setdefault(_digest_in(mark), set()).add(source)
        self._there: dict[tuple[int, int], str] | None = None
        self._gone: set[str] = set()

    def name(self, path: Path, kind: Kind, digest: str, *, root: Path) -> Named:
        """Return what the file *path* below *root* is known as, whose bytes have this *digest*."""
        source = str(path)
        if source in self.noted:
            return Named(source)
        there, identity = self._look(), _identity(path)
        if identity is not None and identity in there:
            return Named(there[identity])
        same = self._by_digest.get(digest, set())
        former = _nearest(path, same & self._gone)
        if former is None and kind.is_document:
            former = self._by_passages(path, kind)
        if former is not None:
            return Named(source, former=former)
        # Within one folder equal files of one name are on purpose, such as those of a template.
        copies = sorted(
            each
            for each in same - self._gone
            if Path(each).name == path.name and not Path(each).is_relative_to(root)
        )
        return Named(source, original=copies[0] if copies else None)

    def take(self, named: Named, fingerprint: str) -> None:
        """Take note that the file *named* is imported now."""
        if named.former is not None:
            self._memory.imports.rename(named.former, named.source, namespace=self._namespace)
            self.noted.discard(named.former)
            self._gone.discard(named.former)
            self._by_digest.get(_digest_in(self.marks.pop(named.former, "")), set()).discard(
                named.former
            )
        self.noted.add(named.source)
        self.ever.add(named.source)
        self.marks[named.source] = fingerprint
        self._by_digest.setdefault(_digest_in(fingerprint), set()).add(named.source)

    def _look(self) -> Mapping[tuple[int, int], str]:
        # Once, and only when a file is met that is not known by its name.
        if self._there is None:
            self._there = {}
            for source in sorted(self.noted):
                if not os.path.isabs(source):  # noqa: PTH117 - a source need not be a path
                    continue
                identity = _identity(Path(source))
                if identity is not None:
                    self._there[identity] = source
                elif not os.path.lexists(source):
                    self._gone.add(source)
        return self._there

    def _by_passages(self, path: Path, kind: Kind) -> str | None:
        if not self._gone or path.stat().st_size > _LARGEST:
            return None
        texts = [each.text for each in read_passages(path, kind=kind) if isinstance(each, Passage)]
        digests = {passage_digest(text, 1) for text in texts}
        found = self._memory.imports.sources_of(sorted(digests), namespace=self._namespace)
        best = {each: count for each, count in found.items() if each in self._gone}
        # Half of it was there: less may be a signature or a line of a template.
        most = max(best.values(), default=0)
        if 2 * most < len(digests) or not most:
            return None
        return _nearest(path, {each for each, count in best.items() if count == most})


def _nearest(path: Path, sources: set[str]) -> str | None:
    """Return which of *sources* a file at *path* was most likely: of the same name, if any."""
    order = sorted(sources, key=lambda each: (Path(each).name != path.name, each))
    return order[0] if order else None


def _digest_in(mark: str) -> str:
    try:
        told, _ = json.JSONDecoder().raw_decode(mark)
    except ValueError:
        return ""  # of an import that notes something else
    return str(told[2]) if isinstance(told, list) and len(told) > 2 else ""


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
