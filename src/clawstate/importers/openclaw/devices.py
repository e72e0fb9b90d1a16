"""This device and its tokens, the devices that are paired with it, and the marks of plugins."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from clawstate.access.names import require_name
from clawstate.errors import ConflictError, InvalidError, StateError
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.source import Found, Role
from clawstate.quantities import number_of
from clawstate.stores.dedupe.expiry import is_mark
from clawstate.stores.identity.document import IdentityLayout, id_of, raw_public_key

IDENTITY, DEVICE_AUTH, DEVICES = "identity", "device-auth", "devices"
DEDUPE = "dedupe"
OWNER = "owner"
"""The user of devices that OpenClaw let in: it knows no other."""

_KEPT = "not taken, since this state has another under that name (--replace takes theirs)"
_NOT_HELD = "left, since they expired or are too many"
_PENDING = "left, since they are good for five minutes only; let the devices ask again"


def take_identity(job: Job) -> None:
    """Be the device that the source is, if this state has no key pair yet."""
    for found in job.of(Role.IDENTITY):
        if job.in_database(found):
            job.report.skip_superseded(IDENTITY, found.path, "key pair", 1)
            continue
        with job.count_failures(IDENTITY, found.path):
            document = job.source.object(found.path)
            if job.source.is_same_file(found.path, job.state.paths.device_identity):
                job.report.count(IDENTITY).add(unchanged=1)
            elif job.state.identity.merge(document, dry_run=job.dry_run):
                job.report.count(IDENTITY).add(new=1)
            # The same device by another file, such as a copy: nothing was left out.
            elif _id_in(document) == _known_id(job):
                job.report.count(IDENTITY).add(unchanged=1)
            else:
                message = "this state has another key pair, which stays"
                job.report.skip(IDENTITY, found.path, message)


def take_device_auth(job: Job) -> None:
    """Take the tokens by which other gateways let this device in, if it is the same device."""
    for found in job.of(Role.DEVICE_AUTH):
        with job.count_failures(DEVICE_AUTH, found.path):
            _take_held(job, found, job.source.object(found.path))


def take_devices(job: Job) -> None:
    """Take the paired devices, whose tokens stay good: of each only its SHA-256 is kept."""
    for found in job.of(Role.PAIRED):
        with job.count_failures(DEVICES, found.path):
            theirs = job.source.object(found.path)
            known = {name for each in job.in_database(found) for name in each}
            job.report.skip_superseded(DEVICES, found.path, "device", len(known & theirs.keys()))
            documents = {
                name: device_document(each) for name, each in theirs.items() if name not in known
            }
            answer = job.state.devices.merge(
                documents, replace=job.settings.replace, dry_run=job.dry_run
            )
            job.report.add_merge(DEVICES, found.path, answer, what="device", why_kept=_KEPT)
    for found in job.of(Role.PENDING):
        with job.count_failures(DEVICES, found.path):
            if waiting := len(job.source.object(found.path)):
                message = f"{number_of(waiting, 'request')} {_PENDING}"
                job.report.skip(DEVICES, found.path, message, things=waiting)


def device_document(device: Any) -> Any:
    """Return OpenClaw's *device* as it is kept here: its tokens as digests, all else as it is."""
    if not isinstance(device, dict):
        return device
    tokens = device.get("tokens")
    scopes = device.get("scopes")
    document = {
        **device,
        # OpenClaw has one user, and records of devices here name theirs.
        "userId": OWNER,
        "approvedScopes": device.get("approvedScopes", scopes if scopes is not None else []),
        "tokens": {
            role: _digest_token(each)
            for role, each in (tokens if isinstance(tokens, dict) else {}).items()
        },
    }
    if (name := _name(device.get("displayName"))) is not None:
        document["name"] = name
    return document


def _digest_token(token: Any) -> Any:
    clear = token.get("token") if isinstance(token, dict) else None
    if not isinstance(clear, str) or not clear:
        return None
    # Here only digests are kept: who reads the file cannot use the tokens of the devices.
    digest = hashlib.sha256(clear.encode("utf-8", "surrogatepass")).hexdigest()
    return {"hash": digest, **{name: each for name, each in token.items() if name != "token"}}


def _name(value: Any) -> str | None:
    try:
        return None if value is None else require_name(value)
    except InvalidError:
        return None


def _take_held(job: Job, found: Found, document: Mapping[str, Any]) -> None:
    tokens = document.get("tokens")
    held = len(tokens) if isinstance(tokens, dict) else 0
    if job.is_home() and not found.in_database:
        job.report.count(DEVICE_AUTH).add(unchanged=held)
        return
    owner, ours = document.get("deviceId"), _id_after(job)
    # Signed requests are checked against the key: tokens of another key pair open nothing.
    if owner is not None and ours is not None and ours != owner:
        message = "its tokens belong to another device than this one"
        job.report.skip(DEVICE_AUTH, found.path, message, things=held or 1)
        return
    try:
        answer = job.state.device_auth.merge(
            document, replace=job.settings.replace, dry_run=job.dry_run
        )
    except ConflictError:
        message = "the tokens here belong to another device, and stay"
        job.report.skip(DEVICE_AUTH, found.path, message, things=held or 1)
        return
    job.report.add_merge(DEVICE_AUTH, found.path, answer, what="token", why_kept=_KEPT)


def _id_after(job: Job) -> str | None:
    """Return the id that this device has, or in a dry run would have after the import."""
    known = _known_id(job)
    # In a real run the key pair was taken before this step.
    if known is not None or not job.dry_run:
        return known
    for found in job.files:
        if found.role is Role.IDENTITY:
            try:
                return _id_in(job.source.object(found.path))
            except StateError:
                return None
    return None


def _known_id(job: Job) -> str | None:
    known = job.state.identity.get()
    return None if known is None else known.device_id


def _id_in(document: Mapping[str, Any]) -> str:
    record = IdentityLayout().decode(dict(document))["device"]
    return id_of(raw_public_key(record["publicKeyPem"]))


def take_marks(job: Job) -> None:
    """
    Take the marks of `<plugin>/dedup/<namespace>.json` into the namespace *plugin:namespace*.

    Those in rows name the namespace by its prefix and a hash, and are kept under these.
    """
    for found in job.of(Role.DEDUPE):
        with job.count_failures(DEDUPE, found.path):
            members = job.source.object(found.path)
            marks = {key: value for key, value in members.items() if key and is_mark(value)}
            answer = job.state.dedupe.merge(marks, namespace_of(found), dry_run=job.dry_run)
            job.report.add_merge(DEDUPE, found.path, answer, what="mark", why_kept=_NOT_HELD)
            if others := len(members) - len(marks):
                message = f"{number_of(others, 'member')} left that OpenClaw passes over, too"
                job.report.skip(DEDUPE, found.path, message, things=others)


def namespace_of(found: Found) -> str:
    """Return where the marks of *found* go: those of two plugins must not be taken for another."""
    if found.in_database:
        return found.owner
    plugin, _, rest = found.path.partition("/")
    return f"{plugin}:{found.owner}" if "/" in rest else found.owner
