"""`AuthProfiles`: the credentials of one agent, and those that it inherits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from clawstate.arguments import require_kind, require_text, require_texts
from clawstate.clock import Clock, system_clock, to_iso
from clawstate.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from clawstate.health import Finding
from clawstate.paging import PAGE, Listing, Page
from clawstate.records.contract import Json
from clawstate.records.merging import MergeResult
from clawstate.stores.auth.availability import Standing, resolve_order, standing_of
from clawstate.stores.auth.credentials import TYPES, AuthProblem, Credential, Profile, expiry_of
from clawstate.stores.auth.documents import document_of, merge_document
from clawstate.stores.auth.legacy import AuthImport
from clawstate.stores.auth.merged_profiles import LocatedProfile, MergedProfiles
from clawstate.stores.auth.names import normalise_provider, require_profile_id, require_provider
from clawstate.stores.auth.profile_store import ProfileStore, record_key
from clawstate.stores.auth.refresh_marks import reset_marks
from clawstate.stores.auth.settings import AuthSettings
from clawstate.stores.auth.usage import (
    UNUSED,
    Usage,
    after_failure,
    after_renewal,
    after_use,
    rests_until,
)
from clawstate.stores.auth.validation import is_same_secret, validate

if TYPE_CHECKING:
    from clawstate.stores.auth.refresh import Exchange, Refresher

_LISTING = Listing("credentials")


class AuthProfiles:
    """
    The credentials of one agent (specification section 2, decisions 11 to 13).

    *base* is the store of the main agent, for any other agent: its profiles are seen here, unless
    the *own* store has one of the same id. Changes go to the own store alone, but for the usage and
    the refresh of an inherited credential: its provider limits and renews the credential, whoever
    uses it, so both are written where it lies (decision 13). Every call sees the changes of other
    programs. *may_open* tells whether encrypted secrets open without asking a person. Every method
    raises what `Collection` does.
    """

    def __init__(
        self,
        own: ProfileStore,
        *,
        base: ProfileStore | None = None,
        settings: Callable[[], AuthSettings] = AuthSettings,
        refreshing: Callable[[ProfileStore], Refresher] | None = None,
        may_open: Callable[[], bool] = lambda: True,
        clock: Clock = system_clock,
    ) -> None:
        self._own = own
        self._stores = (own,) if base is None else (base, own)
        self._settings = settings
        self._refreshing = refreshing
        self._may_open = may_open
        self._clock = clock

    def __repr__(self) -> str:
        return f"AuthProfiles(agent_id={self._own.name!r})"

    def get(self, profile_id: str) -> Credential | None:
        """Return a credential, or `None` if there is none that can be understood."""
        found = self._merge_stores().by_id.get(require_text("id", profile_id))
        return None if found is None else found.stored.credential

    def require(self, profile_id: str) -> Credential:
        """Return a credential; raises `NotFoundError`, or `InvalidError` for a broken one."""
        return self._require(profile_id, self._merge_stores())[1]

    def profiles(self) -> tuple[Profile, ...]:
        """Return all profiles that can be understood, by id."""
        return self._merge_stores().profiles()

    def page(self, limit: int = PAGE, after: str | None = None) -> Page[Profile]:
        """
        Return a page of what `profiles` gives: the first *limit*, or those behind *after*.

        Raises `InvalidError` for a *limit* below 1 and an *after* that no page gave.
        """
        position = _LISTING.require_page(limit, after)
        placed = (((0.0, each.id), each) for each in self.profiles())
        rest = (each for each in placed if position is None or each[0] > position)
        return _LISTING.page(rest, limit)

    def upsert(
        self,
        profile_id: str,
        credential: Mapping[str, Any] | Credential,
        *,
        expect: Credential | None = None,
    ) -> Credential:
        """
        Keep *credential*, a value or its JSON object, under *profile_id*, and return it.

        All that was there is replaced. Line breaks and outer blanks in a key or token are dropped.
        A profile whose secret is another one than before rests no longer. Raises `InvalidError`
        for what cannot be a credential, `ConflictError` if what lies there is not *expect* any
        more.
        """
        record = self.keep(profile_id, credential, expect=expect)
        return self._own.codec.read(profile_id, record)

    def keep(
        self,
        profile_id: str,
        credential: Mapping[str, Any] | Credential,
        *,
        expect: Credential | None = None,
    ) -> dict[str, Json]:
        """Do what `upsert` does, and return the record as it is stored, secrets included."""
        require_profile_id(profile_id)
        codec = self._own.codec
        wanted = validate(profile_id, credential, codec)
        # Another secret did not cause the failures of the old one, so it must not rest for them.
        renewed = False

        def change(old: Json | None) -> Json:
            nonlocal renewed
            self._own.require_expected(profile_id, old, expect)
            renewed = not is_same_secret(profile_id, old, wanted, codec)
            return reset_marks(codec.write(profile_id, wanted, old=old), old)

        record: dict[str, Json] = self._own.put(profile_id, change)
        if renewed and profile_id in self._own.read().usage:
            self._own.use(profile_id, after_renewal)
        return record

    def remove(self, profile_id: str, *, expect: Credential | None = None) -> bool:
        """
        Remove a profile with its usage; False if it was not there.

        Raises `InvalidError` for one that is inherited: it goes where it lies; `ConflictError` if
        it is not *expect* any more.
        """
        # The record goes first. After a crash between the two steps responses are left for a token
        # that no profile has, and those are never used.
        removed = self._own.remove(require_text("profile", profile_id), expect)
        if removed and self._refreshing is not None:
            self._refreshing(self._own).forget(profile_id)
        left = None if removed else self._merge_stores().by_id.get(profile_id)
        if left is not None and left.store is not self._own:
            problem = f"belongs to the agent {left.store.name!r}"
            raise InvalidError(profile_id, problem, "remove it there")
        return removed

    def reload(self) -> None:
        """Drop what is held in memory: everything is read and resolved again by the next call."""
        for store in self._stores:
            store.forget()

    def secret(self, profile_id: str) -> str:
        """
        Return what a request is made with: the key, the token or the access token.

        References are resolved and encrypted secrets decrypted, once until the record changes.
        Raises `NotFoundError`, `InvalidError`, `UnavailableError` for what has expired, and what
        resolving and opening raise. No error shows a secret.
        """
        found, credential = self._require(profile_id, self._merge_stores())
        renews = TYPES[credential.type].renews
        # Tokens that no disk took are newer than those of the record, whose refresh token is spent.
        if renews and self._refreshing is not None:
            unsaved = self._refreshing(found.store).unsaved(profile_id)
            if unsaved is not None and unsaved.access:
                return unsaved.access
        expires = expiry_of(credential)
        if expires is not None and self._clock() >= expires:
            hint = "refresh it" if renews else "store a new one"
            raise UnavailableError(profile_id, f"expired at {to_iso(expires)}", hint)
        return found.store.secret(profile_id, found.stored, credential)

    def order(self, provider: str, *, preferred: str | None = None) -> tuple[str, ...]:
        """
        Return the ids of the usable profiles of *provider*, the one to try first in front.

        See `resolve_order`. It only reads: no lock can hold it up.
        """
        require_text("provider", provider)
        seen, settings = self._merge_stores().candidates, self._settings()
        return resolve_order(provider, seen, settings, self._clock(), preferred=preferred)

    def stored_order(self, provider: str) -> tuple[str, ...] | None:
        """Return the order that was set for *provider*, or `None`."""
        return self._merge_stores().order_of(require_text("provider", provider))

    def set_order(
        self, provider: str, ids: Sequence[str] | None, *, expect: Sequence[str] | None = None
    ) -> None:
        """
        Try the profiles *ids* in this order; `None` or nothing leaves it to the configuration.

        Raises `NotFoundError` for an unknown profile, `InvalidError` for one of another provider,
        `ConflictError` if the order that was set is not *expect* any more; `()` expects none.
        """
        require_provider(provider)
        given = () if ids is None else require_texts("order", ids)
        merged, wanted = self._merge_stores(), tuple(dict.fromkeys(given))
        for each in wanted:
            found = self._require(each, merged)[1].provider
            if normalise_provider(found) != normalise_provider(provider):
                raise InvalidError(each, f"is of {found!r}, not of {provider!r}", "leave it out")
        if expect is None:
            self._own.set_order(provider, wanted)
            return
        # What lies in the agent's own document is looked at again in the step that writes.
        own = self._own.order_of(provider)
        seen = self._merge_stores().order_of(provider) or ()
        if seen != tuple(require_texts("expect", expect)):
            raise ConflictError("order", provider)
        self._own.set_order(provider, wanted, expect=own or ())

    def usage(self, profile_id: str) -> Usage:
        """Return how a profile fared; windows that are over are still in it."""
        return self._merge_stores().usage.get(require_text("profile", profile_id), UNUSED)

    def rests_until(self, profile_id: str) -> float | None:
        """
        Return until when a profile rests, in seconds since the epoch; `None`: it may be used.

        Raises `NotFoundError`.
        """
        merged = self._merge_stores()
        provider = self._require(profile_id, merged)[1].provider
        usage, cooldowns = merged.usage.get(profile_id, UNUSED), self._settings().cooldowns
        return rests_until(usage, self._clock(), provider=provider, cooldowns=cooldowns)

    def standing(self, profile: Profile) -> Standing:
        """Return whether *profile*, one of `profiles`, can be used now, and why not."""
        require_kind("profile", profile, Profile)
        found = self._merge_stores().by_id.get(profile.id)

        def resolve() -> str | None:
            codec = self._own.codec if found is None else found.store.codec
            return codec.secret(profile.id, profile.credential)

        return standing_of(
            profile,
            self._clock(),
            cooldowns=self._settings().cooldowns,
            may_open=self._may_open,
            resolve=resolve,
        )

    def mark_used(self, profile_id: str) -> Usage:
        """Note a success now, which ends all windows and counts. Raises `NotFoundError`."""
        merged = self._merge_stores()
        self._require(profile_id, merged)
        now = self._clock()
        return merged.usage_store(profile_id).use(profile_id, lambda usage: after_use(usage, now))

    def mark_failure(self, profile_id: str, reason: str) -> Usage:
        """
        Note a failure now, after which the profile rests for a while (reference, section 7.5).

        *reason* is one of `cooldowns.REASONS`. Raises `NotFoundError`, `InvalidError`.
        """
        merged = self._merge_stores()
        provider = self._require(profile_id, merged)[1].provider
        now, cooldowns = self._clock(), self._settings().cooldowns

        def count_failure(usage: Usage) -> Usage:
            return after_failure(usage, reason, now, provider=provider, cooldowns=cooldowns)

        before = merged.usage.get(profile_id, UNUSED)
        # A provider that never rests fails often: nothing is written, so no lock is taken for it.
        if count_failure(before) is before:
            return before
        return merged.usage_store(profile_id).use(profile_id, count_failure)

    def end_rest(self, profile_id: str) -> Usage:
        """Let a profile rest no longer, as after its account was mended; raises `NotFoundError`."""
        merged = self._merge_stores()
        self._require(profile_id, merged)
        return merged.usage_store(profile_id).use(profile_id, after_renewal)

    def mark_good(self, profile_id: str) -> None:
        """Note that this profile is the one of its provider that worked last."""
        self._own.set_good(self.require(profile_id).provider, profile_id)

    def last_good(self, provider: str) -> str | None:
        """Return the profile of *provider* that worked last."""
        return self._merge_stores().last_good.get(require_text("provider", provider))

    def refresh(self, profile_id: str, refresher: Exchange, *, force: bool = False) -> Credential:
        """
        Return an OAuth credential with a good access token, which *refresher* fetches if need be.

        However many processes want it, one asks. See `Refresher.refresh`, also for the errors.
        """
        found, _ = self._require(profile_id, self._merge_stores())
        if self._refreshing is None:
            raise UnavailableError("refresh", "is not set up here", "open a state")
        found.store.migrate_legacy()
        return self._refreshing(found.store).refresh(profile_id, refresher, force=force)

    def merge(
        self, document: Mapping[str, Json], *, replace: bool = False, dry_run: bool = False
    ) -> MergeResult:
        """
        Merge *document*, in the form of `auth-profiles.json`.

        What is here stays, unless *replace*; a *dry_run* writes nothing. Raises `InvalidError` for
        what is no such document, and what sealing raises.
        """

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], MergeResult]:
            return merge_document(records, document, self._own.codec, replace=replace)

        if dry_run:
            # What a merge would find after `migrate_legacy`, which writes.
            rows = self._own.read()
            legacy = self._own.legacy_profiles(rows).items()
            found = {record_key("profile", each): row.record for each, row in legacy}
            return change({**found, **rows.records})[1]
        return self._own.change_all(change)

    def import_legacy(self) -> AuthImport:
        """Take over the profiles in files of older releases, which stay as they are."""
        return self._own.import_legacy()

    def document(self, view: Literal["own", "merged"] = "own") -> dict[str, Json]:
        """Return a copy of what is kept, in the form of `auth-profiles.json`, secrets included."""
        if require_text("view", view) not in {"own", "merged"}:
            raise InvalidError("view", "is neither 'own' nor 'merged'", "give one of them")
        return document_of(self._stores if view == "merged" else (self._own,))

    def problems(self) -> tuple[AuthProblem, ...]:
        """Return the own entries that are stored and cannot be used, and why; see `check`."""
        return self._own.problems()

    def check(self) -> tuple[Finding, ...]:
        """Return what is wrong with the own profiles; nothing is changed."""
        return tuple(self._own.check())

    def _merge_stores(self) -> MergedProfiles:
        return MergedProfiles(self._stores)

    def _require(
        self, profile_id: str, merged: MergedProfiles
    ) -> tuple[LocatedProfile, Credential]:
        found = merged.by_id.get(require_text("profile", profile_id))
        if found is None:
            raise NotFoundError("profile", profile_id, "see 'clawstate auth list'")
        if found.stored.credential is None:
            raise InvalidError(profile_id, found.stored.reason, "store it again, or remove it")
        return found, found.stored.credential
