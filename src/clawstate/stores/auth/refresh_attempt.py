"""
One call of a refresh: it waits for another process's result, or makes the request itself.

Written in this order, each durably before the next: space for the response, the mark that a request
may have been sent, the response as it came, the profile with the new tokens. Only then does a
caller get them (decision 13). Where the disk refuses the last step, the caller in this process gets
them all the same.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

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
from clawstate.files.atomic import make_private_dir
from clawstate.files.fifo_mutex import FifoMutex, QueueTimeoutError
from clawstate.files.lock_owner import this_owner
from clawstate.interrupts import Use, hold, let_go
from clawstate.stores.auth.credentials import OAuth
from clawstate.stores.auth.refresh_answer import (
    Exchange,
    NoTokens,
    Refused,
    Reply,
    Silent,
    Tokens,
    Unusable,
    interpret,
    may_hold_token,
)
from clawstate.stores.auth.refresh_journal import Response, ResponseFile, ResponseJournal
from clawstate.stores.auth.refresh_marks import Failure, Pending, generation_of
from clawstate.stores.auth.refresh_profile import ProfileState, RefreshedProfile, RefreshPolicy

_QUEUE_TIMEOUT = 0.25  # seconds in the queue before the profile is read again
_PAUSE = 0.05  # seconds between two reads of the profile by who is first in the queue
_LEASES = 3  # that one call waits for others at most
# The second request is made with a token that another program stored while the first was under way.
_REQUESTS = 2
# What a full disk, a damaged or an overfull document raise: the profile is as it was.
_UNSTORED = (UnavailableError, CorruptError, InvalidError)
_LOGIN = "log in again and store the new tokens"
_AGAIN = "try again later; the stored tokens are unchanged"


class RefreshAttempt:
    """
    One call for the *profile*; *first* is its state when the call began.

    Responses are kept in *journal*; the processes of this machine queue in its directory.
    """

    def __init__(
        self,
        profile: RefreshedProfile,
        first: ProfileState,
        *,
        journal: ResponseJournal,
        policy: RefreshPolicy,
    ) -> None:
        self._profile = profile
        self._first = first
        self._journal = journal
        folder = journal.folder
        self._queue = FifoMutex(folder / "gate", folder / "turn", own=True)
        self._policy = policy
        self._began = policy.ticks()
        self._watched: tuple[str, float] = ("", self._began)
        self._requests = 0
        self._without_access = False

    def run(self, exchange: Exchange) -> OAuth:
        """Return the new credential; raises what `Refresher.refresh` does."""
        while True:
            with _QueueTurn(self._queue, self._journal.folder, _QUEUE_TIMEOUT) as is_first:
                found = self._profile.read()
                credential = self._step(found, exchange, is_first=is_first)
            if credential is not None:
                return credential
            self._raise_if_slow(found)
            if is_first:
                time.sleep(_PAUSE)

    def store_journalled(self) -> OAuth | None:
        """Store the responses that are in no profile yet; return the credential if it is valid."""
        found = self._store_journalled(self._first)
        return found.credential if found.is_alive(self._policy.clock()) else None

    def _step(self, found: ProfileState, exchange: Exchange, *, is_first: bool) -> OAuth | None:
        """Do what can be done now; `None` means to look again."""
        found = self._store_journalled(found)
        if self._is_settled(found):
            return found.credential
        self._raise_if_failed(found)
        if not self._may_begin(found.under_way, is_first=is_first):
            return None
        if self._requests == _REQUESTS:
            problem = "the provider's tokens are refused or expire at once"
            if self._without_access:
                problem = "the provider gives no usable access token; its refresh token is stored"
            raise UnavailableError(self._profile.id, problem, _AGAIN)
        return self._request(found, self._pending(found), exchange)

    def _is_settled(self, found: ProfileState) -> bool:
        now = self._policy.clock()
        if found.credential.access != self._first.credential.access and found.is_alive(now):
            return True
        return not self._policy.force and found.is_fresh(now, self._policy.margin)

    def _store_journalled(self, found: ProfileState) -> ProfileState:
        """Store the responses that a process got and could not store; return the profile."""
        waiting = self._journal.responses()
        while waiting:
            refresh = found.credential.refresh
            kept = next((each for each in waiting if each.answers(refresh)), None)
            if kept is None:
                break
            # Look again afterwards: it may bring the refresh token that another response was given
            # for.
            waiting.remove(kept)
            found = self._store_response(found, kept)
        return found

    def _store_response(self, found: ProfileState, kept: Response) -> ProfileState:
        now, credential = self._policy.clock(), found.credential
        try:
            answer = self._profile.answer_of(kept, now)
        except (InvalidError, CorruptError, NotFoundError):
            answer = Unusable("it cannot be read")
        if not isinstance(answer, Tokens):
            self._dismiss(kept, answer)
            return found
        # Without a new refresh token, and no later end: it was stored already.
        rotated = answer.refresh not in {None, credential.refresh}
        if not rotated and answer.expires <= (credential.expires or 0.0):
            self._journal.discard(kept)
            return found
        try:
            there = self._profile.store(credential, answer, nonce=kept.nonce, now=now)
        except _UNSTORED as error:
            self._raise_if_not_oauth(error)
            self._journal.hold(kept)
            return replace(
                found, credential=self._use_unsaved(found.credential, answer, kept, error)
            )
        self._discard_used(kept, answer)
        return there

    def _raise_if_failed(self, found: ProfileState) -> None:
        """Raise the failure of a refresh that ended during this call, or a final refusal."""
        failure, refresh = found.failure, found.credential.refresh
        if not refresh:
            raise InvalidError(self._profile.id, "holds no refresh token", _LOGIN)
        known = self._first.failure
        is_old = failure is None or (known is not None and failure.nonce == known.nonce)
        if failure is None or (is_old and self._policy.force):
            return
        if failure.bars(refresh):
            raise InvalidError(self._profile.id, failure.problem, _LOGIN)
        if not is_old and failure.generation == generation_of(refresh, failure.nonce):
            raise UnavailableError(self._profile.id, failure.problem, _AGAIN)

    def _may_begin(self, pending: Pending | None, *, is_first: bool) -> bool:
        """Tell whether no request is under way, or its process is dead or its lease is over."""
        if pending is None and is_first:
            return True
        if pending is not None and pending.is_orphaned():
            return True
        # A program that rewrites the profile may drop our mark, which it does not know. So who is
        # not first in the queue waits for a whole lease also where there is no mark.
        now, nonce = self._policy.ticks(), "" if pending is None else pending.nonce
        if self._watched[0] != nonce:
            self._watched = (nonce, now)
        since = self._watched[1]
        age = now - since if pending is None else pending.age(now, seen_since=since)
        return age > self._policy.lease

    def _pending(self, found: ProfileState) -> Pending:
        owner = this_owner(self._policy.clock())
        generation = generation_of(found.credential.refresh, owner.nonce or "")
        repeated = found.under_way is not None
        return Pending(owner, self._policy.ticks(), generation, repeated)

    def _request(self, found: ProfileState, pending: Pending, exchange: Exchange) -> OAuth | None:
        # Listed before this request's own file is made; they are removed when it is safe.
        outdated = self._journal.paths()
        answer, spare = self._profile.sizes(found)
        file = self._journal.open(pending, answer=answer, spare=spare)
        try:
            claimed = self._claim(found, pending)
            if claimed is None:
                file.remove()
                return None
        except BaseException:
            file.remove()
            raise
        self._requests += 1
        reply = Reply()
        try:
            reply.ask(exchange, claimed.credential)
            if reply.failure is not None:
                file.remove()
                return self._fail(claimed.credential, pending, reply.failure)
            landed = self._store_tokens(claimed.credential, pending, file, reply)
        except BaseException:
            if reply.has_answer and not reply.is_journalled:
                self._keep_response(pending, file, reply)
            elif not reply.has_answer and reply.failure is None:
                file.remove()
                self._note_failure(claimed.credential, pending, "was interrupted")
            raise
        finally:
            file.close()
        self._journal.sweep(outdated)
        return landed

    def _claim(self, found: ProfileState, pending: Pending) -> ProfileState | None:
        try:
            return self._profile.claim(found, pending)
        except ConflictError:
            return None  # another process marked it first
        except UnavailableError:
            # The mark may be written all the same; nobody shall wait for its lease to end.
            self._note_failure(found.credential, pending, "the profile could not be marked")
            raise

    def _keep_response(self, pending: Pending, file: ResponseFile, reply: Reply) -> Response:
        """
        Keep the response in this process and on disk, before it is interpreted.

        A refresh token that can be used once is spent by now, and the response is the only copy of
        its successor: no rule about what a response may hold comes before it is safe (decision 13).
        """
        now = self._policy.clock()
        kept = Response(pending.nonce, pending.generation, {"answer": reply.answer}, now)
        self._journal.hold(kept)
        reply.is_journalled = True
        with suppress(StateError):  # what cannot be encrypted is written to no disk in the clear
            sealed = replace(kept, document=self._profile.document(reply.answer))
            if file.write(sealed.data):
                kept = replace(sealed, path=file.path)
                self._journal.hold(kept)
        return kept

    def _store_tokens(
        self, started: OAuth, pending: Pending, file: ResponseFile, reply: Reply
    ) -> OAuth | None:
        kept, now = self._keep_response(pending, file, reply), self._policy.clock()
        answer = interpret(reply.answer, now)
        if isinstance(answer, Tokens) and not answer.access and answer.refresh == started.refresh:
            answer = Unusable("the provider's answer holds no usable access token")
        if not isinstance(answer, Tokens):
            return self._fail(started, pending, self._dismiss(kept, answer))
        try:
            there = self._profile.store(started, answer, nonce=pending.nonce, now=now)
        except _UNSTORED as error:
            self._raise_if_not_oauth(error)
            unsaved = self._use_unsaved(started, answer, kept, error)
            return unsaved if answer.access else None
        self._discard_used(kept, answer)
        self._without_access = not answer.access
        ours = there.credential.access == answer.access
        return there.credential if ours or (answer.access and there.is_alive(now)) else None

    def _use_unsaved(
        self, started: OAuth, tokens: Tokens, kept: Response, error: StateError
    ) -> OAuth:
        """
        Return the tokens that the profile cannot take just now; this process keeps them.

        Tokens in use that may be lost with the process are better than tokens lost at once
        (decision 13).
        """
        if self._journal.save(kept).path is None:
            message = (
                f"the new tokens of {self._profile.id} are in this process alone and are lost with "
                f"it ({error}); the next refresh writes them"
            )
            warn(FallbackWarning(message), stacklevel=2)
        return self._profile.renew(started, tokens)

    def _raise_if_not_oauth(self, error: StateError) -> None:
        """Raise `InvalidError` if *error* came of a credential that is no OAuth one any more."""
        if isinstance(error, InvalidError):
            self._profile.read()

    def _discard_used(self, kept: Response, answer: Tokens) -> None:
        if answer.doubtful:
            self._journal.put_aside(kept)
        else:
            self._journal.discard(kept)

    def _dismiss(self, kept: Response, answer: NoTokens) -> NoTokens:
        """Discard a response without tokens, unless a person should look at it."""
        document = kept.document if isinstance(kept.document, dict) else {}
        if not isinstance(answer, Unusable) or not may_hold_token(document):
            self._journal.discard(kept)
            return answer
        aside = self._journal.put_aside(kept)
        return answer if aside is None else Unusable(f"{answer.problem}; it is kept as {aside}")

    def _fail(self, started: OAuth, pending: Pending, answer: NoTokens) -> OAuth | None:
        """Note the failure and raise it; `None` if newer tokens were stored since."""
        problem, final = answer.problem, isinstance(answer, Refused)
        if final and pending.repeated:
            problem += ", after a refresh that was cut short"
        there = self._store_journalled(self._profile.read())
        if there.credential.refresh == started.refresh:
            there = self._note_failure(started, pending, problem, final=final) or there
        elif there.pending is not None:
            self._note_failure(started, pending, problem)  # this removes our mark alone
        if there.credential.refresh != started.refresh:
            return None
        if isinstance(answer, Silent):
            raise UnavailableError(self._profile.id, problem, _AGAIN)
        raise InvalidError(self._profile.id, problem, _LOGIN if final else _AGAIN)

    def _note_failure(
        self, started: OAuth, pending: Pending, problem: str, *, final: bool = False
    ) -> ProfileState | None:
        failure = Failure(pending.nonce, pending.generation, problem, final)
        with suppress(StateError):  # without the note, others wait until the lease of our mark ends
            return self._profile.fail(started, failure)
        return None

    def _raise_if_slow(self, found: ProfileState) -> None:
        waited = self._policy.ticks() - self._began
        if waited > _LEASES * self._policy.lease:
            holder = "" if found.pending is None else str(found.pending.owner)
            what = f"the refresh of {self._profile.id}"
            raise LockTimeoutError(what, waited, "end that process or try again", holder=holder)


class _QueueTurn:
    """
    A place in the queue of the processes of this machine that want to refresh one profile.

    The `with` block gets True when it is first in the queue, False after *timeout* seconds. Also
    True where the kernel has no such locks. The queue only shortens the wait, since the kernel
    wakes the next process when a holder ends: who may send a request is decided by the mark in the
    profile, which other machines see as well. Raises `UnavailableError` if the directory cannot be
    made.
    """

    # A class and no generator: an interrupt between two lines of a generator leaves the lock held
    # (decision 20).

    def __init__(self, queue: FifoMutex, folder: Path, timeout: float) -> None:
        self._queue = queue
        self._folder = folder
        self._timeout = timeout

    def is_over(self) -> bool:
        return self._use.is_over()

    def discard(self) -> None:
        self._queue.leave_for(self._use)

    def __enter__(self) -> bool:
        make_private_dir(self._folder)
        self._use = Use()
        self.thread = self._use.thread
        hold(self)
        try:
            self._queue.enter(time.monotonic() + self._timeout, owner=self._use)
        except QueueTimeoutError:
            return False
        except UnavailableError:
            return True
        except BaseException:
            let_go(self)
            raise
        return True

    def __exit__(self, *_: object) -> None:
        let_go(self)
