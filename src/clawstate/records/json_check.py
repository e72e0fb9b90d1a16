"""Which JSON documents of a directory hold records, what is wrong with them, and mending it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

from clawstate.errors import CorruptError, StateError
from clawstate.files.atomic import is_temporary
from clawstate.health import FIX, Finding
from clawstate.records.contract import CollectionSpec
from clawstate.records.last_good import copy_path
from clawstate.records.layouts import OpaqueLayout
from clawstate.records.leases import LEASES

_ANY = "*"
_ABANDONED = 3600.0  # seconds after which nobody can still be writing a file


class Document(Protocol):
    """A collection in a file of its own."""

    def count(self) -> int:
        """Return how many records it holds."""

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """Give what is wrong with it."""

    def damage(self) -> CorruptError | None:
        """Return why the file cannot be read, or `None`."""

    def is_readable_otherwise(self) -> bool:
        """Tell whether a damaged file is whole in another form."""

    def repair(self) -> Path | None:
        """Mend it, and return where the damaged file lies now."""


Open = Callable[[CollectionSpec], Document]
"""Returns the collection of a spec."""


def kinds(
    opened: Open, root: Path, known: Iterable[CollectionSpec], prefix: str
) -> tuple[str, ...]:
    """Return the kinds of *known* whose files below *root* hold records, or cannot be read."""
    found = {
        spec.kind
        for spec in present(root, known)
        if spec.kind.startswith(prefix) and _holds_something(opened(spec))
    }
    return tuple(sorted(found - {LEASES.kind}))


def check(
    opened: Open, root: Path, known: Iterable[CollectionSpec], *, deep: bool
) -> Iterator[Finding]:
    """Give what is wrong with documents of *known*, and with any that has a last good copy."""
    specs = {spec.path: spec for spec in present(root, (*known, LEASES))}
    for path in _copies(root):
        specs.setdefault(path, CollectionSpec(str(path), path, OpaqueLayout()))
    for _, spec in sorted(specs.items()):
        yield from opened(spec).check(deep=deep)
    yield from _leftovers(root)


def check_document(
    collection: Document,
    path: Path,
    *,
    deep: bool,  # noqa: ARG001 - a document is read whole
) -> Iterator[Finding]:
    """Give why *collection*, the file at *path*, cannot be read."""
    if (damage := collection.damage()) is not None:
        mend = partial(_mend, collection, path)
        yield Finding(damage.code, "error", damage.path, str(damage), FIX, repair=mend)


def present(root: Path, known: Iterable[CollectionSpec]) -> Iterator[CollectionSpec]:
    """Yield the specs of *known* that have a file below *root*, each `*` filled in."""
    for spec in known:
        if _ANY not in str(spec.path):
            if (root / spec.path).exists():
                yield spec
            continue
        pattern = re.escape(str(spec.path)).replace(r"\*", "([^/]*)")
        for file in sorted(root.glob(str(spec.path))):
            path = PurePosixPath(file.relative_to(root))
            if (match := re.fullmatch(pattern, str(path))) is not None:
                yield replace(spec, kind=_fill(spec.kind, match.groups()), path=path)


def _fill(kind: str, names: Iterable[str]) -> str:
    """Return *kind* with *names* in the place of its stars, one after the other."""
    left = iter(names)
    return re.sub(re.escape(_ANY), lambda star: next(left, star[0]), kind)


def _holds_something(collection: Document) -> bool:
    try:
        return collection.damage() is not None or collection.count() > 0
    except StateError:
        return True  # of a newer version, say: it is not known to be empty


def _copies(root: Path) -> Iterator[PurePosixPath]:
    for copy in root.rglob(f"{copy_path(Path('x')).parent.name}/*.json"):
        yield PurePosixPath((copy.parent.parent / copy.name).relative_to(root))


def _leftovers(root: Path) -> Iterator[Finding]:
    for path in sorted(root.rglob("*.tmp")):
        try:
            age = time.time() - path.lstat().st_mtime
        except OSError:
            continue
        if is_temporary(path) and age >= _ABANDONED:
            message = "a writer was killed while it wrote this; its change never took effect"
            remove = partial(_remove, path)
            yield Finding("leftover", "info", str(path), message, f"rm {path}", repair=remove)


def _remove(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "removed"


def _mend(collection: Document, path: Path) -> str:
    is_whole = collection.is_readable_otherwise()
    aside = collection.repair()
    if aside is None:
        return "upgrade clawstate"  # a newer version wrote it
    if is_whole:
        return f"written again as JSON in UTF-8; the file as it was is {aside}"
    good = "restored from its last good copy" if path.exists() else "there is no good copy of it"
    return f"{good}; the damaged file is {aside}"
