"""A configuration as it was read at one time, for quick looks by key path."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, TypeVar

from clawstate.arguments import require_kind, require_text
from clawstate.config.dotted_names import resolve_steps
from clawstate.config.loading import Loaded
from clawstate.config.settings import default_tree
from clawstate.errors import ConfigError, ConflictError, NotFoundError
from clawstate.files.file_version import FileVersion
from clawstate.files.unchanged import Numbers, is_settled
from clawstate.json5.key_path import get_at
from clawstate.json5.path_grammar import KeyPath, WrittenPath, parse_written
from clawstate.json5.plain_value import is_same

T = TypeVar("T")

_SCALARS = frozenset({str, int, float, bool, type(None)})
_ABSENT = object()
_DEFAULTS = default_tree()
_UNKNOWN: Numbers = (0, 0, 0, 0, 0)
"""Of a directory that may have changed since it was looked through: as no directory is."""


class View:
    """What *loaded* says; never changes. Safe for threads."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self._found: dict[str, Any] = {}
        self._settled = all(file.settled for file in loaded.files)
        self._known: dict[str, Numbers | None] = {}
        self._absent: dict[str, list[str]] = {}
        for file in loaded.files:
            if file.stamp is None:
                self._absent.setdefault(str(file.path.parent), []).append(str(file.path))
            else:
                self._known[str(file.path)] = _numbers(file.stamp)
        for folder, paths in self._absent.items():
            # Where several are absent, one look at their directory is enough.
            if len(paths) > 1 and folder not in self._known:
                self._known[folder] = _UNKNOWN
            else:
                self._known.update(dict.fromkeys(paths))

    def is_current(self) -> bool:
        """Tell, by one look at each file, whether what was read certainly still counts."""
        if not self._settled:
            return False
        # As `FileRead.is_current`, several times faster: every `Config.get` does this.
        for path, known in self._known.items():
            try:
                now = os.stat(path)  # noqa: PTH116
            except OSError:
                numbers = None
            else:
                numbers = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
            if numbers != known and not self._still_absent(path, numbers):
                return False
        return True

    def _still_absent(self, folder: str, numbers: Numbers | None) -> bool:
        """Tell whether *folder*, which was found with *numbers*, has none of the absent files."""
        paths = self._absent.get(folder, ())
        if not paths or any(map(os.path.exists, paths)):
            return False
        is_certain = numbers is not None and is_settled(numbers)
        # What a link to nothing leads to may appear elsewhere.
        is_certain = is_certain and not any(map(os.path.lexists, paths))
        self._known[folder] = numbers if is_certain else _UNKNOWN
        return True

    def get(self, path: str, default: Any = None) -> Any:
        """
        Return the value at *path*, or *default*; objects and arrays as copies.

        Raises `InvalidError` for what is no key path, and `ConfigError` for a value that waits for
        a variable.
        """
        found = self._found.get(path, self) if path.__class__ is str else self
        if found is self:
            found = self._look_up(path)
        if found is _ABSENT:
            return default
        return found if found.__class__ in _SCALARS else copy_value(found)

    def require(self, path: str) -> Any:
        """Return the value at *path*; raises as `get`, and `NotFoundError` that names near ones."""
        return copy_value(self.at(self.steps(path)))

    def at(self, steps: KeyPath, *, of: Any = None) -> Any:
        """
        Return what stands at *steps*, here or in *of*, a copy of the whole, or else the default.

        Raises as `require`. The answer is no copy.
        """
        try:
            found = get_at(self.loaded.value if of is None else of, steps)
        except NotFoundError:
            default = _default_at(steps)
            if default is None:
                raise
            return default
        self.loaded.unresolved.require(steps)
        return found

    def waits(self, path: str) -> bool:
        """Tell whether the value at *path*, or anything in it, waits for a variable."""
        try:
            self.loaded.unresolved.require_below(self.steps(path))
        except ConfigError:
            return True
        return False

    def steps(self, path: str) -> KeyPath:
        """Return the steps that *path* means here, where keys may have a dot in their name."""
        return resolve_steps(self.loaded.value, parse_path(path))

    def _look_up(self, path: str) -> Any:
        try:
            found = self.at(self.steps(path))
        except NotFoundError:
            found = _ABSENT
        self._found[path] = found
        return found


class Decoded(Generic[T]):
    """What *decode* makes of the configuration that *view* gives: decoded once for each."""

    def __init__(self, view: Callable[[], View], decode: Callable[[View], T]) -> None:
        self._view = view
        self._decode = decode
        self._known: tuple[View, T] | None = None

    def __call__(self) -> T:
        """Return what counts now; raises what reading and decoding raise."""
        view, known = self._view(), self._known
        if known is None or known[0] is not view:
            self._known = known = view, self._decode(view)
        return known[1]


def comparison(
    path: str, expect: View | None, now: Callable[[Loaded], Loaded]
) -> Callable[[Loaded], None]:
    """
    Return what raises `ConflictError` unless *path* says in *now* what it says in *expect*.

    *now* is asked for what counts where something is loaded anew.
    """
    if expect is None:
        return lambda _: None
    require_kind("expect", expect, View)
    written = parse_path(path)
    seen = _written_at(written, expect.loaded.value)

    def compare(loaded: Loaded) -> None:
        there = _written_at(written, now(loaded).value)
        if there is not seen and not is_same(there, seen, ordered=False):
            raise ConflictError("setting", path)

    return compare


def _written_at(path: WrittenPath, value: Any) -> Any:
    try:
        return get_at(value, resolve_steps(value, path))
    except NotFoundError:
        return _ABSENT


def _default_at(steps: KeyPath) -> Any:
    found: Any = _DEFAULTS
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _numbers(stamp: FileVersion) -> Numbers:
    return stamp.device, stamp.inode, stamp.size, stamp.modified, stamp.changed


def parse_path(path: str) -> WrittenPath:
    """Return the key path that *path* writes; raises `InvalidError` for what is none."""
    return _parse_cached(require_text("path", path))


@lru_cache(maxsize=4096)
def _parse_cached(path: str) -> WrittenPath:
    return parse_written(path)


def copy_value(value: Any) -> Any:
    """Return *value* as the caller's own."""
    return value if value.__class__ in _SCALARS else json.loads(json.dumps(value))
