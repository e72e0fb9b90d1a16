"""Receipts of forgetting, and compactions, as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.memory.forgetting import Compaction, Receipt

_WAITS = "'clawstate memory compact' clears them"


def receipt_lines(receipt: Receipt) -> list[str]:
    """Return *receipt* as lines: what went, from where, and whether its bytes are gone."""
    lines = [f"forgot {each.id}  sha256:{each.digest}" for each in receipt.records]
    lines += [f"not kept: {each}" for each in receipt.missing]
    counts = ", ".join(
        number_of(count, place.removesuffix("s")) for place, count in receipt.places.items()
    )
    lines.append(f"from: {counts}")
    if receipt.gone:
        lines.append("no byte of them is left in the files")
    else:
        lines.append(f"their bytes are still in the files, for: {receipt.waits_for}; {_WAITS}")
    return lines


def compaction_lines(done: Compaction) -> list[str]:
    """Return *done* as lines: what was cleared, and the space that was given back."""
    if not done.complete:
        return [f"not finished, for: {done.waits_for}"]
    before = number_of(done.changes, "record")
    cleared = f"cleared bytes of {before} forgotten, changed or embedded anew"
    return [f"{cleared}; {number_of(done.before, 'byte')} before, {done.after:,} after"]
