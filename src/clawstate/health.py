"""`Finding`: one thing that is wrong with a state, what to do about it, and how it is mended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from clawstate.errors import StateError, VersionError

_DOCTOR = "; run 'clawstate doctor'"
FIX = "run 'clawstate doctor --fix'"
"""What to do about a finding that can be repaired."""

SALVAGE = (
    "run 'clawstate doctor --salvage' to keep what can be read of it, or restore the newest backup"
)
"""What to do about a damaged database of which a repair saves what can be read."""

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that is not as it should be; `fix` says what to do, or what was done.

    *repair* mends it without losing anything, and returns what was done; `None` where only a
    person can. It raises `StateError` or `OSError` when it cannot.
    """

    code: str
    severity: Severity
    path: str
    message: str
    fix: str
    # Not compared: two looks at one fault find the same, though each brings a function of its own.
    repair: Callable[[], str] | None = field(default=None, repr=False, compare=False, kw_only=True)

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

    def repaired(self) -> Self:
        """Return the finding with what its repair did, or why it could not; itself without one."""
        return self.try_repair()[0]

    def try_repair(self) -> tuple[Self, bool]:
        """Return the finding as `repaired` does, and whether a repair did its work."""
        if self.repair is None:
            return self, False
        is_done = False
        try:
            told = self.repair()
            is_done = True
        # Told in the finding and not raised, so that the repairs of all others go on.
        except StateError as error:
            told = f"{self.fix} (it was tried: {error})"
        except OSError as error:
            told = f"{self.fix} (it was tried: {error.strerror or error})"
        return replace(self, fix=told, repair=None), is_done


def repair_all(findings: Iterable[Finding]) -> list[Finding]:
    """Return *findings* with what their repairs did, each after all of them were found."""
    return [each.repaired() for each in list(findings)]
