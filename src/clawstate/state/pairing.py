"""Wires pairing, devices and the identity of this device to the engines of a state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from clawstate.config.settings import PAIRING_LIMIT, PAIRING_PATH, PAIRING_TTL
from clawstate.config.view import Decoded, View
from clawstate.errors import InvalidError
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import expand_below, is_nameable
from clawstate.openclaw.owner import Era
from clawstate.openclaw.reading import read_identity
from clawstate.records.contract import Backend, Collection, CollectionSpec, Versioned
from clawstate.state.context import SQLITE, Context, split_root
from clawstate.stores.device_auth import HELD, OPENCLAW_HELD, DeviceAuth
from clawstate.stores.devices import DEVICES, Devices
from clawstate.stores.identity import IDENTITY, Identity
from clawstate.stores.pairing import (
    ATTEMPTS,
    INVITATIONS,
    REQUESTS,
    Attempts,
    DeviceFlow,
    Pairing,
    PairingSettings,
)

_IN_PASSING = LockOptions(timeout=0.1)  # a note of the last use keeps nobody waiting


def open_pairing(context: Context, devices: Devices) -> Pairing:
    """Return the pending pairing requests; `pairing.*` is read anew with each call."""
    attempts = context.backends.records().collection(ATTEMPTS)
    return Pairing(
        _requests(context),
        attempts=Attempts(attempts, clock=context.clock),
        approvals=devices,
        settings=Decoded(context.config.view, _settings),
        clock=context.clock,
    )


def open_device_flow(context: Context, pairing: Pairing, devices: Devices) -> DeviceFlow:
    """Return the device's side of *pairing*, with the invitations that are open."""
    records = context.backends.records()
    return DeviceFlow(
        pairing,
        records.collection(INVITATIONS),
        approvals=devices,
        attempts=Attempts(records.collection(ATTEMPTS), clock=context.clock),
        clock=context.clock,
    )


def open_devices(context: Context) -> Devices:
    """Return the paired devices."""
    devices = context.backends.records().collection(DEVICES)
    uses = devices
    if context.backends.engine.in_files:
        engine = context.backends.files(context.paths.root, lock=_IN_PASSING, chosen=True)
        uses = engine.collection(DEVICES)
    return Devices(devices, uses=uses, clock=context.clock)


def open_identity(context: Context) -> Identity:
    """
    Return the key pair of this device.

    It is a file whatever the engine: OpenClaw reads it too, and a database may serve several
    machines, each of which is a device of its own. In OpenClaw's SQLite era, where such a file
    stops its gateway, the key pair of OpenClaw is used; only where there is none ours is made, a
    row on this machine (decision 27).
    """
    if context.owner.era is Era.SQLITE:
        keys = _own_rows(context).collection(IDENTITY)
        return Identity(keys, shared=_TheirKeys(context), clock=context.clock)
    keys = context.backends.files(context.paths.root).collection(IDENTITY)
    return Identity(keys, clock=context.clock)


def open_device_auth(context: Context) -> DeviceAuth:
    """Return the tokens that this device holds, where its key pair is."""
    files = context.backends.files(context.paths.root)
    own = _own_rows(context) if context.owner.era is Era.SQLITE else files
    return DeviceAuth(
        own.collection(HELD),
        owner=_Owner(open_identity(context)),
        fallback=files.collection(OPENCLAW_HELD),
        clock=context.clock,
    )


def _own_rows(context: Context) -> Backend:
    return context.backends.records(SQLITE)


@dataclass(frozen=True, slots=True)
class _TheirKeys:
    """The key pair of OpenClaw: its row, or the file that it is about to take over."""

    context: Context

    def get(self, key: str, /) -> Versioned | None:
        if (document := read_identity(self.context.paths.root)) is not None:
            return Versioned(key, document, str(document["deviceId"]))
        return self.context.backends.files(self.context.paths.root).collection(IDENTITY).get(key)


@dataclass(frozen=True, slots=True)
class _Owner:
    identity: Identity

    @property
    def device_id(self) -> str:
        return self.identity.device_id

    def known_id(self) -> str | None:
        found = self.identity.get()
        return None if found is None else found.device_id


def _settings(view: View) -> PairingSettings:
    return PairingSettings(
        ttl=PAIRING_TTL.of(view),
        limit=lambda: PAIRING_LIMIT.of(view),
    )


def _requests(context: Context) -> Callable[[], Collection]:
    """Return what gives the collection at the place that the configuration names just now."""
    known: dict[str, Collection] = {}

    def requests() -> Collection:
        chosen = PAIRING_PATH.of(context.config.view()) or ""
        if chosen not in known:
            known[chosen] = _collection(context, chosen)
        return known[chosen]

    return requests


def _collection(context: Context, chosen: str) -> Collection:
    if not chosen or not context.backends.engine.in_files:
        return context.backends.records().collection(REQUESTS)
    root, spec = requests_place(context)
    return context.backends.records(root=root).collection(spec)


def requests_place(context: Context) -> tuple[Path, CollectionSpec]:
    """Return the directory below which the file of the requests lies, and its spec."""
    chosen = PAIRING_PATH.of(context.config.view())
    if not chosen:
        return context.paths.root, REQUESTS
    root, path = split_root(_place(context, chosen), context.paths.root)
    return root, replace(REQUESTS, path=path)


def _place(context: Context, chosen: str) -> Path:
    if not is_nameable(chosen) or ".." in Path(chosen).parts:
        problem = "leads up, or holds what no path can"
        raise InvalidError("pairing.path", problem, "give an absolute path, or one below the state")
    return expand_below(chosen, context.paths.root)
