"""`Refresher`: new OAuth tokens, requested once however many processes want them (decision 13)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from clawstate.clock import Clock, system_clock
from clawstate.errors import InvalidError, LockTimeoutError, UnavailableError
from clawstate.files.safe_names import encode_name
from clawstate.records.contract import Collection
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import OAuth
from clawstate.stores.auth.profile_store import record_key
from clawstate.stores.auth.refresh_answer import Exchange
from clawstate.stores.auth.refresh_attempt import RefreshAttempt
from clawstate.stores.auth.refresh_journal import ResponseJournal
from clawstate.stores.auth.refresh_profile import ProfileState, RefreshedProfile, RefreshPolicy

__all__ = ["Exchange", "Refresher"]


class Refresher:
    """
    Refreshes the OAuth profiles of one *collection*: that of the store that owns them.

    *locks* is a directory that belongs to this store alone; no directory from *above* down to it
    may be a symbolic link. A refresh that lasts longer than *lease* seconds may be repeated by
    another process, so an exchange should give up well before. A token is refreshed when it is
    valid for less than *margin* seconds, or less than a quarter of its life. *ticks* is a monotonic
    clock that all processes of the machine share.
    """

    def __init__(
        self,
        collection: Collection,
        codec: CredentialCodec,
        *,
        locks: Path,
        above: Path | None = None,
        clock: Clock = system_clock,
        lease: float = 60.0,
        margin: float = 300.0,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collection = collection
        self._codec = codec
        self._locks = locks
        self._above = above or locks
        self._clock = clock
        self._lease = lease
        self._margin = margin
        self._ticks = ticks

    def refresh(self, profile_id: str, exchange: Exchange, *, force: bool = False) -> OAuth:
        """
        Return the credential of *profile_id* with a good access token, refreshed if need be.

        *exchange* asks the provider; it is called without any lock but the refresh's own, at most
        by one caller of all processes, and the others get its result. With *force* the present
        access token counts as bad, and a login that was refused is tried once more. When the
        provider cannot be asked, a token that has not expired yet is returned all the same,
        unless forced.

        Raises `NotFoundError`; `InvalidError` for a profile that is no OAuth one, whose login was
        refused, or whose new tokens cannot be used; `UnavailableError` when the provider gave no
        answer; `LockTimeoutError` when others take too long.
        """
        profile = self._profile(profile_id)
        first = profile.read()
        journal = self._journal(profile_id)
        is_fresh = first.is_fresh(self._clock(), self._margin)
        if is_fresh and not force and not journal.has_unsaved:
            return first.credential
        try:
            return self._attempt(profile, first, journal, force=force).run(exchange)
        except (UnavailableError, LockTimeoutError):
            if force or not first.is_alive(self._clock()):
                raise
        except InvalidError:
            if force or not first.is_doubted(self._clock()):
                raise
        return first.credential

    def unsaved(self, profile_id: str) -> OAuth | None:
        """
        Return the tokens of *profile_id* that are in memory alone: the disk refused them.

        They are written first, if that can be done now. `None` if there are none that are valid.
        """
        journal = self._journal(profile_id)
        if not journal.has_unsaved:
            return None
        profile = self._profile(profile_id)
        return self._attempt(profile, profile.read(), journal, force=False).store_journalled()

    def forget(self, profile_id: str) -> None:
        """Remove what crashes may have left of *profile_id* beside the collection."""
        self._journal(profile_id).forget()

    def _profile(self, profile_id: str) -> RefreshedProfile:
        key = record_key("profile", profile_id)
        return RefreshedProfile(self._collection, self._codec, profile_id, key)

    def _journal(self, profile_id: str) -> ResponseJournal:
        return ResponseJournal(self._locks / encode_name(profile_id), above=self._above)

    def _attempt(
        self,
        profile: RefreshedProfile,
        first: ProfileState,
        journal: ResponseJournal,
        *,
        force: bool,
    ) -> RefreshAttempt:
        policy = RefreshPolicy(self._clock, self._ticks, self._lease, self._margin, force)
        return RefreshAttempt(profile, first, journal=journal, policy=policy)
