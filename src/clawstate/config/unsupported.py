"""Settings that have a meaning, and that this version cannot follow: refused, never passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from clawstate.json5.path_grammar import KeyPath

if TYPE_CHECKING:
    from clawstate.health import Severity

Part = Literal["sessions"]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """What is asked for at *path*, and why it cannot be; *part* of the state refuses to work."""

    path: KeyPath
    problem: str
    hint: str
    part: Part
    severity: Severity = "error"


def find_unsupported(resolved: Any) -> Iterator[Unsupported]:
    """Yield what this version cannot follow in *resolved*, a configuration without defaults."""
    if _at(resolved, "session", "maintenance", "rotateBytes") is not None:
        problem = (
            "only OpenClaw starts a new index file at a size; clawstate keeps one index of any size"
        )
        path: KeyPath = ("session", "maintenance", "rotateBytes")
        hint = "leave it for OpenClaw, or remove it; maxEntries bounds the index here, too"
        yield Unsupported(path, problem, hint, "sessions", "warning")


def _at(value: Any, *path: str) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
