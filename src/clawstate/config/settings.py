"""
The settings of clawstate's own: each with its key path, its default, and what reads its text.

This is the one place that knows them: the schema takes its defaults from here, reading fills gaps
from here, and every part of a state asks a `Setting` for its value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from clawstate.errors import ConfigError, InvalidError
from clawstate.quantities import duration_seconds, size_bytes

T = TypeVar("T")


class Values(Protocol):
    """Whatever has values by key path, such as a `View`."""

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at *path*, or *default*."""


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """The setting at *path*; *default* is as a text has it, and *read* makes a value of a text."""

    path: str
    default: Any
    read: Callable[[Any], T]

    def of(self, view: Values) -> T:
        """Return what *view* says, or the default; raises `ConfigError` that names the key."""
        value = view.get(self.path, self.default)
        try:
            return self.read(value)
        except InvalidError as error:
            problem, hint = error.problem, error.hint
        raise ConfigError(self.path, problem, hint or f"the default is {self.default!r}")


def default_of(path: str) -> Any:
    """Return the default of the setting at *path*, as a text has it."""
    return SETTINGS[path].default


def default_tree() -> dict[str, Any]:
    """Return all defaults, as a configuration would have them; what has none is left out."""
    tree: dict[str, Any] = {}
    for path, setting in SETTINGS.items():
        if setting.default is not None:
            *above, last = path.split(".")
            inner = tree
            for step in above:
                inner = inner.setdefault(step, {})
            inner[last] = setting.default
    return tree


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise InvalidError("setting", "is no text", "")


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidError("setting", "is neither true nor false", "")


def _count(value: Any) -> int:
    if value.__class__ is float and value.is_integer():
        value = int(value)
    if value.__class__ is int and value >= 0:
        return int(value)
    raise InvalidError("setting", "is no whole number, 0 or more", "")


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise InvalidError("setting", "is no number, 0 or more", "")


def _milliseconds(value: Any) -> float:
    return _number(value) / 1000


def _maybe(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else read(value)


def _size_or_unbounded(value: Any) -> int | None:
    return None if value is None or value is False else size_bytes(value)


def _days_or_never(value: Any) -> float | None:
    return None if value is None or value is False else duration_seconds(value, unit="d")


_seconds: Callable[[Any], float] = partial(duration_seconds, unit="s")
_days: Callable[[Any], float] = partial(duration_seconds, unit="d")


def _any(value: Any) -> Any:
    return value


ENGINE_NAMES = ("file", "sqlite")
"""The engines of records that have a name; others have addresses. Each is made in `state`."""

STORE = Setting("state.store", "file", _text)
ENCRYPTION_KEY = Setting("state.encryption.key", "off", _text)
ENCRYPTION_PASSPHRASE = Setting("state.encryption.passphrase", None, _any)

PAIRING_PATH = Setting("pairing.path", None, _maybe(_text))
PAIRING_TTL = Setting("pairing.ttl", "60m", _seconds)
PAIRING_LIMIT = Setting("pairing.limit", 3, _count)

QUERY_TTL = Setting("caches.query.ttl", "5m", _seconds)
QUERY_ENTRIES = Setting("caches.query.maxEntries", 256, _count)
DIRECTORY_TTL = Setting("caches.directory.ttl", "30m", _seconds)
DIRECTORY_ENTRIES = Setting("caches.directory.maxEntries", 2000, _count)
DEDUPE_TTL = Setting("caches.dedupe.ttlMs", 24 * 60 * 60 * 1000, _count)
DEDUPE_MEMORY = Setting("caches.dedupe.memoryMaxSize", 100, _count)
DEDUPE_FILE = Setting("caches.dedupe.fileMaxEntries", 1000, _count)

LOCK_RETRIES = Setting("locks.retries.retries", 10, _count)
LOCK_FACTOR = Setting("locks.retries.factor", 2, _number)
LOCK_LEAST = Setting("locks.retries.minTimeout", 100, _milliseconds)
LOCK_MOST = Setting("locks.retries.maxTimeout", 10_000, _milliseconds)
LOCK_RANDOM = Setting("locks.retries.randomize", True, _switch)
LOCK_STALE = Setting("locks.stale", 30_000, _milliseconds)

MEMORY_TYPE = Setting("memory.store.type", "sqlite", _text)
MEMORY_PATH = Setting("memory.store.path", None, _maybe(_text))
MEMORY_VECTORS = Setting("memory.store.vector.enabled", True, _switch)

KEEP_MODE = Setting("session.maintenance.mode", "warn", _text)
KEEP_AGE = Setting("session.maintenance.pruneAfter", "30d", _days)
KEEP_DAYS = Setting("session.maintenance.pruneDays", None, _maybe(_days))
KEEP_ENTRIES = Setting("session.maintenance.maxEntries", 500, _count)
KEEP_RESETS = Setting("session.maintenance.resetArchiveRetention", None, _days_or_never)
KEEP_BYTES = Setting("session.maintenance.maxDiskBytes", None, _size_or_unbounded)
KEEP_WATER = Setting("session.maintenance.highWaterBytes", None, _maybe(size_bytes))

_ALL: tuple[Setting[Any], ...] = (
    *(STORE, ENCRYPTION_KEY, ENCRYPTION_PASSPHRASE, PAIRING_PATH, PAIRING_TTL, PAIRING_LIMIT),
    *(QUERY_TTL, QUERY_ENTRIES, DIRECTORY_TTL, DIRECTORY_ENTRIES),
    *(DEDUPE_TTL, DEDUPE_MEMORY, DEDUPE_FILE),
    *(LOCK_RETRIES, LOCK_FACTOR, LOCK_LEAST, LOCK_MOST, LOCK_RANDOM, LOCK_STALE),
    *(MEMORY_TYPE, MEMORY_PATH, MEMORY_VECTORS),
    *(KEEP_MODE, KEEP_AGE, KEEP_DAYS, KEEP_ENTRIES, KEEP_RESETS, KEEP_BYTES, KEEP_WATER),
)
SETTINGS = {each.path: each for each in _ALL}
"""Every setting that no one else reads, by its key path."""
