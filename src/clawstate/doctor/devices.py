"""What is wrong with pairing, paired devices, and the identity of this device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from clawstate.doctor.modes import wide_modes
from clawstate.errors import StateError
from clawstate.health import FIX, Finding
from clawstate.state import State


def check(state: State) -> Iterator[Finding]:
    """Look at modes, key pair, held tokens, old requests, and rights that nobody approved."""
    yield from wide_modes(state, _secrets(state))
    for look in (_identity, _held_tokens, _requests, _devices):
        try:
            found = list(look(state))
        except StateError as error:
            remedy = "run 'clawstate doctor --fix', or move the file away"
            place = str(getattr(error, "path", state.paths.root))
            found = [Finding.of(error, place, remedy)]
        yield from found


def _secrets(state: State) -> Iterator[Path]:
    files = (
        state.paths.pairing,
        state.paths.devices,
        state.paths.device_auth,
        state.paths.device_identity,
        state.paths.device_identity.with_name("device-auth.json"),
    )
    for path in files:
        yield path
        yield path.parent / ".lastgood" / path.name
    yield from dict.fromkeys(path.parent for path in files)


def _identity(state: State) -> Iterator[Finding]:
    path = str(state.paths.device_identity)
    if not os.path.lexists(path):
        return

    def correct() -> str:
        state.identity.correct_id()
        return "corrected"

    if (ids := state.identity.mismatch()) is not None:
        remedy = f"{FIX} to write the id that the key has"
        message = f"its id {ids[0][:12]}… is not that of its key, {ids[1][:12]}…"
        yield Finding("device-id", "warning", path, message, remedy, repair=correct)
    state.identity.sign(b"")  # raises for keys that do not belong together


def _held_tokens(state: State) -> Iterator[Finding]:
    if (owner := state.device_auth.foreign()) is not None:
        message = f"holds tokens of another device, {owner[:12]}…, which are not used"
        remedy = "restore the identity they belong to, or move the file away"
        yield Finding("foreign-tokens", "warning", str(state.paths.device_auth), message, remedy)


def _requests(state: State) -> Iterator[Finding]:
    if not (count := state.pairing.stale()):
        return
    remedy = f"they go with the next request; or {FIX}"
    message = f"{count} pairing requests are expired, used or malformed"
    yield Finding(
        *("old-requests", "info", str(state.paths.pairing), message, remedy),
        repair=lambda: f"removed {state.pairing.prune()}",
    )


def _devices(state: State) -> Iterator[Finding]:
    path = str(state.paths.devices)
    for device_id in state.devices.malformed():
        message = f"the device {device_id[:24]!r} is malformed, and is not let in"
        remedy = f"run 'clawstate devices remove {device_id[:24]}', and pair it again"
        yield Finding("bad-device", "error", path, message, remedy)
    for device in state.devices.paired():
        if device.excess:
            beyond = ", ".join(device.excess)
            message = f"{device.device_id[:24]!r} has scopes that nobody approved: {beyond}"
            remedy = f"they do not count; run 'clawstate devices rotate {device.device_id[:24]}'"
            yield Finding("excess-scopes", "warning", path, message, remedy)
