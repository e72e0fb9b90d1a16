"""The record of one profile during a refresh: its tokens, and the marks of refreshes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from clawstate.clock import Clock
from clawstate.errors import InvalidError, NotFoundError
from clawstate.files.json_text import dump_compact, parse_json
from clawstate.records.contract import Collection, Json, Revision
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import OAuth
from clawstate.stores.auth.refresh_answer import UNKNOWN_LIFETIME, Answer, Tokens, interpret
from clawstate.stores.auth.refresh_journal import Response
from clawstate.stores.auth.refresh_marks import (
    PENDING,
    Failure,
    Pending,
    failure_of,
    lifetime_of,
    pending_of,
    refreshed_at,
    with_failure,
    with_pending,
    with_refreshed,
)

_MOST_OF_LIFE = 4  # a token is not refreshed in the first three quarters of its life
_CLOCKS_DIFFER = 300.0  # seconds that clocks of two machines may be apart
_LONG_LIFE = 366 * 86400.0  # seconds; few access tokens that can be renewed live longer
_ANSWER = "answer"  # also the place that an encrypted response is bound to
_LEAST_ROOM = 1 << 15  # bytes for an answer; those of large providers have some thousands


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """
    When a token is refreshed, and for how long one process may take; durations in seconds.

    *clock* says when tokens expire. *ticks* is a monotonic clock that all processes of the machine
    share: it measures the *lease*, so that setting the clock neither ends nor extends one.
    """

    clock: Clock
    ticks: Callable[[], float]
    lease: float
    margin: float
    force: bool


@dataclass(frozen=True, slots=True)
class ProfileState:
    """A profile at one *revision*: its *credential*, and the marks of refreshes beside it."""

    record: Mapping[str, Json] = field(repr=False)
    credential: OAuth
    pending: Pending | None
    failure: Failure | None
    revision: Revision = ""

    @property
    def under_way(self) -> Pending | None:
        """The refresh under way of the present token; a mark for another token is outdated."""
        pending = self.pending
        return pending if pending is not None and pending.is_of(self.credential.refresh) else None

    def is_fresh(self, now: float, margin: float) -> bool:
        """
        Tell whether the access token is valid for more than *margin* seconds after *now*.

        The margin is at most a quarter of the token's lifetime. A token that nothing can renew is
        fresh until it expires.
        """
        expires = self.credential.expires
        if not self.credential.refresh:
            return bool(self.credential.access) and (expires is None or expires > now)
        if expires is None or self.is_doubted(now):
            return False
        # Without the quarter, a token that lives for five minutes would be refreshed at each call.
        lifetime = lifetime_of(self.record, expires)
        least = margin if lifetime is None else min(margin, lifetime / _MOST_OF_LIFE)
        return bool(self.credential.access) and expires - now > least

    def is_alive(self, now: float) -> bool:
        """Tell whether the access token has not expired at *now*."""
        expires = self.credential.expires
        return bool(self.credential.access) and expires is not None and expires > now

    def is_doubted(self, now: float) -> bool:
        """Tell whether the clock was ahead when the token came, so its expiry is unreliable."""
        expires, came = self.credential.expires, refreshed_at(self.record)
        if expires is None or expires <= now:
            return False
        return expires - now > _LONG_LIFE if came is None else came > now + _CLOCKS_DIFFER


class RefreshedProfile:
    """The profile *profile_id* under *key* of its collection."""

    def __init__(
        self, collection: Collection, codec: CredentialCodec, profile_id: str, key: str
    ) -> None:
        self.id = profile_id
        self._collection = collection
        self._codec = codec
        self._key = key

    def read(self) -> ProfileState:
        """
        Return the profile as it is.

        Raises `NotFoundError`, or `InvalidError` if it is no OAuth profile.
        """
        versioned = self._collection.get(self._key)
        if versioned is None:
            raise self._missing()
        return self._read(versioned.value, versioned.revision)

    def claim(self, found: ProfileState, pending: Pending) -> ProfileState:
        """
        Mark the profile, unchanged since it was *found*, with a refresh under way; durable.

        Raises `ConflictError` when another process changed it since.
        """
        # Compare-and-set, and no lock: of all processes that found the profile unmarked one
        # succeeds, on whatever machine, and no lock is held while the provider is asked (decision
        # 013).
        marked = with_pending(found.record, pending)
        versioned = self._collection.put(self._key, marked, expect=found.revision)
        return self._read(versioned.value, versioned.revision)

    def sizes(self, found: ProfileState) -> tuple[int, int]:
        """Return how many bytes the response may take, and how many a change of the document."""
        records = self._collection.scan()
        whole = sum(len(each.key) + len(dump_compact(each.value)) for each in records)
        answer = max(_LEAST_ROOM, 4 * len(dump_compact(found.record)))
        return answer, 2 * (whole + answer)

    def document(self, answer: Json) -> Json:
        """Return *answer* as it is written to the journal, encrypted if secrets are."""
        kept = self._codec.encrypt(self.id, _ANSWER, dump_compact(answer))
        return {"answer": answer} if isinstance(kept, str) else {"answerSealed": kept}

    def answer_of(self, kept: Response, now: float) -> Answer:
        """
        Return what a journalled response means.

        Raises `InvalidError` and `CorruptError` for one that cannot be read, and what
        `Sealer.open` does.
        """
        came = now if kept.received is None else min(kept.received, now)
        found = kept.document if isinstance(kept.document, dict) else {}
        if "record" in found:  # the form of older releases
            return self._tokens_of(found["record"], came)
        if "answerSealed" not in found:
            return interpret(found.get("answer"), came)
        text = self._codec.decrypt(self.id, _ANSWER, found["answerSealed"])
        return interpret(parse_json(text, path=kept.path or Path(_ANSWER)), came)

    def store(self, started: OAuth, tokens: Tokens, *, nonce: str, now: float) -> ProfileState:
        """
        Store *tokens*, the answer to *started*, unless newer ones are there; return the new state.

        Of several answers to one refresh token the first that is stored stays: it may be in use,
        and may have been renewed since. Raises `NotFoundError` for a profile that is gone.
        """

        def change(record: Json | None) -> Json:
            there = self._read(record)
            if not _is_newer(tokens, started, there.credential):
                return _remove_mark(there, nonce)
            new = self.renew(there.credential, tokens)
            return with_refreshed(self._codec.write(self.id, new, old=there.record), now)

        return self._change(change)

    def fail(self, started: OAuth, failure: Failure) -> ProfileState:
        """Mark the failure of a refresh of *started*, unless newer tokens are there."""

        def change(record: Json | None) -> Json:
            there = self._read(record)
            if there.credential.refresh != started.refresh:
                return _remove_mark(there, failure.nonce)
            return with_failure(there.record, failure)

        return self._change(change)

    def renew(self, credential: OAuth, tokens: Tokens) -> OAuth:
        """Return *credential* with *tokens* in place of its own."""
        refresh = credential.refresh if tokens.refresh is None else tokens.refresh
        if tokens.access is None:
            return replace(credential, refresh=refresh)
        return replace(credential, access=tokens.access, refresh=refresh, expires=tokens.expires)

    def _tokens_of(self, record: Json, came: float) -> Tokens:
        credential = self._read(record).credential
        ends = credential.expires
        if not credential.access:
            raise InvalidError(self.id, "the saved answer of its provider is incomplete")
        expires = came + UNKNOWN_LIFETIME if ends is None else ends
        return Tokens(credential.access, credential.refresh, expires)

    def _change(self, change: Callable[[Json | None], Json]) -> ProfileState:
        versioned = self._collection.update(self._key, change)
        if versioned is None:
            raise self._missing()
        return self._read(versioned.value, versioned.revision)

    def _read(self, record: Json | None, revision: Revision = "") -> ProfileState:
        if record is None:
            raise self._missing()
        credential = self._codec.read(self.id, record)
        if not isinstance(credential, OAuth):
            problem = f"is of type {credential.type}, which cannot be refreshed"
            raise InvalidError(self.id, problem, "use it as it is")
        return ProfileState(record, credential, pending_of(record), failure_of(record), revision)

    def _missing(self) -> NotFoundError:
        return NotFoundError("profile", self.id, "see 'clawstate auth list'")


def _is_newer(tokens: Tokens, started: OAuth, there: OAuth) -> bool:
    # A person logged in again, or another process stored an answer, while this one was under way.
    if there.refresh != started.refresh:
        return False
    rotated = tokens.refresh is not None and tokens.refresh != started.refresh
    return rotated or there.access == started.access or tokens.expires > (there.expires or 0.0)


def _remove_mark(there: ProfileState, nonce: str) -> Json:
    if there.pending is None or there.pending.nonce != nonce:
        return there.record
    return {key: value for key, value in there.record.items() if key != PENDING}
