"""Settings that have a meaning, and that this version cannot follow: refused, never passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from clawstate.config.settings import MEMORY_TYPE, STORE
from clawstate.errors import ConfigError
from clawstate.json5.path_grammar import KeyPath, format_key_path

if TYPE_CHECKING:
    from clawstate.health import Severity

Part = Literal["memory", "records", "sessions"]

_PLUGIN = "memory-lancedb"
_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Unsupported:
    """What is asked for at *path*, and why it cannot be; *part* of the state refuses to work."""

    path: KeyPath
    problem: str
    hint: str
    part: Part
    severity: Severity = "error"

    def error(self) -> ConfigError:
        """Return the error of the part that is used all the same."""
        return ConfigError(format_key_path(self.path), self.problem, self.hint)


def find_unsupported(resolved: Any) -> Iterator[Unsupported]:
    """Yield what this version cannot follow in *resolved*, a configuration without defaults."""
    store = _at(resolved, *STORE.path.split("."))
    if isinstance(store, str) and store.startswith("postgres"):
        problem = "this version keeps records in files and in SQLite, not in PostgreSQL"
        yield Unsupported(("state", "store"), problem, "write 'file' or 'sqlite'", "records")
    kind = _at(resolved, *MEMORY_TYPE.path.split("."))
    if kind is None:
        yield from _plugin(resolved)
    if _at(resolved, "session", "maintenance", "rotateBytes") is not None:
        problem = (
            "only OpenClaw starts a new index file at a size; clawstate keeps one index of any size"
        )
        path: KeyPath = ("session", "maintenance", "rotateBytes")
        hint = "leave it for OpenClaw, or remove it; maxEntries bounds the index here, too"
        yield Unsupported(path, problem, hint, "sessions", "warning")


def require_supported(resolved: Any, part: Part) -> None:
    """Raise `ConfigError` if *part* cannot work as *resolved* asks."""
    for each in find_unsupported(resolved):
        if each.part == part and each.severity == "error":
            raise each.error()


def _plugin(resolved: Any) -> Iterator[Unsupported]:
    """Yield that the plugin's embeddings come from a server, unless it is not in use."""
    entry = _at(resolved, "plugins", "entries", _PLUGIN)
    chosen = _at(resolved, "plugins", "slots", "memory")
    if (
        not isinstance(entry, dict)
        or entry.get("enabled") is False
        or chosen not in {None, _PLUGIN}
    ):
        return
    embedding = _at(entry, "config", "embedding")
    if not isinstance(embedding, dict) or embedding.get("provider", "openai") == _LOCAL:
        return
    if embedding.keys() & {"provider", "apiKey", "baseUrl"}:
        problem = "this version embeds with its own local model, not by a server"
        hint = (
            "to keep memory of clawstate's own beside the plugin, run 'clawstate config set"
            f" {MEMORY_TYPE.path} sqlite'"
        )
        path: KeyPath = ("plugins", "entries", _PLUGIN, "config", "embedding")
        yield Unsupported(path, problem, hint, "memory")


def _at(value: Any, *path: str) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
