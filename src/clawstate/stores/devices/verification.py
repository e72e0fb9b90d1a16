"""Whether a token is good: asked with every call that a device makes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from clawstate.access.scopes import allowed_scopes, covers
from clawstate.clock import Clock
from clawstate.errors import StateError
from clawstate.interrupts import Mutex
from clawstate.records.contract import DELETE, Collection, Json, Mark, Revision
from clawstate.stores.devices import changes
from clawstate.stores.devices.device import Device, DeviceToken, device_of, matching

_NOTED_EVERY = 60.0  # seconds between two notes of the last use
_MOST = 256  # devices that are held decoded


class Verification:
    """Compares tokens in constant time, with what the collection says at that moment."""

    def __init__(self, devices: Collection, *, uses: Collection, clock: Clock) -> None:
        self._devices = devices
        self._uses = uses
        self._clock = clock
        self._mutex = Mutex()
        self._known: OrderedDict[str, tuple[Revision, Device | None]] = OrderedDict()
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()

    def verify(
        self, device_id: str, token: str, scopes: Iterable[str], *, role: str | None
    ) -> Device | None:
        """Return the device if *token* is good for all of *scopes*, else `None`."""
        is_list = isinstance(scopes, Iterable) and not isinstance(scopes, str | bytes)
        now, wanted = self._clock(), tuple(scopes) if is_list else ()
        device = self._device(device_id)
        # Asked also for an unknown device: how long the answer takes must not tell which exist.
        held = matching(token, {} if device is None else device.tokens)
        if device is None or held is None or device.revoked_at is not None:
            return None
        allowed = allowed_scopes(device.approved_scopes, held.scopes, role=held.role)
        are_scopes = is_list and all(isinstance(each, str) for each in wanted)
        if role not in {None, held.role} or not are_scopes or not held.is_good(now):
            return None
        if not covers(allowed, wanted, role=held.role):
            return None
        self._note(device_id, held, now)
        if device.scopes == allowed and device.role == held.role:
            return device
        return replace(device, scopes=allowed, role=held.role)

    def _device(self, device_id: str) -> Device | None:
        found = self._devices.get(device_id)
        if found is None:
            return None
        with self._mutex:
            known = self._known.get(device_id)
            # Decoding takes longer than the look; the revision tells that nothing changed since.
            if known is None or known[0] != found.revision:
                known = found.revision, _own(found.value, device_id)
                _remember(self._known, device_id, known)
        return known[1]

    def _note(self, device_id: str, held: DeviceToken, now: float) -> None:
        """Note the use, unless that was done just now; a try that fails counts as one."""
        place = device_id, held.role
        with self._mutex:
            moments = self._noted.get(place), held.last_used_at
            if any(each is not None and abs(now - each) < _NOTED_EVERY for each in moments):
                return
            # Before the write: a disk that is full is tried once a minute, and not with each call.
            _remember(self._noted, place, now)

        def change(before: Json | None) -> Json | Mark:
            return DELETE if before is None else changes.mark_used(before, held, now=now)

        try:
            self._uses.update(device_id, change)
        except StateError:
            return  # whoever has a good token is let in, whatever the disk says


def _own(document: Json, device_id: str) -> Device | None:
    device = device_of(document)
    return device if device is not None and device.device_id == device_id else None


def _remember(held: OrderedDict, key: object, value: object) -> None:  # type: ignore[type-arg]
    held[key] = value
    held.move_to_end(key)
    while len(held) > _MOST:
        held.popitem(last=False)
