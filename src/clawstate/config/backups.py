"""The five generations of a configuration that OpenClaw keeps: `.bak`, `.bak.1` to `.bak.4`."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from pathlib import Path

from clawstate.errors import StateError
from clawstate.files.atomic import write_atomic
from clawstate.files.refusals import translated
from clawstate.files.regular import read_regular

GENERATIONS = 5


def backup_paths(path: Path) -> tuple[Path, ...]:
    """Return where the generations of *path* lie, the newest first."""
    names = ["bak", *(f"bak.{number}" for number in range(1, GENERATIONS))]
    return tuple(path.with_name(f"{path.name}.{name}") for name in names)


def rotate_backups(path: Path, content: bytes) -> None:
    """
    Keep *content*, what *path* held so far, as its newest generation; the oldest one goes.

    Private, whatever the mode of *path*: an old one may hold what was moved out of it since. Raises
    `UnavailableError`; a kill in between loses no generation but the oldest. What is the newest
    already is not kept twice, so that a write that is made again costs no generation.
    """
    generations = backup_paths(path)
    with contextlib.suppress(StateError):
        if read_regular(generations[0], limit=len(content) + 1) == content:
            return
    for newer, older in reversed(list(pairwise(generations))):
        with translated(newer, "was not kept"), contextlib.suppress(FileNotFoundError):
            newer.replace(older)
    write_atomic(generations[0], content)
