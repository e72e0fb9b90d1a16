"""What a folder is not searched for: patterns of `.gitignore`, `.clawstateignore` and the user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.errors import InvalidError
from clawstate.interrupts import load_modules

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORED = "ignored"
"""The name by which files and folders are counted that some pattern excludes."""

_FILES = (".gitignore", ".clawstateignore")
_LARGEST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Ignored:
    """
    Patterns, each list with the folder that it speaks of, those of the deepest folder last.

    *always* are the user's own: they count in every folder that is named, and before all others.
    """

    always: GitIgnoreSpec | None = None
    lists: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    root: str = ""

    def below(self, folder: Path) -> Ignored:
        """Return these, with what *folder* itself says; the first one is the one that was named."""
        found = [spec for name in _FILES if (spec := _read(folder / name)) is not None]
        if not found and self.root:
            return self
        lists = (*self.lists, *((str(folder), spec) for spec in found))
        return Ignored(self.always, lists, self.root or str(folder))

    def has(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether *path* is left out."""
        if self.always is not None and _says(self.always, self.root, path, is_folder):
            return True
        # As git does: the deepest folder that says something of it counts, and there the last line.
        for folder, spec in reversed(self.lists):
            if (found := _says(spec, folder, path, is_folder)) is not None:
                return found
        return False


def ignored_by(patterns: Sequence[str]) -> Ignored:
    """Return what *patterns* exclude; raises `InvalidError` for one that is none."""
    return Ignored(_spec(list(patterns)) if patterns else None)


def _says(spec: GitIgnoreSpec, folder: str, path: str, is_folder: bool) -> bool | None:  # noqa: FBT001
    name = os.path.relpath(path, folder)
    return spec.check_file(f"{name}/" if is_folder else name).include


def _read(path: Path) -> GitIgnoreSpec | None:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None  # what cannot be read excludes nothing: rather too much than too little
    try:
        return _spec(lines)
    except InvalidError:
        return None


def _spec(lines: list[str]) -> GitIgnoreSpec:
    load_modules("pathspec")
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - only folders with such files need it

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        problem = "holds a pattern that is none of gitignore"
        raise InvalidError("exclude", problem, "write '*.log', 'drafts/' or '!keep.md'") from error
