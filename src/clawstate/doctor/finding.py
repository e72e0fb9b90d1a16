"""`Finding`: one thing that is wrong with a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `fix` says what to do, or what was done."""

    code: str
    severity: Severity
    path: str
    message: str
    fix: str
