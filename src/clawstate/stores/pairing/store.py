"""`Pairing`: the pending requests of one state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from clawstate.access.names import (
    require_id,
    require_name,
    require_public_key,
)
from clawstate.access.scopes import require_operator_scopes
from clawstate.arguments import require_kind
from clawstate.clock import Clock, from_ms, system_clock, to_ms
from clawstate.errors import ConflictError, InvalidError, LimitError, NotFoundError, StateError
from clawstate.health import FIX, Finding
from clawstate.paging import PAGE, Listing, Page, Position
from clawstate.quantities import number_of
from clawstate.records.contract import Collection, Json
from clawstate.records.listing import latest
from clawstate.stores.pairing.attempts import Attempts
from clawstate.stores.pairing.contract import Approvals, Issued, PairingSettings
from clawstate.stores.pairing.request import (
    PairingRequest,
    candidates,
    document_of,
    first_free,
    give_way,
    is_live,
    mark_of,
    matching,
    normalise_code,
    request_of,
    shorten_code,
)

ADMIN = "operator.admin"
"""Is granted only where the approving call names it, whatever a device asks for."""

_LISTING = Listing("pairing")
_KIND = "pending pairing request"
_FULL = "approve or reject one; 'clawstate pairing list' shows them"
_LOOK = "see 'clawstate pairing list'"


class Pairing:
    """
    The devices that ask to be let in (specification section 4, decision 13). Safe for threads.

    Expired requests are never returned, and leave the collection with the next change. A code is
    good for one approval: *approvals* issues the token first, once for each code, and then the
    request goes. So a crash leaves a request that can still be approved, or a paired device.

    *requests* gives the collection in force, *settings* what the configuration says now.
    """

    def __init__(
        self,
        requests: Callable[[], Collection],
        *,
        attempts: Attempts,
        approvals: Approvals,
        settings: Callable[[], PairingSettings] = PairingSettings,
        clock: Clock = system_clock,
    ) -> None:
        self._requests = requests
        self._attempts = attempts
        self._approvals = approvals
        self._settings = settings
        self._clock = clock

    def __repr__(self) -> str:
        return f"Pairing({str(self._requests().spec.path)!r})"

    def request(
        self,
        *,
        user_id: str,
        device_id: str,
        account_id: str | None = None,
        scopes: Iterable[str] | None = None,
        name: str | None = None,
        public_key: str | None = None,
        collects: bool = False,
        source: str | None = None,
    ) -> PairingRequest:
        """
        Ask to pair a device, and return the request with the code to show.

        The same user and device that ask again get the same code. If they ask for something else
        than before, the code is a new one: what somebody has read is what gets approved.
        *public_key* is the raw Ed25519 key in base64url; with *collects* the device fetches its
        token by itself, with proof that it has that key (`DeviceFlow`). *source* is the address
        that asks over a network: of one address the oldest request gives way before the places run
        out, and so does whichever waited ten minutes. Raises `LimitError` when too many wait,
        `InvalidError` for what cannot be shown to the person who decides.
        """
        wanted = PairingRequest(
            "",
            require_id("user id", user_id),
            require_id("device id", device_id),
            from_ms(to_ms(self._clock())),  # as it will be read again
            account_id=None if account_id is None else require_id("account id", account_id),
            scopes=None if scopes is None else require_operator_scopes(scopes),
            name=None if name is None else require_name(name),
            public_key=None if public_key is None else require_public_key(public_key, device_id),
            collects=collects and public_key is not None,
            source=None if source is None else require_id("source", source),
        )
        # Asked before the change: while it holds its collection it must not wait for that of
        # devices.
        offered, used, limit = candidates(), self._approved_codes(), self._limit()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], PairingRequest]:
            live = self._live(records, used)
            before = _of_device(live.values(), wanted.device_id, wanted.user_id)
            if before and before[0].covers(wanted):
                return _keep_live(records, live), before[0]
            # It takes the place of the old request, so asking for something else is never "too
            # many".
            if before:
                del live[before[0].code]
            elif len(live) >= limit or wanted.source is not None:
                give_way(live, wanted.source, limit=limit, now=self._clock())
            if len(live) >= limit:
                raise LimitError("pending pairing requests", limit, _FULL)
            # Free among all records, also expired ones: somebody may still have an old code on the
            # screen.
            made = replace(wanted, code=first_free(offered, records.keys()))
            return {**_keep_live(records, live), made.code: document_of(made)}, made

        return self._requests().change_all(change)

    def pending(self) -> tuple[PairingRequest, ...]:
        """Return the requests that wait, the oldest first."""
        records = {each.key: each.value for each in self._requests().scan()}
        live = self._live(records, frozenset()).values()
        unused = (each for each in live if not self._is_used(each))
        return tuple(sorted(unused, key=lambda each: (each.created_at, each.code)))

    def page(self, limit: int = PAGE, after: str | None = None) -> Page[PairingRequest]:
        """
        Return a page of what `pending` gives: the *limit* newest, or those behind *after*.

        Raises `InvalidError` for a *limit* below 1 and an *after* that no page gave.
        """
        position = _LISTING.require_page(limit, after)
        return _LISTING.page(self._latest(position, first=limit + 1), limit)

    def _latest(
        self, after: Position | None, *, first: int
    ) -> Iterator[tuple[Position, PairingRequest]]:
        now, ttl = self._clock(), self._settings().ttl
        # A cursor gets into logs and URLs, where no code may be: it holds the mark of the code,
        # and all requests of its moment are looked at again.
        start = None if after is None else (after[0], "")
        found = latest(self._requests(), start, first=first)
        for moment, group in groupby(found, key=lambda each: each[0][0]):
            # Newest first: all that follow have expired as well.
            if -moment < to_ms(now - ttl):
                return
            placed = sorted(
                (((moment, mark_of(each.key)), each.value) for _, each in group), key=itemgetter(0)
            )
            for position, value in placed:
                request = request_of(value) if after is None or position > after else None
                if request is None or not is_live(request, now=now, ttl=ttl):
                    continue
                if not self._is_used(request):
                    yield position, request

    def _limit(self) -> int:
        limit = self._settings().limit
        return limit if isinstance(limit, int) else limit()

    def expires_at(self, request: PairingRequest) -> float:
        """Return when *request* ends, in seconds since the epoch."""
        return require_kind("request", request, PairingRequest).created_at + self._settings().ttl

    def approve(
        self,
        code: str,
        *,
        scopes: Iterable[str] | None = None,
        caller_scopes: Iterable[str] | None = None,
        source: str = "local",
    ) -> Issued:
        """
        Let in the device that shows *code*, and return its token, which is never shown again.

        *scopes* are granted instead of those asked for; `operator.admin` only if it is among
        them. *caller_scopes* are those of whoever approves (`None`: the owner of the state), who
        cannot grant what it has not. *source* is the place from which the code was entered.

        Raises `NotFoundError` for an unknown, expired or used code, `LimitError` after too many of
        them, `InvalidError` when it may not be granted; then the request still waits.
        """
        found = self._find_by_code(code, source)
        return self._approve(found, scopes=scopes, caller_scopes=caller_scopes)

    def approve_request(
        self,
        device_id: str,
        *,
        user_id: str | None = None,
        scopes: Iterable[str] | None = None,
        caller_scopes: Iterable[str] | None = None,
    ) -> Issued:
        """
        Let in the device *device_id* as `approve` does, without its code.

        Whoever shows requests to people and lets them decide later uses the code of the request
        that was shown: a changed request has another. Raises `ConflictError` when several users
        ask for that device and *user_id* names none.
        """
        found = self._require_request(device_id, user_id)
        return self._approve(found, scopes=scopes, caller_scopes=caller_scopes)

    def reject_request(self, device_id: str, *, user_id: str | None = None) -> PairingRequest:
        """
        Remove the request of *device_id* and return it, as `reject` does, without its code.

        Raises `NotFoundError`, and `ConflictError` when several users ask for that device.
        """
        return self._reject(self._require_request(device_id, user_id))

    def reject(self, code: str, *, source: str = "local") -> PairingRequest:
        """
        Remove the request with *code* and return it; nobody can approve it any more.

        Raises `NotFoundError` and `LimitError` as `approve` does.
        """
        return self._reject(self._find_by_code(code, source))

    def prune(self) -> int:
        """Remove the requests that are expired, used or malformed, and return how many."""
        used = self._approved_codes()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], int]:
            kept = _keep_live(records, self._live(records, used))
            return kept, len(records) - len(kept)

        return self._requests().change_all(change)

    def stale(self) -> int:
        """Return how many requests `prune` would remove."""
        return self._requests().count() - len(self.pending())

    def check(self) -> Iterator[Finding]:
        """Give that there are requests which `prune` would remove; raises what reading raises."""
        if count := self.stale():
            path, remedy = (
                str(self._requests().spec.path),
                f"they go with the next request; or {FIX}",
            )
            stale = number_of(count, "pairing request is", "pairing requests are")
            message = f"{stale} expired, used or malformed"
            yield Finding(
                *("old-requests", "info", path, message, remedy),
                repair=lambda: f"removed {self.prune()}",
            )

    def _require_request(self, device_id: str, user_id: str | None) -> PairingRequest:
        found = _of_device(self.pending(), device_id, user_id)
        if not found:
            raise NotFoundError(_KIND, require_id("device id", device_id), _LOOK)
        # Approving the wrong one lets a stranger in, so nobody guesses.
        if len(found) > 1:
            raise ConflictError(_KIND, device_id, "several users ask for it; name the user")
        return found[0]

    def _reject(self, found: PairingRequest) -> PairingRequest:
        try:
            # Decided where approvals are: of an approval and a rejection at once, one succeeds.
            self._approvals.refuse(mark_of(found.code), found.device_id)
        finally:
            self._settle(found.code)
        return found

    def _find_by_code(self, code: str, source: str) -> PairingRequest:
        given = normalise_code(code)
        pending = {each.code: each for each in self.pending()}
        found = matching(given, pending)
        # Somebody who approves twice does not guess.
        right = found is not None or self._approvals.was_used(mark_of(given))
        self._attempts.admit(source, right=right)
        if found is None:
            hint = "it was used already" if right else f"it may have expired; {_LOOK}"
            raise NotFoundError(_KIND, shorten_code(given), hint)
        return pending[found]

    def _approve(
        self,
        request: PairingRequest,
        *,
        scopes: Iterable[str] | None,
        caller_scopes: Iterable[str] | None,
    ) -> Issued:
        # All rights take a word of the person who approves: a click on what a device wishes is
        # none.
        if scopes is None and ADMIN in (request.scopes or ()):
            problem = f"the device asks for {ADMIN}, which is granted only where it is named"
            raise InvalidError("scopes", problem, f"name the scopes to grant, such as {ADMIN}")
        try:
            issued = self._approvals.issue(
                device_id=request.device_id,
                user_id=request.user_id,
                account_id=request.account_id,
                name=request.name,
                public_key=request.public_key,
                scopes=request.scopes if scopes is None else require_operator_scopes(scopes),
                caller_scopes=caller_scopes,
                request=mark_of(request.code),
                collects=request.collects,
            )
        # Used already: what a killed approval left goes now.
        except NotFoundError:
            self._settle(request.code)
            raise
        self._settle(request.code)
        return issued

    def _settle(self, code: str) -> None:
        # The code is used, and known as such, even if its request stays; the token must not be
        # lost for that.
        with suppress(StateError):
            used = self._approved_codes()

            def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], None]:
                live = self._live(records, used | {code})
                return _keep_live(records, live), None

            self._requests().change_all(change)

    def _live(self, records: Mapping[str, Json], used: frozenset[str]) -> dict[str, PairingRequest]:
        now, ttl = self._clock(), self._settings().ttl
        found = {code: request_of(value) for code, value in records.items() if code not in used}
        return {
            code: request
            for code, request in found.items()
            if request is not None and is_live(request, now=now, ttl=ttl)
        }

    def _approved_codes(self) -> frozenset[str]:
        """Return the codes of the requests that a crash left behind their approval."""
        found = (request_of(each.value) for each in self._requests().scan())
        return frozenset(each.code for each in found if each is not None and self._is_used(each))

    def _is_used(self, request: PairingRequest) -> bool:
        return self._approvals.was_used(mark_of(request.code), request.device_id)


def _keep_live(records: Mapping[str, Json], live: Mapping[str, PairingRequest]) -> dict[str, Json]:
    return {code: records[code] for code in records if code in live}


def _of_device(
    requests: Iterable[PairingRequest], device_id: str, user_id: str | None
) -> list[PairingRequest]:
    return [
        each for each in requests if each.device_id == device_id and user_id in {None, each.user_id}
    ]
