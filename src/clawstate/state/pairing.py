"""How pairing, devices and the identity of this device stand on the ground of a state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from clawstate.config.settings import PAIRING_LIMIT, PAIRING_PATH, PAIRING_TTL
from clawstate.errors import InvalidError
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import expand_below, is_nameable
from clawstate.openclaw.owner import Era
from clawstate.openclaw.reading import read_identity
from clawstate.records.contract import Backend, Collection, Versioned
from clawstate.state.ground import FILE, SQLITE, Ground, placed
from clawstate.stores.device_auth import HELD, OPENCLAW_HELD, DeviceAuth
from clawstate.stores.devices import DEVICES, Devices
from clawstate.stores.identity import IDENTITY, Identity
from clawstate.stores.pairing import ATTEMPTS, REQUESTS, Attempts, Pairing, PairingSettings

_IN_PASSING = LockOptions(timeout=0.1)  # a note of the last use keeps nobody waiting


def open_pairing(ground: Ground, devices: Devices) -> Pairing:
    """Return the pending pairing requests; `pairing.*` is read anew with each call."""
    attempts = ground.engines.records().collection(ATTEMPTS)
    return Pairing(
        _requests(ground),
        attempts=Attempts(attempts, clock=ground.clock),
        approvals=devices,
        settings=lambda: _settings(ground),
        clock=ground.clock,
    )


def open_devices(ground: Ground) -> Devices:
    """Return the paired devices."""
    devices = ground.engines.records().collection(DEVICES)
    uses = devices
    if ground.engines.choice == FILE:
        engine = ground.engines.files(ground.paths.root, lock=_IN_PASSING, chosen=True)
        uses = engine.collection(DEVICES)
    return Devices(devices, uses=uses, clock=ground.clock)


def open_identity(ground: Ground) -> Identity:
    """
    Return the key pair of this device.

    It is a file whatever the engine: OpenClaw reads it too, and a database may serve several
    machines, each of which is a device of its own. In OpenClaw's SQLite era, where such a file
    stops its gateway, the key pair of OpenClaw is used; only where there is none ours is made, a
    row on this machine (decision 27).
    """
    if ground.owner.era is Era.SQLITE:
        keys = _own_rows(ground).collection(IDENTITY)
        return Identity(keys, shared=_TheirKeys(ground), clock=ground.clock)
    keys = ground.engines.files(ground.paths.root).collection(IDENTITY)
    return Identity(keys, clock=ground.clock)


def open_device_auth(ground: Ground) -> DeviceAuth:
    """Return the tokens that this device holds, where its key pair is."""
    files = ground.engines.files(ground.paths.root)
    own = _own_rows(ground) if ground.owner.era is Era.SQLITE else files
    return DeviceAuth(
        own.collection(HELD),
        owner=_Owner(open_identity(ground)),
        fallback=files.collection(OPENCLAW_HELD),
        clock=ground.clock,
    )


def _own_rows(ground: Ground) -> Backend:
    return ground.engines.records(SQLITE)


@dataclass(frozen=True, slots=True)
class _TheirKeys:
    """The key pair of OpenClaw: its row, or the file that it is about to take over."""

    ground: Ground

    def get(self, key: str, /) -> Versioned | None:
        if (document := read_identity(self.ground.paths.root)) is not None:
            return Versioned(key, document, str(document["deviceId"]))
        return self.ground.engines.files(self.ground.paths.root).collection(IDENTITY).get(key)


@dataclass(frozen=True, slots=True)
class _Owner:
    identity: Identity

    @property
    def device_id(self) -> str:
        return self.identity.device_id

    def known_id(self) -> str | None:
        found = self.identity.known()
        return None if found is None else found.device_id


def _settings(ground: Ground) -> PairingSettings:
    view = ground.config.view()
    return PairingSettings(
        ttl=PAIRING_TTL.of(view),
        limit=lambda: PAIRING_LIMIT.of(view),
    )


def _requests(ground: Ground) -> Callable[[], Collection]:
    """Return what gives the collection at the place that the configuration names just now."""
    known: dict[str, Collection] = {}

    def requests() -> Collection:
        chosen = PAIRING_PATH.of(ground.config.view()) or ""
        if chosen not in known:
            known[chosen] = _collection(ground, chosen)
        return known[chosen]

    return requests


def _collection(ground: Ground, chosen: str) -> Collection:
    if not chosen or ground.engines.choice != FILE:
        return ground.engines.records().collection(REQUESTS)
    root, path = placed(_place(ground, chosen), ground.paths.root)
    return ground.engines.files(root, chosen=True).collection(replace(REQUESTS, path=path))


def _place(ground: Ground, chosen: str) -> Path:
    if not is_nameable(chosen) or ".." in Path(chosen).parts:
        problem = "leads up, or holds what no path can"
        raise InvalidError("pairing.path", problem, "give an absolute path, or one below the state")
    return expand_below(chosen, ground.paths.root)
