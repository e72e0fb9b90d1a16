"""What is odd about a configuration and yet does not stop anybody from using it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clawstate.json5.parse import Place


@dataclass(frozen=True, slots=True)
class Notice:
    """One oddity, for people to read; it never holds a value of the file."""

    path: Path
    place: Place | None
    text: str

    def __str__(self) -> str:
        return f"{pointed(self.path, self.place)}: {self.text}"


def pointed(path: Path, place: Place | None) -> str:
    """Return *path* and *place* as editors and terminals open them: `path:line:column`."""
    return str(path) if place is None else f"{path}:{place.line}:{place.column}"
