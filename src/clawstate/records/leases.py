"""
Leases on any engine of records: a record for each name says who was granted it, and which grant.

The wall clock decides nothing: an engine on the same machine compares the steady clock that all
its processes share, one elsewhere counts from when it first saw a grant (decision 34).
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Self

from clawstate.arguments import require_seconds
from clawstate.clock import from_ms, system_clock, to_ms
from clawstate.errors import (
    ClosedError,
    ConflictError,
    InvalidError,
    LeaseLostError,
    LockTimeoutError,
    StateError,
)
from clawstate.files.lock_owner import Tenure, tenure_of, this_owner
from clawstate.interrupts import Use, discard_own, forget, hold, let_go
from clawstate.records.contract import ABSENT, Collection, CollectionSpec, Json
from clawstate.records.layouts import MapLayout
from clawstate.records.rules import require_key

LEASES: Final = CollectionSpec("leases", PurePosixPath("locks/leases.json"), MapLayout())
"""The collection of grants, by name; no part of the state, so `kinds` leaves it out."""

Ticks = Callable[[], float]
"""A steady clock in seconds that all processes of the machine share."""

_PAUSE = 0.05  # seconds between two looks at a lease that somebody else has
_SHORTEST, _LONGEST = 0.001, 7 * 86400.0  # seconds
_DUE = 3  # a lease is kept alive once a third of its time is over
_MOST = 2**53  # what JSON can hold exactly


@dataclass(frozen=True, slots=True)
class _Grant:
    """The record of a lease: its last *fence*, and who has it for *ttl* seconds, if anybody."""

    fence: int = 0
    tenure: Tenure | None = None
    ttl: float = 0.0

    @classmethod
    def of(cls, record: Json | None) -> _Grant:
        found = record if isinstance(record, dict) else {}
        fence, ttl = found.get("fence"), found.get("ttl")
        known = fence if isinstance(fence, int) and 0 < fence < _MOST else 0
        lasts = from_ms(ttl) if isinstance(ttl, int | float) and abs(ttl) < _MOST else 0.0
        return cls(known, tenure_of(found), lasts)

    def document(self) -> Json:
        if self.tenure is None:
            return {"fence": self.fence}
        return {"fence": self.fence, "ttl": to_ms(self.ttl), **self.tenure.members()}


class Leases:
    """
    The leases of one engine, kept in its collection of `LEASES`. Safe for threads.

    All machines go by a *shared_clock*, such as that of a server, so none waits longer than due for
    a holder on another one.
    """

    def __init__(self, collection: Collection, *, shared_clock: Ticks | None = None) -> None:
        self._collection = collection
        self._shared_clock = shared_clock
        self._seen: dict[str, tuple[tuple[str, float], float]] = {}

    def grant(self, name: str, ttl: float, *, wait: float, ticks: Ticks) -> RecordLease:
        """Return the lease *name*, held; see `Backend.lease`."""
        require_key(name)
        require_seconds("ttl", ttl)
        require_seconds("wait", wait)
        if not _SHORTEST <= ttl <= _LONGEST:
            problem = f"{ttl} seconds are less than a millisecond, or more than a week"
            raise InvalidError("ttl", problem, "choose what one step of the work takes at most")
        # In a list, which is emptied in one step with the return: after an interrupt the traceback
        # keeps this frame alive, and a lease that it knew would count as needed (decision 20).
        made = [RecordLease(self._collection, name, ttl, ticks, Use(0))]
        discard_own()  # such as a lease that an interrupt left behind
        begun = time.monotonic()
        while (holder := self._try(made[0])) is not None:
            waited = time.monotonic() - begun
            if waited >= wait:
                hint = f"it ends with its holder, or {holder.ttl:g} s after its last sign of life"
                owner = "" if holder.tenure is None else str(holder.tenure.owner)
                raise LockTimeoutError(f"the lease {name!r}", waited, hint, holder=owner)
            time.sleep(min(_PAUSE, wait - waited))
        made[0].keep()
        return made.pop()

    def _try(self, lease: RecordLease) -> _Grant | None:
        """Let *lease* be granted, or return who has it."""
        while True:
            found = self._collection.get(lease.name)
            grant = _Grant.of(None if found is None else found.value)
            if not self._is_free(lease, grant):
                return grant
            with suppress(ConflictError):  # somebody was faster, and may have given it back
                lease.take(grant.fence + 1, expect=ABSENT if found is None else found.revision)
                self._seen.pop(lease.name, None)
                return None

    def _is_free(self, lease: RecordLease, grant: _Grant) -> bool:
        name, tenure, now = lease.name, grant.tenure, lease.now()
        if tenure is None or tenure.is_orphaned():
            return True
        if lease.ticks is self._shared_clock:
            return now - tenure.ticks >= grant.ttl
        # A renewal is another sign of life: it is watched anew.
        sign = tenure.nonce, tenure.ticks
        seen, since = self._seen.get(name, (None, now))
        if seen != sign or now < since:
            since = now
        self._seen[name] = sign, since
        return tenure.age(now, seen_since=since) >= grant.ttl


def carry_fences(source: Collection, target: Collection) -> None:
    """
    Let the numbers of grants of *target* go on above those of *source*, whose records move there.

    Else a holder of then, that goes on, would have a greater number than who comes after it.
    """
    for each in source.scan():
        fence = _Grant.of(each.value).fence
        while True:
            found = target.get(each.key)
            grant = _Grant.of(None if found is None else found.value)
            if grant.fence >= fence or grant.tenure is not None:
                break  # who has it there was never granted a number here
            with suppress(ConflictError):
                expect = ABSENT if found is None else found.revision
                target.put(each.key, _Grant(fence).document(), expect=expect)


class RecordLease:
    """The `Lease` that a record keeps. Safe for threads; a forked child does not hold it."""

    def __init__(
        self, collection: Collection, name: str, ttl: float, ticks: Ticks, use: Use
    ) -> None:
        self.name = name
        self.ttl = ttl
        self.fence = 0
        self.ticks = ticks
        self._collection = collection
        self._holding = LeaseHolding(self, use)

    def now(self) -> float:
        """Return the steady clock's time, as a record can hold it."""
        return math.floor(self.ticks() * 1000) / 1000

    def take(self, fence: int, *, expect: str | object) -> None:
        """Be granted as number *fence* where the record is as *expect* says."""
        # Noted before it is taken: whatever interrupts this, it is given back (decision 20).
        hold(self._holding)
        tenure = Tenure(this_owner(system_clock()), self.now())
        self._holding.tenure = tenure
        try:
            document = _Grant(fence, tenure, self.ttl).document()
            self._collection.put(self.name, document, expect=expect)  # type: ignore[arg-type]
        except ConflictError:
            self._holding.tenure = None
            forget(self._holding)
            raise
        except BaseException:
            # It may have been granted all the same, and nobody shall wait for it.
            with suppress(StateError):
                let_go(self._holding)
            raise
        self.fence = fence

    def keep(self) -> None:
        """Hold it from now on until nobody knows this object."""
        self._holding.use = None
        self._holding.is_kept = True

    def is_held(self) -> bool:
        """Tell whether it is still held; reads its record."""
        found = self._collection.get(self.name)
        return self.is_granted(None if found is None else found.value)

    def is_granted(self, record: Json | None) -> bool:
        """Tell whether *record*, what lies under its name now, is of this grant, and not over."""
        tenure = self._holding.tenure
        if tenure is None or not self._is_ours():
            return False
        grant = _Grant.of(record)
        if grant.fence != self.fence or grant.tenure is None or grant.tenure.nonce != tenure.nonce:
            return False
        return 0.0 <= self.now() - tenure.ticks < self.ttl

    def require(self) -> None:
        """Raise `LeaseLostError` unless it is still held."""
        if not self.is_held():
            raise LeaseLostError(self.name, self.fence)

    def renew(self) -> None:
        """Let its time begin anew; raises `LeaseLostError` when it is over."""
        while True:
            found = self._collection.get(self.name)
            tenure = self._holding.tenure
            if found is None or tenure is None or not self.is_granted(found.value):
                raise LeaseLostError(self.name, self.fence)
            renewed = Tenure(tenure.owner, self.now())
            document = _Grant(self.fence, renewed, self.ttl).document()
            try:
                self._collection.put(self.name, document, expect=found.revision)
            except ConflictError:
                continue  # another thread renewed it, or it was lost
            self._holding.tenure = renewed
            return

    def keep_alive(self) -> None:
        """Do as `renew` once a third of its time is over, and nothing before."""
        tenure = self._holding.tenure
        is_fresh = tenure is not None and 0.0 <= self.now() - tenure.ticks < self.ttl / _DUE
        if not is_fresh or not self._is_ours():
            self.renew()

    def _is_ours(self) -> bool:
        # Of what it was granted: the record cannot tell a forked child from its parent.
        tenure, is_released = self._holding.tenure, self._holding.is_released
        return tenure is not None and not is_released and tenure.owner.pid == os.getpid()

    def release(self) -> None:
        """Give it back; harmless when it is over or lost."""
        self._holding.is_released = True
        let_go(self._holding)

    def __enter__(self) -> Self:
        """Hold it for the length of a `with` block."""
        self._holding.use = Use()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Give it back; what went wrong in the block counts more than what goes wrong here."""
        try:
            self.release()
        except StateError:
            if error is None:
                raise

    def __repr__(self) -> str:
        return f"RecordLease({self.name!r}, fence={self.fence})"


class LeaseHolding:
    """
    What is noted of a lease for `interrupts`: for how long it is needed, and how it is given back.

    That is until *use*, the call that asks for it, or its `with` block, is over; without one as
    long as anybody knows the lease.
    """

    def __init__(self, lease: RecordLease, use: Use | None) -> None:
        self.thread = threading.get_ident()
        self.tenure: Tenure | None = None
        self.use = use
        self.is_kept = False
        self.is_released = False
        self._lease = weakref.ref(lease)
        self._collection = lease._collection  # noqa: SLF001 - its own part
        self._name = lease.name
        self._ticks, self._ttl = lease.ticks, lease.ttl
        self._discarding: Use | None = None

    def is_over(self) -> bool:
        """Tell whether nobody needs the lease any longer, nor is giving it back just now."""
        # Giving it back changes a record, and every change looks for what is to be discarded: who
        # found this one there would note it no longer, and an interrupt could leave it held.
        if self._discarding is not None and not self._discarding.is_over():
            return False
        if self.is_released:
            return True
        # Entered in another way, as by `ExitStack`, it is held as long as anybody knows it.
        if self.use is None or (self.is_kept and not self.use.is_block()):
            return self._lease() is None
        return self.use.is_over()

    def discard(self) -> None:
        """Give the lease back, if it is this process's; may be repeated where it was cut off."""
        self._discarding = Use(0)
        # Through an engine that was closed nothing can be given back, now or later: it ends with
        # its time, or with this process.
        with suppress(ClosedError):
            self._give_back()
        self.tenure = None

    def _give_back(self) -> None:
        tenure = self.tenure
        if tenure is not None and self._ticks() - tenure.ticks >= self._ttl:
            return  # over for everybody; a disk that refuses is not asked for ever
        while tenure is not None and tenure.owner.pid == os.getpid():
            found = self._collection.get(self._name)
            grant = _Grant.of(None if found is None else found.value)
            if found is None or grant.tenure is None or grant.tenure.nonce != tenure.nonce:
                return
            try:
                # The number stays, so that the next one is greater.
                free = _Grant(grant.fence).document()
                self._collection.put(self._name, free, expect=found.revision)
            except ConflictError:
                continue  # it was renewed or taken over meanwhile
            return


def without_holder(record: Json) -> Json:
    """Return *record*, which is of a lease, as it is when nobody holds that; its number stays."""
    return _Grant(_Grant.of(record).fence).document()


def require_lease(lease: object) -> RecordLease:
    """Return *lease*; raises `InvalidError` for what is no lease of an engine of records."""
    if not isinstance(lease, RecordLease):
        raise InvalidError("lease", "is none of this engine", "ask its backend for one")
    return lease


def require_granted(lease: object, record: Json | None) -> None:
    """
    Raise `LeaseLostError` unless *record*, read in the step that writes, is of *lease*.

    Raises `InvalidError` for what is no lease of an engine of records.
    """
    granted = require_lease(lease)
    if not granted.is_granted(record):
        raise LeaseLostError(granted.name, granted.fence)
