"""`Devices`: who is let in, and with which rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clawstate.access.names import require_id, require_name
from clawstate.access.scopes import OPERATOR, allowed_scopes, require_scopes, require_within
from clawstate.clock import Clock, system_clock
from clawstate.errors import CorruptError, InvalidError, NotFoundError
from clawstate.health import Finding
from clawstate.paging import PAGE, Listing, Page
from clawstate.records.contract import DELETE, Collection, Json, Mark
from clawstate.records.listing import latest
from clawstate.records.merging import MergeResult, merge_into
from clawstate.stores.devices import changes
from clawstate.stores.devices.changes import merge_devices
from clawstate.stores.devices.device import (
    REMOVED,
    Device,
    Grant,
    IssuedToken,
    device_of,
    digest_of,
    grant_of,
    new_token,
    require_allowed,
    require_lifetime,
)
from clawstate.stores.devices.verification import Verification

_LISTING = Listing("devices")
_KIND = "paired device"
_LOOK = "see 'clawstate devices list'"


class Devices:
    """
    The paired devices of one state (decision 13). Safe for threads.

    A token is 256 bits at random, is shown once, and is kept as its SHA-256. Its scopes are never
    more than what was approved. *uses* is the same collection with less patience, through which
    the last use of a token is noted.
    """

    def __init__(
        self,
        devices: Collection,
        *,
        uses: Collection | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._devices = devices
        self._clock = clock
        self._verification = Verification(devices, uses=uses or devices, clock=clock)

    def __repr__(self) -> str:
        return f"Devices({str(self._devices.spec.path)!r})"

    def paired(self, *, revoked: bool = False) -> tuple[Device, ...]:
        """Return the devices that are let in, the oldest first; with *revoked* those as well."""
        found = filter(None, (device_of(each.value) for each in self._devices.scan()))
        wanted = (each for each in found if revoked or each.revoked_at is None)
        return tuple(sorted(wanted, key=lambda each: (each.created_at, each.device_id)))

    def page(
        self, limit: int = PAGE, after: str | None = None, *, revoked: bool = False
    ) -> Page[Device]:
        """
        Return a page of what `paired` gives: the *limit* newest, or those behind *after*.

        It costs the same however many devices there are, on engines with an index. Raises
        `InvalidError` for a *limit* below 1 and an *after* that no page gave.
        """
        position = _LISTING.require_page(limit, after)
        found = (
            (place, device_of(each.value))
            for place, each in latest(self._devices, position, first=limit + 1)
        )
        wanted = (
            (place, each)
            for place, each in found
            if each is not None and (revoked or each.revoked_at is None)
        )
        return _LISTING.page(wanted, limit)

    def get(self, device_id: str) -> Device | None:
        """Return the device *device_id*, also a revoked one."""
        found = self._devices.get(device_id)
        return None if found is None else device_of(found.value)

    def issue(
        self,
        *,
        device_id: str,
        user_id: str,
        account_id: str | None = None,
        name: str | None = None,
        public_key: str | None = None,
        scopes: Iterable[str] | None = None,
        caller_scopes: Iterable[str] | None = None,
        role: str = OPERATOR,
        lifetime: float | None = None,
        request: str | None = None,
        collects: bool = False,
    ) -> IssuedToken:
        """
        Let a device in and return its token, which is never shown again.

        A device of that id loses its tokens, and the scopes that it had. *scopes* are reading and
        writing if not given. *caller_scopes* are those of whoever lets it in (`None`: the owner of
        the state): it takes `operator.pairing` and all that is granted. *lifetime* is in seconds.
        *request* is the mark of a pairing request, which is good for one token; with *collects* the
        device fetches it by itself (`collect`).

        Raises `InvalidError` for a device of another user or key, and for scopes beyond the
        caller's; `NotFoundError` for a request that was used already.
        """
        now = self._clock()
        grant = grant_of(
            device_id=device_id,
            user_id=user_id,
            account_id=account_id,
            name=name,
            public_key=public_key,
            role=role,
            scopes=scopes,
            until=None if lifetime is None else now + require_lifetime(lifetime),
            request=request,
        )
        require_allowed(grant, caller_scopes)
        # Outside of the change, which is pure and may be applied again after a conflict.
        token = new_token()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], None]:
            before = records.get(device_id)
            self._require_free(before, grant)
            made = changes.issue(before, grant, digest_of(token), now=now)
            # Old traces of removed devices go with any change: nothing else looks after them.
            return {**_drop_forgotten(records, now), device_id: made}, None

        self._devices.change_all(change)
        return IssuedToken(
            grant.device_id,
            grant.user_id,
            grant.role,
            token,
            grant.scopes,
            grant.expires_at,
            collects,
        )

    def collect(self, device_id: str, *, request: str, signed_at_ms: int) -> IssuedToken:
        """
        Give a device the token that the mark *request* brought it, in the place of that one.

        Whoever calls this has proof, signed at *signed_at_ms*, that it is the device. Until the
        token was used it may be fetched again: the answer may have been lost. Raises
        `NotFoundError` if that request did not let it in, `ConflictError` once the token was used.
        """
        now, token = self._clock(), new_token()
        collected: list[Device] = []

        def change(before: Json | None) -> Json:
            device = self._require(before, device_id)
            if device.revoked_at is not None or device.role not in device.tokens:
                raise NotFoundError("approval of device", device_id)
            document = _mapping(before)
            changes.require_collectable(document, request, signed_at_ms=signed_at_ms)
            collected[:] = [device]
            digest = digest_of(token)
            return changes.collect(
                document, digest, device.role, signed_at_ms=signed_at_ms, now=now
            )

        self._devices.update(require_id("device id", device_id), change)
        device = collected[0]
        until = device.tokens[device.role].expires_at
        return IssuedToken(device_id, device.user_id, device.role, token, device.scopes, until)

    def verify(
        self,
        device_id: str,
        token: str,
        scopes: Iterable[str] = (),
        *,
        role: str | None = None,
    ) -> Device | None:
        """
        Return the device *device_id* if *token* is good for all of *scopes*, else `None`.

        `None` does not say why: a stranger must not learn it. Its `scopes` and `role` are those of
        the token. The time of the last use is noted about once a minute, if that can be done.
        """
        return self._verification.verify(device_id, token, scopes, role=role)

    def rotate(
        self,
        device_id: str,
        *,
        scopes: Iterable[str] | None = None,
        caller_scopes: Iterable[str] | None = None,
        role: str = OPERATOR,
    ) -> IssuedToken:
        """
        Give a device another token in the place of that of *role*, and return it, once.

        *scopes* are those it has if not given. They cannot be more than what was approved for the
        device, nor than *caller_scopes* (`None`: the owner of the state). Raises `InvalidError`
        for more, and for a revoked device or token; `NotFoundError`.
        """
        now, token = self._clock(), new_token()
        wanted = None if scopes is None else require_scopes(scopes)
        caller = None if caller_scopes is None else require_scopes(caller_scopes)
        granted: list[tuple[Device, tuple[str, ...]]] = []

        def change(before: Json | None) -> Json:
            device = self._require(before, device_id)
            if device.revoked_at is not None:
                hint = "let it ask to be paired again"
                raise InvalidError(f"{_KIND} {device_id!r}", "is revoked", hint)
            if (held := device.tokens.get(role)) is None:
                raise NotFoundError(f"token of {_KIND} {device_id!r} in the role", role, _LOOK)
            # Checked in the change that writes, so a revocation at the same moment is not undone.
            if held.revoked_at is not None:
                raise InvalidError("token", "is revoked", "let the device ask to be paired again")
            whose = "what was approved for the device"
            if wanted is None:
                given = allowed_scopes(device.approved_scopes, held.scopes, role=role)
            else:
                given = wanted
                require_within(given, device.approved_scopes, role=role, whose=whose)
            if caller is not None:
                require_within(given, caller, role=role, whose="the caller's scopes")
            # Replaced and not appended: only what the last application saw was written.
            granted[:] = [(device, given)]
            return changes.rotate(_mapping(before), role, digest_of(token), given, now=now)

        self._devices.update(require_id("device id", device_id), change)
        device, given = granted[0]
        until = device.tokens[role].expires_at
        return IssuedToken(device_id, device.user_id, role, token, given, until)

    def merge(
        self, documents: Mapping[str, Json], *, replace: bool = False, dry_run: bool = False
    ) -> MergeResult:
        """
        Merge the *documents* of devices that another program paired.

        Their tokens, given as digests, stay valid. What is here stays, unless *replace*; a
        *dry_run* writes nothing.
        """

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], MergeResult]:
            return merge_devices(records, documents, replace=replace)

        return merge_into(self._devices, change, dry_run=dry_run)

    def revoke(self, device_id: str, *, role: str | None = None) -> bool:
        """Let a device in no more, or not in *role*; False if it was not."""
        now = self._clock()
        done: list[bool] = []

        def change(before: Json | None) -> Json | Mark:
            device = None if before is None else device_of(before)
            held = () if device is None else _good(device, role)
            done[:] = [bool(held)]
            if before is None or not held:
                # Deleting what is not there writes nothing.
                return DELETE if before is None else before
            return changes.revoke(_mapping(before), role, now=now)

        self._devices.update(require_id("device id", device_id), change)
        return done[0]

    def rename(self, device_id: str, name: str, *, expect: Device | None = None) -> Device:
        """
        Call a device *name*, and return it; raises `NotFoundError`, `InvalidError`.

        `ConflictError` if it is not as in *expect* any more.
        """
        shown = require_name(name)

        def change(before: Json | None) -> Json:
            self._require(before, device_id)
            changes.require_expected(before, expect)
            return {**_mapping(before), "name": shown}

        found = self._devices.update(require_id("device id", device_id), change)
        return self._require(None if found is None else found.value, device_id)

    def remove(self, device_id: str, *, expect: Device | None = None) -> bool:
        """
        Forget a device, which is let in no more; False if there was none.

        By which pairing requests it came is remembered for a month, so that none counts twice.
        Raises `ConflictError` if it is not as in *expect* any more.
        """
        now = self._clock()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], bool]:
            changes.require_expected(records.get(device_id), expect)
            before = records.pop(device_id, None)
            # Removed before: its trace stays as it is, or asking again and again would keep it for
            # ever.
            is_gone = before is None or (isinstance(before, Mapping) and REMOVED in before)
            left = before if is_gone else changes.tombstone(before, device_id, now=now)
            kept = _drop_forgotten(records, now)
            return kept if left is None else {**kept, device_id: left}, not is_gone

        require_id("device id", device_id)
        return self._devices.change_all(change)

    def refuse(self, request: str, device_id: str) -> None:
        """
        Let the pairing request with the mark *request* of a device let nobody in from now on.

        It is remembered as that of a removed device is. Raises `NotFoundError` when it was used
        already.
        """
        now = self._clock()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], None]:
            before = records.get(device_id)
            changes.require_unused(before, request, device_id)
            made = changes.mark_refused(before, device_id, request, now=now)
            return {**_drop_forgotten(records, now), device_id: made}, None

        require_id("device id", device_id)
        self._devices.change_all(change)

    def was_used(self, request: str, device_id: str | None = None) -> bool:
        """Tell whether the mark *request* let in, or was refused to, that device or any."""
        if device_id is not None:
            found = self._devices.get(device_id)
            return found is not None and request in changes.marks_of(found.value)
        # Who enters a used code once more names no device, so all are asked.
        return any(request in changes.marks_of(each.value) for each in self._devices.scan())

    def malformed(self) -> tuple[str, ...]:
        """Return the ids of devices whose records cannot be used; they are not let in."""
        return tuple(
            each.key
            for each in self._devices.scan()
            if device_of(each.value) is None
            and not (isinstance(each.value, Mapping) and REMOVED in each.value)
        )

    def check(self) -> Iterator[Finding]:
        """Give devices that cannot be used, and scopes that nobody approved."""
        path = str(self._devices.spec.path)
        for device_id in self.malformed():
            message = f"the device {device_id[:24]!r} is malformed, and is not let in"
            remedy = f"run 'clawstate devices remove {device_id[:24]}', and pair it again"
            yield Finding("bad-device", "error", path, message, remedy)
        for device in self.paired():
            if device.excess:
                name, beyond = device.device_id[:24], ", ".join(device.excess)
                message = f"{name!r} has scopes that nobody approved: {beyond}"
                remedy = f"they do not count; run 'clawstate devices rotate {name}'"
                yield Finding("excess-scopes", "warning", path, message, remedy)

    def _require_free(self, before: Json | None, grant: Grant) -> None:
        if grant.request is not None:
            changes.require_unused(before, grant.request, grant.device_id)
        if before is None or (isinstance(before, Mapping) and REMOVED in before):
            return
        if not grant.fits(self._require(before, grant.device_id)):
            hint = "remove it first, with 'clawstate devices remove'"
            raise InvalidError("device", "is paired to another user or key", hint)

    def _require(self, document: Json | None, device_id: str) -> Device:
        if document is None or (isinstance(document, Mapping) and REMOVED in document):
            raise NotFoundError(_KIND, device_id, _LOOK)
        device = device_of(document)
        if device is None:
            place = str(self._devices.spec.path)
            raise CorruptError(place, f"the device {device_id!r} is malformed", "remove the device")
        return device


def _mapping(document: Json | None) -> dict[str, Any]:
    return dict(document or {})


def _good(device: Device, role: str | None) -> tuple[str, ...]:
    if role is None and device.revoked_at is None:
        return tuple(device.tokens) or ("",)
    return tuple(
        each.role for each in device.tokens.values() if each.role == role and not each.revoked_at
    )


def _drop_forgotten(records: Mapping[str, Json], now: float) -> dict[str, Json]:
    return {
        key: value for key, value in records.items() if not changes.is_forgotten(value, now=now)
    }
