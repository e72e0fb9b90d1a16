"""Whether a memory is sound, however far behind its indexes are."""

from __future__ import annotations


def damage_of(memory) -> list[str]:
    """Return what is damaged in *memory*; that indexes are to be brought up to date is none."""
    return [f"{each.code}: {each.message}" for each in memory.check() if each.severity != "info"]
