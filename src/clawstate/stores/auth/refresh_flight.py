"""
One call of a refresh: it waits for another's result, or makes the request itself.

The order of what is durable: room for the answer, the mark that a request may have been sent, the
answer as it came, the profile with the new tokens; only then does anybody get them (decision 12).
Where the disk refuses the last step, who asks in this process gets them all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from clawstate.clock import Clock
from clawstate.errors import (
    ConflictError,
    CorruptError,
    FallbackWarning,
    InvalidError,
    LockTimeoutError,
    NotFoundError,
    StateError,
    UnavailableError,
    warn,
)
from clawstate.files.lock_owner import this_owner
from clawstate.stores.auth.credentials import OAuth
from clawstate.stores.auth.pending import Failure, Pending, generation_of
from clawstate.stores.auth.refresh_answer import (
    Exchange,
    Heard,
    NoTokens,
    Refused,
    Silent,
    Tokens,
    Unusable,
    judged,
)
from clawstate.stores.auth.refresh_profile import Found, RefreshedProfile
from clawstate.stores.auth.refresh_said import may_hold_token
from clawstate.stores.auth.refresh_spool import Kept, Spool, Spools
from clawstate.stores.auth.refresh_turn import Turn

_GLANCE = 0.25  # seconds in the queue between two looks at the profile
_PAUSE = 0.05  # the same, before the queue
_LEASES = 3  # that one call waits for others at most
_REQUESTS = 2  # that one call makes at most: the second with a token that somebody else stored
# What a full disk, a damaged or an overfull document say: the profile is as it was.
_UNSTORED = (UnavailableError, CorruptError, InvalidError)
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
        self._without_access = False

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

    def adopted(self) -> OAuth | None:
        """Return the credential with the answers that wait to be stored, if it is good then."""
        found = self._adopted(self._first)
        return found.credential if found.is_alive(self._terms.clock()) else None

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
            if self._without_access:
                problem = "the provider gives no usable access token; its refresh token is stored"
            raise UnavailableError(self._profile.id, problem, _AGAIN)
        return self._flown(found, self._pending(found), exchange)

    def _is_settled(self, found: Found) -> bool:
        now = self._terms.clock()
        if found.credential.access != self._first.credential.access and found.is_alive(now):
            return True
        return not self._terms.force and found.is_fresh(now, self._terms.margin)

    def _adopted(self, found: Found) -> Found:
        """Return the profile with the answers that somebody received and could not store."""
        waiting = self._spools.found()
        while waiting:
            refresh = found.credential.refresh
            kept = next((each for each in waiting if each.answers(refresh)), None)
            if kept is None:
                break
            waiting.remove(kept)  # and then once more: it may bring the token that another answers
            found = self._with(found, kept)
        return found

    def _with(self, found: Found, kept: Kept) -> Found:
        now, credential = self._terms.clock(), found.credential
        try:
            answer = self._profile.answer_of(kept, now)
        except (InvalidError, CorruptError, NotFoundError):
            answer = Unusable("it cannot be read")
        if not isinstance(answer, Tokens):
            self._passed_over(kept, answer)
            return found
        rotated = answer.refresh not in {None, credential.refresh}
        if not rotated and answer.expires <= (credential.expires or 0.0):
            self._spools.discard(kept)
            return found
        try:
            there = self._profile.store(credential, answer, nonce=kept.nonce, now=now)
        except _UNSTORED as error:
            self._require_login(error)
            self._spools.hold(kept)
            return replace(found, credential=self._unsaved(found.credential, answer, kept, error))
        self._used_up(kept, answer)
        return there

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

    def _flown(self, found: Found, pending: Pending, exchange: Exchange) -> OAuth | None:
        outdated = self._spools.paths()
        answer, spare = self._profile.room(found)
        spool = self._spools.open(pending, answer=answer, spare=spare)
        try:
            claimed = self._claimed(found, pending)
            if claimed is None:
                spool.remove()
                return None
        except BaseException:
            spool.remove()
            raise
        self._requests += 1
        heard = Heard()
        try:
            heard.ask(exchange, claimed.credential)
            if heard.failure is not None:
                spool.remove()
                return self._failed(claimed.credential, pending, heard.failure)
            landed = self._landed(claimed.credential, pending, spool, heard)
        except BaseException:
            if heard.came and not heard.is_kept:
                self._kept(pending, spool, heard)
            elif not heard.came and heard.failure is None:
                spool.remove()
                self._noted(claimed.credential, pending, "was interrupted")
            raise
        finally:
            spool.close()
        self._spools.sweep(outdated)
        return landed

    def _claimed(self, found: Found, pending: Pending) -> Found | None:
        try:
            return self._profile.claim(found, pending)
        except ConflictError:
            return None  # somebody was faster
        except UnavailableError:
            # The mark may be there all the same, and nobody shall wait for it.
            self._noted(found.credential, pending, "the profile could not be marked")
            raise

    def _kept(self, pending: Pending, spool: Spool, heard: Heard) -> Kept:
        """Keep the answer in this process and on disk, before anybody judges it."""
        now = self._terms.clock()
        kept = Kept(pending.nonce, pending.generation, {"answer": heard.said}, now)
        self._spools.hold(kept)
        heard.is_kept = True
        with suppress(StateError):  # what cannot be sealed is on no disk in the clear
            sealed = replace(kept, document=self._profile.document(heard.said))
            if spool.keep(sealed.data):
                kept = replace(sealed, path=spool.path)
                self._spools.hold(kept)
        return kept

    def _landed(self, started: OAuth, pending: Pending, spool: Spool, heard: Heard) -> OAuth | None:
        kept, now = self._kept(pending, spool, heard), self._terms.clock()
        answer = judged(heard.said, now)
        if isinstance(answer, Tokens) and not answer.access and answer.refresh == started.refresh:
            answer = Unusable("the provider's answer holds no usable access token")
        if not isinstance(answer, Tokens):
            return self._failed(started, pending, self._passed_over(kept, answer))
        try:
            there = self._profile.store(started, answer, nonce=pending.nonce, now=now)
        except _UNSTORED as error:
            self._require_login(error)
            unsaved = self._unsaved(started, answer, kept, error)
            return unsaved if answer.access else None
        self._used_up(kept, answer)
        self._without_access = not answer.access
        ours = there.credential.access == answer.access
        return there.credential if ours or (answer.access and there.is_alive(now)) else None

    def _unsaved(self, started: OAuth, tokens: Tokens, kept: Kept, error: StateError) -> OAuth:
        """Return the tokens that the profile cannot take just now; they stay with us."""
        if self._spools.rescue(kept).path is None:
            message = (
                f"the new tokens of {self._profile.id} are in this process alone and are lost with "
                f"it ({error}); the next refresh writes them"
            )
            warn(FallbackWarning(message), stacklevel=2)
        return self._profile.renewed(started, tokens)

    def _require_login(self, error: StateError) -> None:
        """Raise *error* if it came of another credential that somebody put there."""
        if isinstance(error, InvalidError):
            self._profile.found()

    def _used_up(self, kept: Kept, answer: Tokens) -> None:
        if answer.doubtful:
            self._spools.put_aside(kept)
        else:
            self._spools.discard(kept)

    def _passed_over(self, kept: Kept, answer: NoTokens) -> NoTokens:
        """Let go of an answer without tokens, but for one that somebody should look at."""
        document = kept.document if isinstance(kept.document, dict) else {}
        if not isinstance(answer, Unusable) or not may_hold_token(document):
            self._spools.discard(kept)
            return answer
        aside = self._spools.put_aside(kept)
        return answer if aside is None else Unusable(f"{answer.problem}; it is kept as {aside}")

    def _failed(self, started: OAuth, pending: Pending, answer: NoTokens) -> OAuth | None:
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
