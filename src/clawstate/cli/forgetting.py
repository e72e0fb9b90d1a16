"""Two ways of `memory forget`: by demands, and with a receipt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.cli.receipts import receipt_lines
from clawstate.cli.session import Session
from clawstate.errors import NotFoundError
from clawstate.wire import to_wire


def forget_demanded(
    session: Session, chosen: Mapping[str, Any], *, older_than: float | None, dry_run: bool
) -> None:
    """Forget, or in a dry run count, what is *chosen* and *older_than* so many seconds."""
    memory = session.state.memory
    until = None if older_than is None else max(memory.now() - older_than, 0.0)
    count = memory.forget_matching(**chosen, until=until, dry_run=dry_run)
    told = "would forget" if dry_run else "forgot"
    session.output.emit({"forgotten": count, "dryRun": dry_run}, f"{told} {count}")


def forget_with_receipt(session: Session, record_ids: tuple[str, ...]) -> None:
    """Forget *record_ids*, and tell what went and whether its bytes are gone."""
    receipt = session.state.memory.forget(record_ids)
    if not receipt.records:
        hint = "'clawstate memory list' shows what is kept"
        raise NotFoundError("memory", record_ids[0], hint)
    session.output.emit(to_wire(receipt), *receipt_lines(receipt))
