"""`Problem`: what is not as it should be about the sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from clawstate.health import Finding, Severity

Code = Literal["damaged", "unusable", "outside", "missing", "stale", "ahead", "orphan", "leftover"]


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong, with the session *key* where one is known.

    - `damaged`: the index, or a profile, cannot be read.
    - `unusable`: an entry has a session id that could lead out of the directory, or is no object.
    - `outside`: an entry names a file that is not its own; the right one is used instead.
    - `missing`, `stale`: a profile is not there, or older than the entry; the index counts.
    - `ahead`: a profile is newer than the index, which therefore lost an update.
    - `orphan`: a profile has no entry, because the index was lost or replaced.
    - `leftover`: a profile of a session that was deleted.
    """

    code: Code
    key: str | None
    path: str
    message: str
    remedy: str
    can_repair: bool = True

    def finding(self, repair: Callable[[], str] | None) -> Finding:
        """Return what people are told; *repair* mends it."""
        return Finding(
            *(f"session-{self.code}", _SEVERITIES[self.code], self.path, self.message),
            fix=self.remedy,
            repair=repair,
        )


_SEVERITIES: dict[Code, Severity] = {
    "damaged": "error",
    "unusable": "error",
    "ahead": "error",
    "orphan": "error",
    "outside": "warning",
    "missing": "info",
    "stale": "info",
    "leftover": "info",
}
