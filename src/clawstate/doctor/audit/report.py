"""`Report`: what an audit of the secrets has found, without any of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from clawstate.health import Severity

Code = Literal[
    "PLAINTEXT_FOUND",
    "REF_UNRESOLVED",
    "REF_SHADOWED",
    "LEGACY_RESIDUE",
    "SECRET_COPY",
    "WIDE_MODE",
    "FOREIGN_OWNER",
    "LINK_FOUND",
]

_SEVERITIES: dict[Severity, str] = {"error": "error", "warning": "warn", "info": "info"}
"""What OpenClaw's `secrets audit` calls them."""

CODES: tuple[Code, ...] = get_args(Code)

_COUNTS = {
    "plaintextCount": "PLAINTEXT_FOUND",
    "unresolvedRefCount": "REF_UNRESOLVED",
    "shadowedRefCount": "REF_SHADOWED",
    "legacyResidueCount": "LEGACY_RESIDUE",
    "secretCopyCount": "SECRET_COPY",
    "wideModeCount": "WIDE_MODE",
    "foreignOwnerCount": "FOREIGN_OWNER",
    "linkCount": "LINK_FOUND",
}
_VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class Exposure:
    """One thing found at *where* in *file*: a key path, a line, or nothing for the file itself."""

    code: Code
    severity: Severity
    file: Path
    where: str
    message: str
    provider: str | None = None
    profile_id: str | None = None

    @property
    def told_severity(self) -> str:
        """The severity by OpenClaw's name for it: `error`, `warn` or `info`."""
        return _SEVERITIES[self.severity]

    def document(self) -> dict[str, Any]:
        """Return it in the form of OpenClaw's `secrets audit` (reference, "Secret refs")."""
        found: dict[str, Any] = {
            "code": self.code,
            "severity": self.told_severity,
            "file": str(self.file),
            "jsonPath": self.where,
            "message": self.message,
        }
        if self.provider is not None:
            found["provider"] = self.provider
        if self.profile_id is not None:
            found["profileId"] = self.profile_id
        return found


@dataclass(frozen=True, slots=True)
class Report:
    """
    What was found, the worst first; *scanned* are the files that were understood.

    *searched* files were looked through for copies of known secrets; *notes* say what could not be
    looked at, and why.
    """

    exposures: tuple[Exposure, ...]
    scanned: tuple[Path, ...]
    searched: int
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """`clean`, `findings`, or `unresolved` when a reference leads nowhere."""
        if any(each.code == "REF_UNRESOLVED" for each in self.exposures):
            return "unresolved"
        return "findings" if self.exposures else "clean"

    def document(self) -> dict[str, Any]:
        """Return it in the form of OpenClaw's `secrets audit`, with more counts."""
        counted = Counter(each.code for each in self.exposures)
        return {
            "version": _VERSION,
            "status": self.status,
            "filesScanned": [str(each) for each in self.scanned],
            "filesSearched": self.searched,
            "summary": {name: counted[code] for name, code in _COUNTS.items()},  # type: ignore[index]
            "findings": [each.document() for each in self.exposures],
            "notes": list(self.notes),
        }


def order(exposures: Iterable[Exposure]) -> tuple[Exposure, ...]:
    """Return *exposures* once each: the file with the worst first, and in it the worst first."""
    severities: tuple[Severity, ...] = get_args(Severity)
    found = set(exposures)
    worst: dict[Path, int] = {}
    for each in found:
        rank = severities.index(each.severity)
        worst[each.file] = min(rank, worst.get(each.file, rank))

    def key(each: Exposure) -> tuple[int, str, int, int, str]:
        rank, kind = severities.index(each.severity), CODES.index(each.code)
        return worst[each.file], str(each.file), rank, kind, each.where

    return tuple(sorted(found, key=key))
