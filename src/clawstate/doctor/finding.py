"""`Finding`: one thing that is wrong with a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clawstate.errors import StateError, VersionError

_DOCTOR = "; run 'clawstate doctor'"

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `fix` says what to do, or what was done."""

    code: str
    severity: Severity
    path: str
    message: str
    fix: str

    @classmethod
    def of(cls, error: StateError, path: str, fix: str) -> Finding:
        """
        Return that a check of *path* failed with *error*, and *fix* as what to do.

        What a newer version wrote is not damaged: an upgrade is the only thing to do.
        """
        if isinstance(error, VersionError):
            fix = error.hint
        return cls(error.code, "error", path, str(error), fix)

    def __post_init__(self) -> None:
        """Say what to do once, and nobody who runs the doctor has to be told to run it."""
        message, fix = self.message.removesuffix(_DOCTOR), self.fix
        if fix and message.endswith(f"; {fix}"):
            message = message.removesuffix(f"; {fix}")
        if fix == _DOCTOR.removeprefix("; "):
            fix = ""
        object.__setattr__(self, "message", message)
        object.__setattr__(self, "fix", fix)
