"""
One call of a refresh: it waits for another's result, or makes the request itself.

The order of what is durable: the mark that a request may have been sent, the answer, the profile
with the new tokens; only then does anybody get them (decision 12).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from clawstate.clock import Clock
from clawstate.errors import (
    ConflictError,
    CorruptError,
    InvalidError,
    LockTimeoutError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from clawstate.files.lock_owner import this_owner
from clawstate.stores.auth.credentials import OAuth
from clawstate.stores.auth.pending import Failure, Pending, generation_of
from clawstate.stores.auth.refresh_answer import (
    Answer,
    Exchange,
    Refused,
    Silent,
    Tokens,
    Unusable,
    ask,
)
from clawstate.stores.auth.refresh_profile import Found, RefreshedProfile
from clawstate.stores.auth.refresh_spool import Spool, Spools, discard
from clawstate.stores.auth.refresh_turn import Turn

_GLANCE = 0.25  # seconds in the queue between two looks at the profile
_PAUSE = 0.05  # the same, before the queue
_LEASES = 3  # that one call waits for others at most
_REQUESTS = 2  # that one call makes at most: the second with a token that somebody else stored
_LOGIN = "log in again and store the new tokens"
_AGAIN = "try again later; the stored tokens are unchanged"


@dataclass(frozen=True, slots=True)
class Terms:
    """
    The terms of a refresh, in seconds.

    *clock* tells when tokens expire; *ticks* is a steady clock that all processes of the machine
    share, for the *lease*.
    """

    clock: Clock
    ticks: Callable[[], float]
    lease: float
    margin: float
    force: bool


class Flight:
    """
    One call for the *profile*; *first* is how it found it.

    Waits in *turn*, and keeps answers in *spools*.
    """

    def __init__(
        self, profile: RefreshedProfile, first: Found, *, turn: Turn, spools: Spools, terms: Terms
    ) -> None:
        self._profile = profile
        self._first = first
        self._turn = turn
        self._spools = spools
        self._terms = terms
        self._began = terms.ticks()
        self._watched: tuple[str, float] = ("", self._began)
        self._requests = 0

    def land(self, exchange: Exchange) -> OAuth:
        """Return the new credential; raises what `Refresher.refresh` does."""
        while True:
            with self._turn.taken(_GLANCE) as in_turn:
                found = self._profile.found()
                landed = self._step(found, exchange, in_turn=in_turn)
            if landed is not None:
                return landed
            self._require_patience(found)
            if in_turn:
                time.sleep(_PAUSE)

    def _step(self, found: Found, exchange: Exchange, *, in_turn: bool) -> OAuth | None:
        """Do what can be done now; `None` means to look again."""
        found = self._adopted(found)
        if self._is_settled(found):
            return found.credential
        self._require_hope(found)
        if not self._may_begin(found.under_way, in_turn=in_turn):
            return None
        if self._requests == _REQUESTS:
            problem = "the provider's tokens are refused or expire at once"
            raise UnavailableError(self._profile.id, problem, _AGAIN)
        pending = self._pending(found)
        claimed = self._claimed(found, pending)
        return None if claimed is None else self._flown(claimed, pending, exchange)

    def _is_settled(self, found: Found) -> bool:
        now = self._terms.clock()
        if found.credential.access != self._first.credential.access and found.is_alive(now):
            return True
        return not self._terms.force and found.is_fresh(now, self._terms.margin)

    def _adopted(self, found: Found) -> Found:
        """Return the profile with the answer that somebody received and could not store."""
        for spooled in self._spools.found():
            credential = found.credential
            if not spooled.answers(credential.refresh):
                continue
            try:
                tokens = self._profile.tokens_of(spooled.record)
            except (InvalidError, CorruptError, NotFoundError):
                continue
            rotated = tokens.refresh != credential.refresh
            if rotated or tokens.expires > (credential.expires or 0.0):
                now = self._terms.clock()
                found = self._profile.store(credential, tokens, nonce=spooled.nonce, now=now)
                discard([spooled.path])
        return found

    def _require_hope(self, found: Found) -> None:
        """Raise what a refresh that ended meanwhile has raised, or one that is final."""
        failure, refresh = found.failure, found.credential.refresh
        if not refresh:
            raise InvalidError(self._profile.id, "holds no refresh token", _LOGIN)
        known = self._first.failure
        is_old = failure is None or (known is not None and failure.nonce == known.nonce)
        if failure is None or (is_old and self._terms.force):
            return
        if failure.bars(refresh):
            raise InvalidError(self._profile.id, failure.problem, _LOGIN)
        if not is_old and failure.generation == generation_of(refresh, failure.nonce):
            raise UnavailableError(self._profile.id, failure.problem, _AGAIN)

    def _may_begin(self, pending: Pending | None, *, in_turn: bool) -> bool:
        """Tell whether nobody is asking, or whoever does is dead or has had its lease."""
        if pending is None and in_turn:
            return True
        if pending is not None and pending.is_orphaned():
            return True
        # Without a mark, who has the turn may be asking all the same: others drop what they
        # do not know.
        now, nonce = self._terms.ticks(), "" if pending is None else pending.nonce
        if self._watched[0] != nonce:
            self._watched = (nonce, now)
        since = self._watched[1]
        age = now - since if pending is None else pending.age(now, seen_since=since)
        return age > self._terms.lease

    def _pending(self, found: Found) -> Pending:
        owner = this_owner(self._terms.clock())
        generation = generation_of(found.credential.refresh, owner.nonce or "")
        repeated = found.under_way is not None
        return Pending(owner, generation, self._terms.ticks(), repeated)

    def _claimed(self, found: Found, pending: Pending) -> Found | None:
        try:
            return self._profile.claim(found, pending)
        except ConflictError:
            return None  # somebody was faster
        except UnavailableError:
            # The mark may be there all the same, and nobody shall wait for it.
            self._noted(found.credential, pending, "the profile could not be marked")
            raise

    def _flown(self, found: Found, pending: Pending, exchange: Exchange) -> OAuth | None:
        self._requests += 1
        outdated = self._spools.paths()
        answer, spool = self._asked(found, pending, exchange)
        if not isinstance(answer, Tokens):
            spool.remove()
            return self._failed(found.credential, pending, answer)
        landed = self._kept(found, answer, pending, spool)
        discard(outdated)
        return landed

    def _asked(self, found: Found, pending: Pending, exchange: Exchange) -> tuple[Answer, Spool]:
        spool = None
        try:
            spool = self._spools.open(pending)
            return ask(exchange, found.credential, now=self._terms.clock()), spool
        except BaseException:
            if spool is not None:
                spool.remove()
            self._noted(found.credential, pending, "was interrupted")
            raise

    def _kept(self, found: Found, tokens: Tokens, pending: Pending, spool: Spool) -> OAuth | None:
        kept = False
        try:
            kept = spool.keep(self._profile.renewed(found.credential, tokens, found.record))
            now = self._terms.clock()
            there = self._profile.store(found.credential, tokens, nonce=pending.nonce, now=now)
        except BaseException:
            spool.close()  # what it holds is for the next call
            if not kept:
                self._noted(found.credential, pending, "the new tokens could not be stored")
            raise
        spool.remove()
        ours = there.credential.access == tokens.access
        return there.credential if ours or there.is_alive(now) else None

    def _failed(
        self, started: OAuth, pending: Pending, answer: Refused | Silent | Unusable
    ) -> OAuth | None:
        """Note the failure and raise it; `None` if somebody stored newer tokens meanwhile."""
        problem, final = answer.problem, isinstance(answer, Refused)
        if final and pending.repeated:
            problem += ", after a refresh that was cut short"
        there = self._adopted(self._profile.found())
        if there.credential.refresh == started.refresh:
            there = self._noted(started, pending, problem, final=final) or there
        elif there.pending is not None:
            self._noted(started, pending, problem)  # only takes our own mark away
        if there.credential.refresh != started.refresh:
            return None
        if isinstance(answer, Silent):
            raise UnavailableError(self._profile.id, problem, _AGAIN)
        raise InvalidError(self._profile.id, problem, _LOGIN if final else _AGAIN)

    def _noted(
        self, started: OAuth, pending: Pending, problem: str, *, final: bool = False
    ) -> Found | None:
        failure = Failure(pending.nonce, pending.generation, problem, final)
        with suppress(StateError):  # the mark is a courtesy: it ends with its lease
            return self._profile.fail(started, failure)
        return None

    def _require_patience(self, found: Found) -> None:
        waited = self._terms.ticks() - self._began
        if waited > _LEASES * self._terms.lease:
            holder = "" if found.pending is None else str(found.pending.owner)
            what = f"the refresh of {self._profile.id}"
            raise LockTimeoutError(what, waited, "end that process or try again", holder=holder)
