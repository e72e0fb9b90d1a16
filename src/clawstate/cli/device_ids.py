"""Ids of devices as people type them: a beginning is enough where it names one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.cli.record_ids import choose_id

if TYPE_CHECKING:
    from clawstate.cli.session import Session

SHOWN = 12
"""Characters of an id that a list shows where they are enough to name it."""


def find_device(session: Session, text: str) -> str:
    """Return the id of the device that *text* means, as `find_id` does for records."""
    devices = session.state.devices
    if devices.get(text) is not None:
        return text
    ids = [each.device_id for each in devices.paired(revoked=True)]
    return choose_id(
        text, lambda beginning: [each for each in ids if each.startswith(beginning)], "devices"
    )


def short_ids(ids: list[str]) -> dict[str, str]:
    """Return for each of *ids* as much of it as names it alone among them."""
    found: dict[str, str] = {}
    for each in ids:
        length = SHOWN
        while length < len(each) and sum(other.startswith(each[:length]) for other in ids) > 1:
            length += 4
        found[each] = each if len(each) <= length + 4 else each[:length]
    return found
