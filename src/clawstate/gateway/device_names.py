"""`free_name`: two browsers of one kind are told apart in the list of devices."""

from __future__ import annotations

from itertools import count

from clawstate.state import State


def free_name(name: str | None, state: State, *, device_id: str | None = None) -> str | None:
    """Return *name*, with a number where a device other than *device_id* is called so already."""
    taken = {each.name for each in state.devices.paired() if each.device_id != device_id}
    if name is None or name not in taken:
        return name
    return next(found for number in count(2) if (found := f"{name} ({number})") not in taken)
