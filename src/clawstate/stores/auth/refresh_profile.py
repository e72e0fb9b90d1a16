"""One profile as a refresh sees it: what its record says, and how its tokens are replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from clawstate.errors import InvalidError, NotFoundError
from clawstate.records.contract import Collection, Json, Revision
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import OAuth
from clawstate.stores.auth.pending import (
    PENDING,
    Failure,
    Pending,
    failure_of,
    lifetime_of,
    pending_of,
    with_failure,
    with_pending,
    with_refreshed,
)
from clawstate.stores.auth.refresh_answer import Tokens

_MOST_OF_LIFE = 4  # a token is not refreshed in the first three quarters of its life


@dataclass(frozen=True, slots=True)
class Found:
    """A profile as it was found: its *credential*, and the marks of refreshes beside it."""

    record: Mapping[str, Json] = field(repr=False)
    credential: OAuth
    pending: Pending | None
    failure: Failure | None
    revision: Revision = ""

    @property
    def under_way(self) -> Pending | None:
        """The refresh of the present token that is marked; a mark of another one is outdated."""
        pending = self.pending
        return pending if pending is not None and pending.is_of(self.credential.refresh) else None

    def is_fresh(self, now: float, margin: float) -> bool:
        """
        Tell whether the access token is good for more than *margin* seconds after *now*.

        Of a token with a short life only the last quarter is margin. One that nothing can renew
        is fresh to its end, if it has one.
        """
        expires = self.credential.expires
        if not self.credential.refresh:
            return bool(self.credential.access) and (expires is None or expires > now)
        if expires is None:
            return False
        lifetime = lifetime_of(self.record, expires)
        least = margin if lifetime is None else min(margin, lifetime / _MOST_OF_LIFE)
        return bool(self.credential.access) and expires - now > least

    def is_alive(self, now: float) -> bool:
        """Tell whether the access token has not expired at *now*."""
        expires = self.credential.expires
        return bool(self.credential.access) and expires is not None and expires > now


class RefreshedProfile:
    """The profile *profile_id* under *key* of its collection."""

    def __init__(
        self, collection: Collection, codec: CredentialCodec, profile_id: str, key: str
    ) -> None:
        self.id = profile_id
        self._collection = collection
        self._codec = codec
        self._key = key

    def found(self) -> Found:
        """
        Return the profile as it is.

        Raises `NotFoundError`, or `InvalidError` if it is no OAuth profile.
        """
        versioned = self._collection.get(self._key)
        if versioned is None:
            raise self._missing()
        return self._read(versioned.value, versioned.revision)

    def claim(self, found: Found, pending: Pending) -> Found:
        """
        Mark the profile, which must be as it was *found*, with a refresh under way; durable.

        Raises `ConflictError` when somebody was faster.
        """
        marked = with_pending(found.record, pending)
        versioned = self._collection.put(self._key, marked, expect=found.revision)
        return self._read(versioned.value, versioned.revision)

    def renewed(self, credential: OAuth, tokens: Tokens, record: Mapping[str, Json]) -> Json:
        """Return *record* with *tokens* in the place of those of *credential*."""
        refresh = credential.refresh if tokens.refresh is None else tokens.refresh
        new = replace(credential, access=tokens.access, refresh=refresh, expires=tokens.expires)
        return self._codec.write(self.id, new, old=record)

    def tokens_of(self, record: Json) -> Tokens:
        """Return the tokens of an OAuth profile's *record*; raises `InvalidError` for others."""
        credential = self._read(record).credential
        if not credential.access or credential.expires is None:
            raise InvalidError(self.id, "its spooled answer is not whole")
        return Tokens(credential.access, credential.refresh, credential.expires)

    def store(self, started: OAuth, tokens: Tokens, *, nonce: str, now: float) -> Found:
        """
        Keep *tokens*, the answer to *started*, unless newer ones are there; return what is there.

        Of several answers to one refresh token the first that is stored stays: it may be in use,
        and may have been renewed since. Raises `NotFoundError` for a profile that is gone.
        """

        def change(record: Json | None) -> Json:
            there = self._read(record)
            if not _is_newer(tokens, started, there.credential):
                return _without_mark(there, nonce)
            return with_refreshed(self.renewed(there.credential, tokens, there.record), now)

        return self._changed(change)

    def fail(self, started: OAuth, failure: Failure) -> Found:
        """Note *failure* of what began with *started*, unless newer tokens are there."""

        def change(record: Json | None) -> Json:
            there = self._read(record)
            if there.credential.refresh != started.refresh:
                return _without_mark(there, failure.nonce)
            return with_failure(there.record, failure)

        return self._changed(change)

    def _changed(self, change: Callable[[Json | None], Json]) -> Found:
        versioned = self._collection.update(self._key, change)
        if versioned is None:
            raise self._missing()
        return self._read(versioned.value, versioned.revision)

    def _read(self, record: Json | None, revision: Revision = "") -> Found:
        if record is None:
            raise self._missing()
        credential = self._codec.read(self.id, record)
        if not isinstance(credential, OAuth):
            problem = f"is of type {credential.type}, which cannot be refreshed"
            raise InvalidError(self.id, problem, "use it as it is")
        return Found(record, credential, pending_of(record), failure_of(record), revision)

    def _missing(self) -> NotFoundError:
        return NotFoundError("profile", self.id, "see 'clawstate auth list'")


def _is_newer(tokens: Tokens, started: OAuth, there: OAuth) -> bool:
    if there.refresh != started.refresh:
        return False
    rotated = tokens.refresh is not None and tokens.refresh != started.refresh
    return rotated or there.access == started.access or tokens.expires > (there.expires or 0.0)


def _without_mark(there: Found, nonce: str) -> Json:
    if there.pending is None or there.pending.nonce != nonce:
        return there.record
    return {key: value for key, value in there.record.items() if key != PENDING}
