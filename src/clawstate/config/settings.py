"""
The settings that clawstate follows: each with its key path, its default, and what reads its text.

This is the one place that knows them. The schema of our own sections is made from here, reading
fills gaps from here, and every part of a state asks a `Setting` for its value. A new setting of
`state`, `pairing`, `caches` or `locks` is a row here, and a reader that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from clawstate.errors import ConfigError, InvalidError
from clawstate.quantities import LONGEST, duration_seconds, size_bytes

T = TypeVar("T")

MOST = 1_000_000_000
"""More of anything is no limit, but a slip: of our own counts it is refused."""

_HOUR = 3600.0


class Values(Protocol):
    """Whatever has values by key path, such as a `View`."""

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at *path*, or *default*."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What may be written for a setting, which the schema knows by *name*; *read* decodes it."""

    name: str
    read: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """
    The setting at *path*; *default* is as a text has it.

    *about* tells people what it does; where it is empty, a class of the schema tells it.
    """

    path: str
    default: Any
    kind: Kind[T]
    about: str = ""

    def of(self, view: Values) -> T:
        """Return what *view* says, or the default; raises `ConfigError` that names the key."""
        value = view.get(self.path, self.default)
        try:
            return self.kind.read(value)
        except InvalidError as error:
            problem, hint = error.problem, error.hint
        raise ConfigError(self.path, problem, hint or f"the default is {self.default!r}")

    def is_set(self, resolved: Any) -> bool:
        """Tell whether *resolved*, a configuration without defaults, has the setting."""
        for step in self.path.split("."):
            if not isinstance(resolved, Mapping) or step not in resolved:
                return False
            resolved = resolved[step]
        return True


SETTINGS: dict[str, Setting[Any]] = {}
"""Every setting that a part of a state reads, by its key path."""


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


def _setting(path: str, default: Any, kind: Kind[T], about: str = "") -> Setting[T]:
    SETTINGS[path] = found = Setting(path, default, kind, about)
    return found


def _read_text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise InvalidError("setting", "is no text", "")


def _read_switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidError("setting", "is neither true nor false", "")


def _read_number(value: Any, *, most: float = MOST, above: float = -1.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise InvalidError("setting", "is no number, 0 or more", "")
    if not above < value <= most:
        least = "above 0" if above == 0 else "0 or more"
        raise InvalidError("setting", "is out of range", f"take {least}, at most {most:.0f}")
    return float(value)


def _read_count(value: Any, *, least: int = 0, most: int = MOST) -> int:
    if value.__class__ is float and value.is_integer():
        value = int(value)  # JSON5 reads `1e3` as a float
    if value.__class__ is not int or value < least:
        raise InvalidError("setting", f"is no whole number, {least} or more", "")
    if value > most:
        raise InvalidError("setting", "is out of range", f"take at most {most}")
    return int(value)


def _read_milliseconds(value: Any, *, above: float = -1.0) -> float:
    return _read_number(value, most=LONGEST * 1000, above=above) / 1000


def _read_capped(value: Any) -> int:
    # OpenClaw takes any number here, and a larger one limits as little as this one does.
    return min(_read_count(value, most=1 << 1100), 1 << 53)


def _read_hours(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InvalidError("setting", "is no number above 0", "")
    # Compared before it is multiplied: OpenClaw takes any number, and a float holds not all.
    return min(value, LONGEST / _HOUR) * _HOUR


def _read_hours_by_name(value: Any) -> Mapping[str, float]:
    return {name: _read_hours(each) for name, each in _read_object(value).items()}


def _read_object(value: Any) -> Mapping[str, Any]:
    if value is None or isinstance(value, dict):
        return value or {}
    raise InvalidError("setting", "is no object", "")


def _read_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise InvalidError("setting", "is no list of texts", "")


def _read_rules(value: Any) -> tuple[Mapping[str, Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidError("setting", "is no list of rules", "")
    return tuple(map(_read_object, value))


def _read_embedder(value: Any) -> str:
    if value in EMBEDDER_NAMES:
        return str(value)
    raise InvalidError("setting", "is no embedder", f"take one of {', '.join(EMBEDDER_NAMES)}")


def _read_order(value: Any) -> tuple[str, ...] | Mapping[str, tuple[str, ...]] | None:
    if isinstance(value, dict):
        return {provider: _read_names(ids) for provider, ids in value.items()}
    return None if value is None else _read_names(value)


def _read_profiles(value: Any) -> Mapping[str, tuple[str, str]]:
    found = {}
    for name, profile in _read_object(value).items():
        members = profile if isinstance(profile, dict) else {}
        provider, mode = members.get("provider"), members.get("mode")
        if not isinstance(provider, str) or not isinstance(mode, str):
            raise InvalidError("setting", f"names no provider and mode of {name!r}", "add both")
        found[name] = provider, mode
    return found


def _read_any(value: Any) -> Any:
    return value


def _maybe(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else read(value)


def _or_false(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None or value is False else read(value)


_read_days: Callable[[Any], float] = partial(duration_seconds, unit="d")

_TEXT = Kind("text", _read_text)
_MAYBE_TEXT = Kind("maybe text", _maybe(_read_text))
_SWITCH = Kind("switch", _read_switch)
_COUNT = Kind("count", _read_count)
_POSITIVE = Kind("positive", partial(_read_count, least=1))
_DURATION: Kind[float] = Kind("duration", partial(duration_seconds, unit="s"))
_MILLISECONDS = Kind("milliseconds", _read_milliseconds)
_HOURS = Kind("hours", _read_hours)
_DAYS = Kind("days", _read_days)
_CAPPED = Kind("capped", _read_capped)

ENGINE_NAMES = ("file", "sqlite")
"""The engines of records that have a name; others have addresses. Each is made in `state`."""

EMBEDDER_NAMES = ("static", "transformer", "openai")
"""The embedders that a new memory can be given. Each is made in `memory.embedders`."""

STORE = _setting(
    "state.store",
    "file",
    Kind("engine", _read_text),
    "The engine: `file`, `sqlite` or `postgresql://user@host/name`.",
)
STORE_PASSWORD = _setting(
    "state.password",
    None,
    Kind("reference", _read_any),
    "A reference to the password of the address in `state.store`.",
)
ENCRYPTION_KEY = _setting(
    "state.encryption.key",
    "off",
    Kind("key", _read_text),
    "Where the key is kept that everything is encrypted with; 'clawstate auth encrypt' sets it.",
)
ENCRYPTION_PASSPHRASE = _setting(
    "state.encryption.passphrase",
    None,
    Kind("reference", _read_any),
    "A reference to the passphrase, where nobody can be asked.",
)

HISTORY_FOR = _setting(
    "state.history.keepFor",
    "30d",
    _DURATION,
    "For how long all that was is kept of what changes; a number without a unit counts seconds.",
)

PAIRING_PATH = _setting(
    "pairing.path",
    None,
    _MAYBE_TEXT,
    "The file; `state/pairing.json` in the state directory if not given.",
)
PAIRING_TTL = _setting(
    "pairing.ttl",
    "60m",
    _DURATION,
    "How long a request waits; a number without a unit counts seconds.",
)
PAIRING_LIMIT = _setting("pairing.limit", 3, _POSITIVE, "The requests that may wait at once.")

QUERY_TTL = _setting(
    "caches.query.ttl",
    "5m",
    _DURATION,
    "How long an answer is kept; a number without a unit counts seconds.",
)
QUERY_ENTRIES = _setting(
    "caches.query.maxEntries", 256, _COUNT, "The answers that are kept; 0 for none."
)
DIRECTORY_TTL = _setting(
    "caches.directory.ttl",
    "30m",
    _DURATION,
    "How long a listing is kept; a number without a unit counts seconds.",
)
DIRECTORY_ENTRIES = _setting(
    "caches.directory.maxEntries", 2000, _COUNT, "The listings that are kept; 0 for none."
)
DEDUPE_TTL = _setting(
    "caches.dedupe.ttlMs",
    24 * 60 * 60 * 1000,
    Kind("whole milliseconds", partial(_read_count, most=int(LONGEST * 1000))),
    "How long a mark holds, milliseconds; 0 for ever.",
)
DEDUPE_MEMORY = _setting(
    "caches.dedupe.memoryMaxSize", 100, _COUNT, "The marks that are kept in memory."
)
DEDUPE_FILE = _setting(
    "caches.dedupe.fileMaxEntries", 1000, _COUNT, "The marks of one namespace on disk."
)

LOCK_RETRIES = _setting("locks.retries.retries", 10, _COUNT, "How often it is tried again.")
LOCK_FACTOR = _setting(
    "locks.retries.factor",
    2,
    Kind("number", _read_number),
    "How much longer each pause is than the last one.",
)
LOCK_LEAST = _setting(
    "locks.retries.minTimeout", 100, _MILLISECONDS, "The first pause, milliseconds."
)
LOCK_MOST = _setting(
    "locks.retries.maxTimeout", 10_000, _MILLISECONDS, "The longest pause, milliseconds."
)
LOCK_RANDOM = _setting("locks.retries.randomize", True, _SWITCH, "Vary the pauses.")
LOCK_STALE = _setting(
    "locks.stale",
    30_000,
    Kind("milliseconds above 0", partial(_read_milliseconds, above=0)),
    "When an owner without a sign of life counts as gone, milliseconds.",
)

MEMORY_ENGINES = ("sqlite", "lancedb")
"""The engines of the memory, the usual one first."""

MEMORY_TYPE = _setting("memory.store.type", MEMORY_ENGINES[0], _TEXT)
MEMORY_PATH = _setting("memory.store.path", None, _MAYBE_TEXT)
MEMORY_VECTORS = _setting("memory.store.vector.enabled", True, _SWITCH)
MEMORY_EMBEDDER = _setting(
    "memory.store.vector.embedder", "static", Kind("embedder", _read_embedder)
)
VECTOR_INDEXES = ("auto", "ivf_hnsw_sq")
"""What searches find near vectors by: what measures best, or the index of the LanceDB table."""

MEMORY_INDEX = _setting("memory.store.vector.index", VECTOR_INDEXES[0], _TEXT)
MEMORY_THREADS = _setting("memory.store.vector.threads", 1, _POSITIVE)
MEMORY_VERSIONS = _setting("memory.history.versions", 10, _COUNT)
MEMORY_RULES = _setting("memory.retention.rules", None, Kind("rules", _read_rules))
MEMORY_ARCHIVE_FOR = _setting(
    "memory.retention.archiveFor",
    None,
    Kind("duration", _maybe(partial(duration_seconds, unit="s"))),
)

GATEWAY_MODE = _setting("gateway.mode", "local", _TEXT)
GATEWAY_PORT = _setting("gateway.port", 18789, Kind("port", partial(_read_count, least=0)))
GATEWAY_HOST = _setting("gateway.host", "localhost", _TEXT)
GATEWAY_BIND = _setting("gateway.bind", None, _MAYBE_TEXT)
GATEWAY_BIND_HOST = _setting("gateway.customBindHost", None, _MAYBE_TEXT)
GATEWAY_TLS = _setting("gateway.tls.enabled", None, Kind("switch", _maybe(_read_switch)))
GATEWAY_CERTIFICATE = _setting("gateway.tls.certPath", None, _MAYBE_TEXT)
GATEWAY_KEY = _setting("gateway.tls.keyPath", None, _MAYBE_TEXT)
GATEWAY_ORIGINS = _setting(
    "gateway.controlUi.allowedOrigins", None, Kind("origins", _maybe(_read_names))
)

SESSION_STORE = _setting("session.store", None, _MAYBE_TEXT)

KEEP_MODE = _setting("session.maintenance.mode", "warn", _TEXT)
KEEP_AGE = _setting("session.maintenance.pruneAfter", "30d", _DAYS)
KEEP_DAYS = _setting("session.maintenance.pruneDays", None, Kind("days", _maybe(_read_days)))
KEEP_ENTRIES = _setting("session.maintenance.maxEntries", 500, _CAPPED)
KEEP_RESETS = _setting(
    "session.maintenance.resetArchiveRetention", None, Kind("days or false", _or_false(_read_days))
)
KEEP_BYTES = _setting(
    "session.maintenance.maxDiskBytes", None, Kind("size or false", _or_false(size_bytes))
)
KEEP_WATER = _setting("session.maintenance.highWaterBytes", None, Kind("size", _maybe(size_bytes)))

AUTH_ORDER = _setting("auth.order", None, Kind("order", _read_order))
AUTH_PROFILES = _setting("auth.profiles", None, Kind("profiles", _read_profiles))
AUTH_BILLING = _setting("auth.cooldowns.billingBackoffHours", 5, _HOURS)
AUTH_BILLING_OF = _setting(
    "auth.cooldowns.billingBackoffHoursByProvider", None, Kind("hours by name", _read_hours_by_name)
)
AUTH_BILLING_MOST = _setting("auth.cooldowns.billingMaxHours", 24, _HOURS)
AUTH_WINDOW = _setting("auth.cooldowns.failureWindowHours", 24, _HOURS)

WORKSPACE = _setting("agents.defaults.workspace", None, _MAYBE_TEXT)

_NAMES = Kind("names", lambda value: () if value is None else _read_names(value))

PLUGINS_ENABLED = _setting(
    "plugins.enabled", None, Kind("switch", lambda value: value is None or _read_switch(value))
)
PLUGINS_ALLOWED = _setting("plugins.allow", None, _NAMES)
PLUGINS_DENIED = _setting("plugins.deny", None, _NAMES)
PLUGIN_PATHS = _setting("plugins.load.paths", None, _NAMES)
PLUGIN_ENTRIES = _setting("plugins.entries", None, Kind("object", _read_object))
MEMORY_SLOT = _setting("plugins.slots.memory", "memory-core", _TEXT)
