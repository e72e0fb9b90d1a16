"""`Report`: what an import did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from clawstate.importers.passages import Problem


@dataclass(slots=True)
class Report:
    """
    What an import did: counts of files and records, and what could not be taken in.

    `failed` are the files that were refused, were not read to their end, or gave nothing but
    problems; `files` counts those of them that could be opened. `copies` are files that are left
    out, as one of the same name and content in another folder is imported already. `left` are
    records that somebody changed and whose passage is another by now, or gone: they stay beside
    what the file says. `passed_over` counts files of folders that were not read, by their suffix.
    """

    files: int = 0
    skipped: int = 0
    moved: int = 0
    copies: int = 0
    added: int = 0
    updated: int = 0
    kept: int = 0
    removed: int = 0
    left: int = 0
    forgotten: int = 0
    problems: list[Problem] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    failed: set[Path] = field(default_factory=set)

    def fail(self, problem: Problem) -> None:
        """Note that a file could not be taken, and why."""
        self.problems.append(problem)
        if not problem.is_by_rule:
            self.failed.add(problem.path)
