"""Why records of a memory have no vector, or none of the embedder that is wanted, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawstate.health import Finding
    from clawstate.memory.service import Memory

_CODES = ("memory-embedder", "memory-waiting", "memory-setting")


def vector_findings(memory: Memory) -> list[Finding]:
    """Return what the doctor finds about the vectors of *memory*, without reading all of it."""
    return [each for each in memory.check(deep=False) if each.code in _CODES]


def sentence(finding: Finding) -> str:
    """Return what is wrong, and what to do."""
    return f"{finding.message}; {finding.fix}" if finding.fix else finding.message
